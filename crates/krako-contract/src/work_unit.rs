//! What a graph is to Krako: a session of work units, each with its caps and the pool that runs it.

use serde::{Deserialize, Serialize};
use telemetry::ValidationStatus;

use crate::digest::Sha256Text;
use crate::reading::document;
use crate::word::words;
use crate::{GraphId, RequestId, SessionId, TenantId, WorkUnitId};

words! {
    /// What kind of node runs a work unit: the pool that it is queued for.
    #[expect(clippy::exhaustive_enums, reason = "Krako has these two pools")]
    pub enum WorkUnitKind {
        /// Deterministic and aggregation tasks.
        Cpu = "cpu",
        /// Model tasks. The only pool that holds models (C11.2).
        LlmPod = "llm_pod",
    }
}

words! {
    /// Where a work unit stands.
    #[expect(clippy::exhaustive_enums, reason = "one for each published event of a work unit, and what comes before and beside")]
    pub enum WorkUnitState {
        /// Something before it is open, or it is dormant.
        Pending = "pending",
        /// In the queue of its pool.
        Scheduled = "scheduled",
        /// A node has it.
        Claimed = "claimed",
        /// An attempt is under way.
        Started = "started",
        /// Its output was held against its schema.
        Validated = "validated",
        /// Settled with an output.
        Completed = "completed",
        /// Settled without one.
        Failed = "failed",
        /// Settled without having been run, and without having failed.
        Skipped = "skipped",
    }
}

impl WorkUnitState {
    /// Whether nothing more will come of it.
    pub fn is_settled(self) -> bool {
        match self {
            Self::Completed | Self::Failed | Self::Skipped => true,
            Self::Pending | Self::Scheduled | Self::Claimed | Self::Started | Self::Validated => false,
        }
    }
}

words! {
    /// What the schema said, at the execution boundary. Never bypassed (C2.4).
    #[expect(clippy::exhaustive_enums, reason = "a schema admits, refuses, or was not asked")]
    pub enum Validation {
        /// It admitted the output.
        Pass = "pass",
        /// It refused the last output.
        Fail = "fail",
        /// There was no output to ask about.
        Skipped = "skipped",
    }
}

impl From<ValidationStatus> for Validation {
    fn from(status: ValidationStatus) -> Self {
        match status {
            ValidationStatus::Pass => Self::Pass,
            ValidationStatus::Fail => Self::Fail,
            ValidationStatus::Skipped => Self::Skipped,
        }
    }
}

impl From<Validation> for ValidationStatus {
    fn from(status: Validation) -> Self {
        match status {
            Validation::Pass => Self::Pass,
            Validation::Fail => Self::Fail,
            Validation::Skipped => Self::Skipped,
        }
    }
}

/// A task as a work unit. What it does and its schema stay in the graph, which its node has: nothing is said twice.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "the mapping table of Krako closes the set of fields")]
pub struct WorkUnit {
    /// The task's `id`.
    pub work_unit_id: WorkUnitId,
    /// The task's `version`.
    pub schema_version: String,
    /// The pool, by the task's `type`.
    pub kind: WorkUnitKind,
    /// The task's `dependencies`, unchanged.
    pub dependencies: Vec<WorkUnitId>,
    /// `max_tokens`: generated tokens of all attempts together, enforced at the LLM invocation (C7.2). 0 for `cpu`.
    pub token_cap: u64,
    /// `max_time_ms`: milliseconds of all attempts together, enforced at the executor (C7.4).
    pub timeout_ms: u64,
    /// `max_retries`: attempts after the first, enforced at the scheduler (C7.3).
    pub retry_cap: u32,
}

/// The graph's own `budgets` as those of its session. An absent cap is one that KORA did not declare.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "KORA closes the set of budget fields")]
pub struct SessionBudget {
    /// Model invocations, each attempt counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_llm_calls: Option<u64>,
    /// Executions on `cpu`, each attempt counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cpu_units: Option<u64>,
    /// Generated tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Milliseconds from the start of the session to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_latency_ms: Option<u64>,
}

/// One accepted graph: exactly one session. What the fabric says it runs, to be held against the graph.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "the mapping table of Krako closes the set of fields")]
pub struct ExecutionSession {
    /// Names the session.
    pub execution_session_id: SessionId,
    /// As KORA wrote it.
    pub graph_id: GraphId,
    /// Of the graph as KORA wrote it (I1).
    pub graph_digest: Sha256Text,
    /// The idempotency anchor that it was submitted under.
    pub request_id: RequestId,
    /// Who is billed.
    pub tenant_id: TenantId,
    /// The graph's `root`.
    pub root_work_unit_id: WorkUnitId,
    /// The graph's `budgets`.
    pub session_budget: SessionBudget,
    /// Every task, in canonical order.
    pub work_units: Vec<WorkUnit>,
}

document!(ExecutionSession, "execution-session", max_report_bytes);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for &kind in WorkUnitKind::ALL {
            assert_eq!(WorkUnitKind::from_word(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        for &state in WorkUnitState::ALL {
            assert_eq!(WorkUnitState::from_word(state.as_str()), Some(state));
        }
        assert_eq!(WorkUnitState::from_word("done"), None);
    }

    #[test]
    fn what_a_schema_said_is_the_same_on_both_sides() {
        for &status in Validation::ALL {
            let told = ValidationStatus::from(status);
            assert_eq!(Validation::from(told), status);
            assert_eq!(serde_json::to_value(told).unwrap(), status.as_str());
        }
    }
}
