//! What is reported of one task (C8.1).

use kora_ir::{TaskId, TaskType};
use serde::Serialize;

use crate::{Failure, Stages};

/// One task's telemetry, on every path: run, failed, skipped, or never reached.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TaskRecord {
    /// As KORA wrote it.
    pub task_id: TaskId,
    /// As declared. Never collapsed, whatever the substrate calls it.
    pub task_type: TaskType,
    /// How it settled.
    pub status: TaskStatus,
    /// Milliseconds of all attempts together, waits between them not counted.
    pub duration_ms: u64,
    /// Prompt tokens of all attempts together.
    pub tokens_in: u64,
    /// Generated tokens of all attempts together.
    pub tokens_out: u64,
    /// Whether a token count was not stated by the model and is the highest it can have been.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tokens_estimated: bool,
    /// Attempts started after the first.
    pub retry_count: u32,
    /// What the schema said of the last output.
    pub validation_status: ValidationStatus,
    /// Every stage in order.
    pub stages: Stages,
    /// Why it was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_reason: Option<SkipReason>,
    /// The task that was woken to stand in for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escalated_to: Option<TaskId>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Box<Failure>>,
}

/// How a task settled.
#[expect(clippy::exhaustive_enums, reason = "a task settles in one of three ways")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// With an output that its schema admitted.
    Success,
    /// With a failure.
    Failed,
    /// Without having been run, and without having failed.
    Skipped,
}

/// What the schema said.
#[expect(clippy::exhaustive_enums, reason = "a schema admits, refuses, or was not asked")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ValidationStatus {
    /// It admitted the output.
    Pass,
    /// It refused the last output.
    Fail,
    /// There was no output to ask about.
    Skipped,
}

/// Why a task was not run, though nothing upstream failed.
#[expect(clippy::exhaustive_enums, reason = "the engine decides, in these four ways only")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// Its `skip_when` held; its declared output stands in its place.
    Condition,
    /// No escalation edge woke it.
    Dormant,
    /// An earlier task failed in a `fail_fast` graph.
    FailFast,
    /// The run was cancelled.
    Cancelled,
}
