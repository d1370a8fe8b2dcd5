//! Whether a change may be merged: verified reports held against a policy that somebody wrote down.

mod guards;
mod policy;
mod shown;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::day::Day;
use crate::report::{Known, Report, plain};
use crate::verdict::{Conformance, Verdict};
use crate::verify::VerifiedReport;

pub use self::policy::{Growth, Guards, Override, Policy, PolicyError};

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "the published format of a decision")]
pub struct GateResult {
    /// Whether it may be merged.
    pub decision: Decision,
    /// Everything that stands in the way, lifted or not.
    pub blocks: Vec<Block>,
    /// Every override of the policy, used or not, so that none is forgotten.
    pub overrides: Vec<Override>,
    /// Known failures that are accepted.
    pub known: Vec<String>,
}

/// Whether it may be merged.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "open, shut, or not yet known")]
pub enum Decision {
    /// Nothing stands in the way that is not lifted.
    Open,
    /// Something does.
    Blocked,
    /// Nothing speaks against it, and not everything has a verdict.
    Incomplete,
}

/// Something that stands in the way.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "the published format of a decision")]
pub struct Block {
    /// What an override would name: `case.C7.3-always-bad`, `guards.max_model_invocations`, …
    pub id: String,
    /// What is wrong, on one line.
    pub what: String,
    /// Whether it is only that something has no verdict yet.
    pub open: bool,
    /// The override that lifts it.
    pub lifted_by: Option<Override>,
}

impl Decision {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Blocked => "blocked",
            Self::Incomplete => "incomplete",
        }
    }

    /// What a shell is told: 0 open, 1 blocked, 3 incomplete, as of a run of the suite.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Open => 0,
            Self::Blocked => 1,
            Self::Incomplete => 3,
        }
    }
}

/// Holds `reports`, of one backend with one or more profiles, against `policy`.
///
/// `baseline` is what the policy's growth guards compare with: a report of what is merged already. Nothing can be
/// lifted that concerns the policy itself: an expired override blocks, and so does one that lifts nothing.
pub fn gate(
    reports: &[&VerifiedReport],
    policy: &Policy,
    baseline: Option<&VerifiedReport>,
    today: Day,
) -> GateResult {
    let mut blocks = Blocks::default();
    let mut known = Vec::new();
    profiles(reports, policy, &mut blocks);
    for report in reports {
        of_report(report.report(), today, &mut blocks, &mut known);
        guards::check(report.report(), policy, baseline.map(VerifiedReport::report), &mut blocks);
    }
    known.sort();
    known.dedup();
    let allowed = policy.known_failures;
    if known.len() > allowed {
        blocks.add(
            "known_failures.at_most",
            format!("{} failures are known, and {allowed} are allowed", known.len()),
        );
    }
    let blocks = blocks.lifted(policy, today);
    let standing = || blocks.iter().filter(|block| block.lifted_by.is_none());
    let decision = if standing().next().is_none() {
        Decision::Open
    } else if standing().all(|block| block.open) {
        Decision::Incomplete
    } else {
        Decision::Blocked
    };
    GateResult { decision, blocks, overrides: policy.overrides.clone(), known }
}

/// Each required profile has a report, and all are of one backend.
fn profiles(reports: &[&VerifiedReport], policy: &Policy, blocks: &mut Blocks) {
    for required in &policy.profiles {
        let covered = reports.iter().any(|report| {
            report.report().profile.parse::<crate::registry::Profile>().is_ok_and(|has| has.covers(*required))
        });
        if !covered {
            blocks.add(format!("profile.{required}"), format!("no report is of profile {required}"));
        }
    }
    let subjects: BTreeSet<String> = reports.iter().map(|report| report.report().who()).collect();
    if subjects.len() > 1 {
        let all = subjects.into_iter().collect::<Vec<_>>().join(", ");
        blocks.add("subject", format!("the reports are of different backends: {all}"));
    }
}

/// Cases that failed, or of which nobody knows.
fn of_report(report: &Report, today: Day, blocks: &mut Blocks, known: &mut Vec<String>) {
    let before = blocks.found.len();
    if let Some(only) = &report.only {
        let only = plain::line(only, plain::NAME);
        blocks.add_open("only", format!("the report holds a part: only `{only}` was asked for"));
    }
    let mut excused = false;
    for case in &report.cases {
        // A report may be older than the decision: an excuse that held when it was made can be over by now.
        let holds =
            |entry: &&Known| !entry.stale && entry.expires.parse::<Day>().is_ok_and(|last| today <= last);
        let excuse = case.known.as_ref().filter(holds);
        if let (Some(entry), None) = (&case.known, excuse) {
            let (reason, expires) =
                (plain::line(&entry.reason, plain::TEXT), plain::line(&entry.expires, plain::NAME));
            blocks.add(
                format!("known.{}", case.id),
                format!("a stale entry of the known failures, until {expires}: {reason}"),
            );
        }
        if !case.scored {
            continue;
        }
        let what = || case.what_is_wrong();
        match case.verdict {
            Verdict::Pass | Verdict::NotApplicable => {}
            Verdict::Fail | Verdict::Untestable if excuse.is_some() => {
                excused = true;
                known.push(case.id.clone());
            }
            Verdict::Fail | Verdict::Untestable => blocks.add(format!("case.{}", case.id), what()),
            Verdict::Inconclusive | Verdict::NotRun | Verdict::HarnessError => {
                let what = format!("{}: {}", case.verdict.in_words(), what());
                blocks.add_open(format!("case.{}", case.id), what);
            }
        }
    }
    // Such as a run without a single pass.
    if report.conformance != Conformance::Conformant && !excused && blocks.found.len() == before {
        blocks.add_open("conformance", String::from("no case passed: nothing is known of the backend"));
    }
}

/// What stands in the way, each thing once.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    found: Vec<Block>,
}

impl Blocks {
    pub(crate) fn add(&mut self, id: impl Into<String>, what: impl Into<String>) {
        self.push(id.into(), what.into(), false);
    }

    fn add_open(&mut self, id: impl Into<String>, what: impl Into<String>) {
        self.push(id.into(), what.into(), true);
    }

    fn push(&mut self, id: String, what: String, open: bool) {
        // Of two reports that say the same, the worse counts.
        match self.found.iter_mut().find(|block| block.id == id) {
            Some(block) if block.open && !open => *block = Block { id, what, open, lifted_by: None },
            Some(_) => {}
            None => self.found.push(Block { id, what, open, lifted_by: None }),
        }
    }

    /// The blocks with the overrides that lift them, and those that the overrides themselves are.
    fn lifted(mut self, policy: &Policy, today: Day) -> Vec<Block> {
        let mut faults = Blocks::default();
        for entry in &policy.overrides {
            let id = format!("override.{}", entry.block);
            let block = self.found.iter_mut().find(|block| block.id == entry.block);
            match block {
                None => faults.add(id, "lifts nothing: take it out"),
                Some(_) if today > entry.expires => {
                    faults.add(
                        id,
                        format!(
                            "expired on {}: mend what it lifted, or have it reviewed anew",
                            entry.expires
                        ),
                    );
                }
                Some(block) => block.lifted_by = Some(entry.clone()),
            }
        }
        self.found.extend(faults.found);
        self.found
    }
}

#[cfg(test)]
mod tests;
