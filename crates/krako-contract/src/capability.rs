//! `GET /v1/capabilities`: what a fabric can run (C3.6).

use serde::{Deserialize, Serialize};

use crate::failure::Remark;
use crate::reading::document;

/// What a fabric tells of its capabilities: KORA's `BackendCapabilities`, readable. Words that are not known here are
/// left out on reading: what is not understood is not assumed (C3.7).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "contract §3.3 lists the fields")]
pub struct CapabilitiesDocument {
    /// Parameters of the largest model.
    #[serde(default)]
    pub max_model_size: Option<u64>,
    /// Work units that may run at once.
    pub max_concurrency: u32,
    /// Types of task.
    pub supported_task_types: Vec<Remark>,
    /// Tokens of the largest context window.
    #[serde(default)]
    pub supported_context_window: Option<u64>,
    /// Whether work units may run on more than one machine.
    pub distributed: bool,
    /// Models that tasks may name.
    #[serde(default)]
    pub models: Vec<PodModel>,
    /// Operations that tasks may name.
    #[serde(default)]
    pub operations: Vec<Remark>,
    /// Extensions of contract §12.
    #[serde(default)]
    pub extensions: Vec<Remark>,
}

document!(CapabilitiesDocument, "capabilities", max_document_bytes);

/// A model of the `llm_pod` pool.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "as KORA's model capability")]
pub struct PodModel {
    /// What a task writes in `run.model`.
    pub model_id: Remark,
    /// The tier it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Remark>,
    /// The adapter that answers for it.
    pub adapter: Remark,
    /// Tokens of its context window.
    #[serde(default)]
    pub context_tokens: Option<u64>,
    /// Its parameters.
    #[serde(default)]
    pub parameters: Option<u64>,
}
