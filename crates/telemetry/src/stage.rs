//! The eight stages that KORA names (S11).

use serde::Serialize;
use smallvec::SmallVec;

/// A step in the life of a task.
#[expect(clippy::exhaustive_enums, reason = "KORA closes the set of stages")]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[repr(u8)]
pub enum Stage {
    /// KORA built the task.
    TaskConstructed,
    /// The graph that holds it passed every check.
    DagValidated,
    /// An attempt of a deterministic task started.
    DeterministicExecution,
    /// An attempt of a model task started.
    ModelInvocation,
    /// An output was held against its schema.
    SchemaValidation,
    /// An attempt of an aggregation task started.
    Aggregation,
    /// The task settled with an output.
    TaskCompleted,
    /// The task settled without one.
    TaskFailed,
}

impl Stage {
    /// Every member, in the order declared.
    pub const ALL: [Self; 8] = [
        Self::TaskConstructed,
        Self::DagValidated,
        Self::DeterministicExecution,
        Self::ModelInvocation,
        Self::SchemaValidation,
        Self::Aggregation,
        Self::TaskCompleted,
        Self::TaskFailed,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TaskConstructed => "TASK_CONSTRUCTED",
            Self::DagValidated => "DAG_VALIDATED",
            Self::DeterministicExecution => "DETERMINISTIC_EXECUTION",
            Self::ModelInvocation => "MODEL_INVOCATION",
            Self::SchemaValidation => "SCHEMA_VALIDATION",
            Self::Aggregation => "AGGREGATION",
            Self::TaskCompleted => "TASK_COMPLETED",
            Self::TaskFailed => "TASK_FAILED",
        }
    }
}

/// The stages of one task in order. A task without retries needs no allocation.
pub type Stages = SmallVec<[Stage; 16]>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_on_the_wire_is_the_one_in_json() {
        for (place, stage) in Stage::ALL.into_iter().enumerate() {
            assert_eq!(stage as usize, place);
            assert_eq!(serde_json::to_value(stage).unwrap(), stage.as_str());
        }
    }
}
