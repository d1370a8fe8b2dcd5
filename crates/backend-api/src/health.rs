//! Whether a backend would take a run now (C3.5).

use serde::Serialize;

/// What [`health_check`](crate::ExecutionBackend::health_check) answers. Studio suggests upgrades from it.
#[expect(clippy::exhaustive_structs, reason = "contract §3.2 lists the fields")]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BackendStatus {
    /// In one word.
    pub status: HealthStatus,
    /// What is there, and how much of it is in use.
    pub capacity_summary: CapacitySummary,
    /// The backend's own version.
    pub backend_version: String,
}

/// Health in one word.
#[expect(clippy::exhaustive_enums, reason = "contract §3.2 closes the set")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// Every graph within the capabilities would be taken.
    Healthy,
    /// Some would be, others would wait or fail.
    Degraded,
    /// None would be.
    Unavailable,
}

/// What a backend has and what of it is in use.
#[expect(clippy::exhaustive_structs, reason = "what every backend must fill stays plain")]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CapacitySummary {
    /// Runs in progress.
    pub active_runs: u64,
    /// Tasks that may run at once.
    pub max_concurrency: u32,
    /// Share of the processors in use over the last minute, 1 is all of them. `None` if the system does not say.
    pub cpu_load: Option<f64>,
    /// Bytes of memory that are free to use. `None` if the system does not say.
    pub free_memory_bytes: Option<u64>,
    /// What answers model tasks, and whether it does.
    pub models: Vec<ModelHealth>,
}

/// Whether one model adapter answers.
#[expect(clippy::exhaustive_structs, reason = "what every backend must fill stays plain")]
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ModelHealth {
    /// The adapter's name.
    pub adapter: String,
    /// Whether it answered when asked.
    pub reachable: bool,
    /// Why not, and how to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}
