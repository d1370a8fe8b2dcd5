//! What a backend can run (C3.6). What is not said here, KORA does not assume (C3.7).

use kora_ir::TaskType;
use serde::Serialize;

/// What [`capability_descriptor`](crate::ExecutionBackend::capability_descriptor) answers.
#[expect(clippy::exhaustive_structs, reason = "what every backend must fill stays plain")]
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct BackendCapabilities {
    /// Parameters of the largest model. `None` if no model says how large it is.
    pub max_model_size: Option<u64>,
    /// Tasks that may run at once.
    pub max_concurrency: u32,
    /// Types of task, in the contract's order.
    pub supported_task_types: Vec<TaskType>,
    /// Tokens of the largest context window. `None` if no model says.
    pub supported_context_window: Option<u64>,
    /// Whether tasks may run on more than one machine.
    pub distributed: bool,
    /// Models that tasks may name, ids and tiers.
    pub models: Vec<ModelCapability>,
    /// Operations that deterministic and aggregation tasks may name.
    pub operations: Vec<String>,
    /// Extensions of contract §12 that this backend has.
    pub extensions: Vec<Extension>,
}

/// A model that tasks may name.
#[expect(clippy::exhaustive_structs, reason = "what every backend must fill stays plain")]
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ModelCapability {
    /// What a task writes in `run.model`.
    pub model_id: String,
    /// The tier it belongs to, if any; a task may name that instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// The adapter that answers for it.
    pub adapter: String,
    /// Tokens of its context window, if known.
    pub context_tokens: Option<u64>,
    /// Its parameters, if known.
    pub parameters: Option<u64>,
}

/// The extensions of contract §12.
#[expect(clippy::exhaustive_enums, reason = "contract §12 lists them")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Extension {
    /// Run events as they happen (C12.1).
    Streaming,
    /// Running part of a graph (C12.2).
    PartialGraph,
    /// Hints where to run (C12.3).
    RegionHints,
}
