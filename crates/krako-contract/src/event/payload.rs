//! What events say, beside who and when.

use serde::{Deserialize, Deserializer, Serialize};

use crate::digest::Sha256Text;
use crate::failure::Remark;
use crate::json::Json;
use crate::word::words;
use crate::{NodeId, Region, StopReason, UnitFailure, Validation, WorkUnitId};

words! {
    /// How an attempt ended.
    #[expect(clippy::exhaustive_enums, reason = "the engine has a rule for each")]
    pub enum Ending {
        /// With an output that the schema admitted where it was made.
        Output = "output",
        /// With an output that it refused.
        SchemaMismatch = "schema_mismatch",
        /// The operation or the model failed.
        Failed = "failed",
        /// Its time was over.
        TimedOut = "timed_out",
        /// Its tokens were over.
        TokensExhausted = "tokens_exhausted",
        /// It was not wanted any more.
        Cancelled = "cancelled",
    }
}

/// How one attempt ended, and what it spent.
///
/// The payload of `llm.invocation.completed` and `.failed`. An attempt on `cpu` has no such event: its end stands in
/// the next event of its unit, as `attempt_end`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "a fabric must say all of it")]
pub struct AttemptEnd {
    /// How.
    pub ended: Ending,
    /// Microseconds from start to end.
    pub elapsed_us: u64,
    /// Prompt tokens. 0 on `cpu`.
    #[serde(default)]
    pub tokens_in: u64,
    /// Generated tokens. 0 on `cpu`.
    #[serde(default)]
    pub tokens_out: u64,
    /// Whether a count was not stated and is the highest it can have been.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tokens_estimated: bool,
    /// What happened, of one that `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Remark>,
    /// Whether another attempt may go better, of one that `failed` (S8).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub transient: bool,
}

words! {
    /// Why a unit was put in line.
    #[expect(clippy::exhaustive_enums, reason = "the engine makes a task ready in these ways only")]
    pub enum ScheduleReason {
        /// Everything before it is done: it may start.
        Ready = "ready",
        /// The attempt before did not do; another will follow after a wait.
        Retry = "retry",
        /// That wait is over: it may start.
        Resumed = "resumed",
        /// A declared edge woke it to stand in for another.
        Escalation = "escalation",
    }
}

/// `workunit.scheduled`. `attempt_index` is that of the attempt to come.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "each reason has its field")]
pub struct Scheduled {
    /// Why.
    pub reason: ScheduleReason,
    /// Why the attempt before did not do, of a `retry`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<UnitFailure>,
    /// How that attempt ended, of a `retry` on `cpu` whose schema was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_end: Option<AttemptEnd>,
    /// Microseconds that it waited, of one that `resumed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited_us: Option<u64>,
    /// The unit that it stands in for, of an `escalation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalated_from: Option<WorkUnitId>,
}

/// `workunit.claimed`. Placement; no part of what a run means.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "who took it")]
pub struct Claimed {
    /// The node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_id: Option<NodeId>,
}

/// `workunit.started` and `llm.invocation.started`: the envelope says it all.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "the envelope says it all")]
pub struct Started {}

/// `workunit.validated`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "what the schema said, of what")]
pub struct Validated {
    /// What the schema said: `pass` or `fail`.
    pub validation_status: Validation,
    /// The output, if it passed. Nothing that a schema refused is ever on the wire (I2).
    #[serde(default, deserialize_with = "there", skip_serializing_if = "Option::is_none")]
    pub output: Option<Json>,
    /// Which parts of the schema were broken, if it did not: at most 8, and nothing of the output itself (I9).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Remark>,
    /// How the attempt ended, on `cpu`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_end: Option<AttemptEnd>,
}

/// `null` is an output like any other; none is none.
fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}

words! {
    /// What `workunit.completed` is a completion of.
    #[expect(clippy::exhaustive_enums, reason = "a unit that did not fail was run or was not")]
    pub enum Completion {
        /// It settled with an output of its own.
        Success = "success",
        /// It was not run.
        Skipped = "skipped",
    }
}

words! {
    /// Why a unit was not run, though nothing upstream failed.
    #[expect(clippy::exhaustive_enums, reason = "the engine decides, in these four ways only")]
    pub enum Skip {
        /// Its `skip_when` held; its declared output stands in its place.
        Condition = "condition",
        /// No escalation edge woke it.
        Dormant = "dormant",
        /// An earlier task failed in a `fail_fast` graph.
        FailFast = "fail_fast",
        /// The session was cancelled.
        Cancelled = "cancelled",
    }
}

/// `workunit.completed`. A `workunit_cpu` is billed from it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "how it settled")]
pub struct Completed {
    /// Whether it was run.
    pub status: Completion,
    /// Why it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip_reason: Option<Skip>,
}

/// `workunit.stopped`: an attempt on `cpu` that was under way when its unit ceased to count. A model's has an event anyway.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "what it had spent")]
pub struct Stopped {
    /// How it ended.
    pub attempt_end: AttemptEnd,
}

/// `workunit.failed`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "why it failed")]
pub struct Failed {
    /// Why.
    pub failure: UnitFailure,
    /// How the last attempt ended, on `cpu`, if its schema was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_end: Option<AttemptEnd>,
}

/// `execution.session.started`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "of which graph, where")]
pub struct SessionStarted {
    /// Of the graph that will be run (I1).
    pub graph_digest: Sha256Text,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
}

words! {
    /// Why a session is stopped before its end.
    #[expect(clippy::exhaustive_enums, reason = "the engine knows these two")]
    pub enum Stopping {
        /// Nobody wants it any more (S13).
        Cancelled = "cancelled",
        /// Its `max_latency_ms` is over (C7.5).
        LatencyExceeded = "latency_exceeded",
    }
}

/// `execution.session.stopping`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "why, when")]
pub struct SessionStopping {
    /// Why.
    pub reason: Stopping,
    /// Milliseconds since the start of the session.
    pub elapsed_ms: u64,
}

/// `execution.session.completed` and `.failed`: the last event of a session.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "what came of it")]
pub struct SessionEnded {
    /// Why it stopped. Absent of a cancelled one, which did not fail by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<StopReason>,
    /// The first root cause in canonical order (S10), if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<UnitFailure>,
    /// Milliseconds from start to end.
    pub session_latency_ms: u64,
    /// Equal for equal meaning (S11): what a replay has to come to.
    pub semantic_digest: Sha256Text,
}
