//! The five ways in which a run or a task can fail (C9.1), closed (C9.2).

use kora_ir::TaskId;
use serde::Serialize;
use thiserror::Error;

/// What kind of failure. A new kind would take a new version of the interface (C9.2).
#[expect(clippy::exhaustive_enums, reason = "contract §9 closes the set")]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FailureCategory {
    /// An output broke its schema, or an input could not be built.
    ValidationError,
    /// A task's own time ran out.
    Timeout,
    /// Tokens or one of the graph's own budgets ran out (C7.5).
    BudgetBreach,
    /// Something upstream failed; the task was not run.
    DependencyFailure,
    /// The operation or the model failed.
    ExecutionFailure,
}

impl FailureCategory {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ValidationError => "VALIDATION_ERROR",
            Self::Timeout => "TIMEOUT",
            Self::BudgetBreach => "BUDGET_BREACH",
            Self::DependencyFailure => "DEPENDENCY_FAILURE",
            Self::ExecutionFailure => "EXECUTION_FAILURE",
        }
    }
}

/// Why a task settled without an output.
#[derive(Clone, Debug, Eq, Error, PartialEq, Serialize)]
#[error("task `{task_id}`: {}: {message}", .error_type.as_str())]
pub struct Failure {
    /// One of the five categories.
    pub error_type: FailureCategory,
    /// The task that failed.
    pub task_id: TaskId,
    /// What happened, for people. Holds no prompt and no output (I9).
    pub message: String,
    /// The cap that ran out, whichever category names it (C7.6).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breach: Option<Breach>,
    /// Whether every allowed retry was used (C7.3).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub retries_exhausted: bool,
}

/// A cap, what was declared, and what was used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Breach {
    /// Which cap.
    pub cap: Budgeted,
    /// As declared: tokens, milliseconds, calls or units, by `cap`.
    pub declared: u64,
    /// What had been used when the cap stopped the work, in the same unit.
    pub used: u64,
}

/// Everything that a budget caps.
#[expect(clippy::exhaustive_enums, reason = "KORA closes the set of budget fields")]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Budgeted {
    /// Generated tokens of one task.
    #[serde(rename = "task.max_tokens")]
    TaskTokens,
    /// Milliseconds of one task.
    #[serde(rename = "task.max_time_ms")]
    TaskTime,
    /// Generated tokens of the run.
    #[serde(rename = "graph.max_tokens")]
    GraphTokens,
    /// Model invocations of the run.
    #[serde(rename = "graph.max_llm_calls")]
    GraphLlmCalls,
    /// Deterministic executions of the run.
    #[serde(rename = "graph.max_cpu_units")]
    GraphCpuUnits,
    /// Milliseconds of the run.
    #[serde(rename = "graph.max_latency_ms")]
    GraphLatency,
}

impl Budgeted {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TaskTokens => "task.max_tokens",
            Self::TaskTime => "task.max_time_ms",
            Self::GraphTokens => "graph.max_tokens",
            Self::GraphLlmCalls => "graph.max_llm_calls",
            Self::GraphCpuUnits => "graph.max_cpu_units",
            Self::GraphLatency => "graph.max_latency_ms",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // shows C9.1, C9.2
    #[test]
    fn the_categories_are_the_five_of_the_contract() {
        let words = [
            FailureCategory::ValidationError,
            FailureCategory::Timeout,
            FailureCategory::BudgetBreach,
            FailureCategory::DependencyFailure,
            FailureCategory::ExecutionFailure,
        ]
        .map(|category| {
            assert_eq!(serde_json::to_value(category).unwrap(), category.as_str());
            category.as_str()
        });
        assert_eq!(
            words,
            ["VALIDATION_ERROR", "TIMEOUT", "BUDGET_BREACH", "DEPENDENCY_FAILURE", "EXECUTION_FAILURE"]
        );
    }

    #[test]
    fn a_cap_reads_the_same_in_json_and_in_text() {
        for cap in [
            Budgeted::TaskTokens,
            Budgeted::TaskTime,
            Budgeted::GraphTokens,
            Budgeted::GraphLlmCalls,
            Budgeted::GraphCpuUnits,
            Budgeted::GraphLatency,
        ] {
            assert_eq!(serde_json::to_value(cap).unwrap(), cap.as_str());
        }
    }
}
