//! `GET /v1/health`: whether a fabric would take a session now (C3.5).

use serde::{Deserialize, Serialize};

use crate::failure::Remark;
use crate::reading::document;
use crate::word::words;

words! {
    /// Health in one word.
    #[expect(clippy::exhaustive_enums, reason = "contract §3.2 closes the set")]
    pub enum Health {
        /// Every graph within the capabilities would be taken.
        Healthy = "healthy",
        /// Some would be, others would wait or fail.
        Degraded = "degraded",
        /// None would be.
        Unavailable = "unavailable",
    }
}

/// What a fabric tells of its health: KORA's `BackendStatus`, readable.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "contract §3.2 lists the fields")]
pub struct HealthDocument {
    /// In one word.
    pub status: Health,
    /// What is there, and how much of it is in use.
    pub capacity_summary: Capacity,
    /// The fabric's own version.
    pub backend_version: Remark,
}

document!(HealthDocument, "health", max_document_bytes);

/// What a fabric has and what of it is in use.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "as KORA's capacity summary")]
pub struct Capacity {
    /// Sessions in progress.
    pub active_runs: u64,
    /// Work units that may run at once.
    pub max_concurrency: u32,
    /// Share of the processors in use, 1 is all of them.
    #[serde(default)]
    pub cpu_load: Option<f64>,
    /// Bytes of memory that are free to use.
    #[serde(default)]
    pub free_memory_bytes: Option<u64>,
    /// What answers model tasks, and whether it does.
    #[serde(default)]
    pub models: Vec<PodHealth>,
}

/// Whether one adapter of the `llm_pod` pool answers.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "as KORA's model health")]
pub struct PodHealth {
    /// Its name.
    pub adapter: Remark,
    /// Whether it answered when asked.
    pub reachable: bool,
    /// Why not, and how to mend it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Remark>,
}
