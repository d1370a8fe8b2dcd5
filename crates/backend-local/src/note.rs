//! What nobody can promise about a model task's reply, said before anything runs.

use kora_ir::TaskId;
use models::{ModelId, SchemaNote};
use serde::Serialize;

/// A place in a task's schema that its model cannot be held to, or that nothing but the token cap ends. The gate checks
/// every reply in any case (C11.1); such a task fails more often.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "a plain record of a finding, written as a literal")]
pub struct TaskNote {
    /// The task.
    pub task_id: TaskId,
    /// The model that would answer it.
    pub model: ModelId,
    /// What is the matter, and where in the task's schema.
    #[serde(flatten)]
    pub note: SchemaNote,
}
