//! The report: every clause and every case, always; a machine reads it, and renderers make pages of it.

pub(crate) mod plain;
mod redacted;
mod seal;
pub(crate) mod tally;
pub(crate) mod words;

mod html;
mod junit;
pub(crate) mod markdown;
pub(crate) mod outline;
pub(crate) mod terminal;

#[cfg(test)]
mod rendered;
#[cfg(test)]
pub(crate) mod sample;

pub(crate) use self::seal::digest_of;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::verdict::{Conformance, Verdict};

/// The report's own version: MAJOR.MINOR of its schema.
pub const REPORT_SCHEMA_VERSION: &str = "1.0";

/// A run of the suite, whole. Two runs that saw the same have equal reports but for `provenance`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "the published report format")]
pub struct Report {
    /// [`REPORT_SCHEMA_VERSION`].
    pub schema_version: String,
    /// Which suite judged.
    pub suite: SuiteIdentity,
    /// Who was judged.
    pub subject: SubjectIdentity,
    /// Which profile.
    pub profile: String,
    /// From which ids and generated cases are drawn.
    pub seed: u64,
    /// The filter, if only some cases were asked for. A filtered run is never conformant.
    pub only: Option<String>,
    /// The verdict over all scored cases.
    pub conformance: Conformance,
    /// How many cases have each verdict, by [`Verdict::as_str`].
    pub counts: BTreeMap<String, u32>,
    /// Every clause of the registry, in its order.
    pub clauses: Vec<ClauseReport>,
    /// Every case of the suite, by id.
    pub cases: Vec<CaseReport>,
    /// What the suite itself counted, by id of the fixed case: what KORA guards against creeping up.
    pub measures: BTreeMap<String, Measure>,
    /// When, where and how long: whatever may differ between equal runs.
    pub provenance: Provenance,
    /// SHA-256 of the canonical JSON of everything above but `provenance`: `sha256:…`.
    pub digest: String,
}

/// Which suite judged.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "the published report format")]
pub struct SuiteIdentity {
    /// The crate's version.
    pub version: String,
    /// Of all cases, the registry and the frozen sets.
    pub digest: String,
    /// Of the contract that it judges by.
    pub contract_version: String,
    /// SHA-256 of the contract's text.
    pub contract_digest: String,
}

/// Who was judged.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "the published report format")]
pub struct SubjectIdentity {
    /// As it introduced itself.
    pub name: String,
    /// As it introduced itself.
    pub version: String,
    /// `in_process`, `stdio` or `http`.
    pub transport: String,
    /// `local` or `krako`.
    pub backend_mode: String,
    /// Its descriptor.
    pub capabilities: Value,
}

/// What is known of a clause after the run.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "the published report format")]
pub struct ClauseReport {
    /// As in the registry.
    pub id: String,
    /// In our own words.
    pub text: String,
    /// The worst verdict of its scored cases. `None`: it has none in this profile, or no case can observe it and the
    /// registry says why.
    pub verdict: Option<Verdict>,
    /// The cases that observe it.
    pub cases: Vec<String>,
}

/// What came of one case.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "the published report format")]
pub struct CaseReport {
    /// Its id.
    pub id: String,
    /// What holds if it passes.
    pub title: String,
    /// What it observes.
    pub clauses: Vec<String>,
    /// Whether it counts in this profile: it is in the frozen set of the contract's version.
    pub scored: bool,
    /// What came of it.
    pub verdict: Verdict,
    /// Why it does not apply, was not run, is untestable, inconclusive, or a fault of the suite.
    pub reason: Option<String>,
    /// The known-failures entry that covers it. The verdict stays what it is.
    pub known: Option<Known>,
    /// What is wrong, the most telling first. Empty unless it failed.
    pub findings: Vec<Finding>,
    /// What the backend claimed beside what the suite saw. Empty unless it failed.
    pub timeline: Vec<TimelineEntry>,
    /// The smallest graph that shows the fault, and its model's script. Only if they were generated, and it failed.
    pub minimal: Option<Value>,
    /// What to look at first. Only if it failed.
    pub likely_cause: Option<String>,
    /// The last lines that the backend logged. Only if it failed.
    pub log_tail: Option<String>,
    /// One command to repeat it. Only if it failed.
    pub repeat: Option<String>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "the published report format")]
pub struct Finding {
    /// The clause that does not hold.
    pub clause: String,
    /// Which run of the case, counted from 0.
    pub run: u32,
    /// For a law: the case in which it was seen not to hold.
    pub seen_in: Option<String>,
    /// Where: a JSON pointer into the view of the run.
    pub at: String,
    /// What was expected, as a pattern or in words.
    pub expected: Value,
    /// What was there instead.
    pub got: Value,
    /// Why that was expected.
    pub because: String,
}

/// A moment of a run, from both sides.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "the published report format")]
pub struct TimelineEntry {
    /// Which run of the case, counted from 0.
    pub run: u32,
    /// The task, if it is about one.
    pub task: Option<String>,
    /// What the backend claims.
    pub claimed: Option<String>,
    /// What the suite saw.
    pub seen: Option<String>,
    /// Whether the two disagree.
    pub differs: bool,
}

/// What one fixed case cost, over all its runs, as the suite counted it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "the published report format")]
pub struct Measure {
    /// Calls that the suite's model saw.
    pub model_invocations: u64,
    /// Those of them that came after the first for their task in their run.
    pub retries: u64,
    /// Tasks that were executed without a model.
    pub deterministic_tasks: u64,
    /// Tasks of the graphs.
    pub tasks: u64,
}

/// A failure that is known, and until when that is an excuse.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "the published report format")]
pub struct Known {
    /// Why it fails.
    pub reason: String,
    /// Until which day: `YYYY-MM-DD`.
    pub expires: String,
    /// The day is past, or the case did not fail: the entry itself is a fault.
    pub stale: bool,
}

/// Whatever may differ between equal runs.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "the published report format")]
pub struct Provenance {
    /// When it started, UTC, RFC 3339.
    pub started_at: String,
    /// How long it took.
    pub duration_ms: u64,
    /// Operating system and architecture.
    pub host: String,
    /// The command line.
    pub command: String,
    /// Milliseconds that each case took.
    pub case_ms: BTreeMap<String, u64>,
}
