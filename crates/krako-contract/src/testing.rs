//! What tests of this crate share: one small graph, and the members of sets that `kora-ir` and `telemetry` close.

use kora_ir::{CheckedGraph, Limits, TaskType};
use telemetry::Stage;

/// The graph of the examples.
pub(crate) const GRAPH: &str = include_str!("../examples/graph.json");

pub(crate) fn graph() -> CheckedGraph {
    CheckedGraph::parse(GRAPH, &Limits::default()).unwrap()
}

pub(crate) const TASK_TYPES: [TaskType; 3] =
    [TaskType::Deterministic, TaskType::Model, TaskType::Aggregation];

pub(crate) const STAGES: [Stage; 8] = [
    Stage::TaskConstructed,
    Stage::DagValidated,
    Stage::DeterministicExecution,
    Stage::ModelInvocation,
    Stage::SchemaValidation,
    Stage::Aggregation,
    Stage::TaskCompleted,
    Stage::TaskFailed,
];
