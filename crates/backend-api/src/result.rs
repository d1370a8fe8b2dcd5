//! What came of a run that started (C3.4).

use kora_ir::{GraphDigest, ValidatedOutput};
use serde::Serialize;
use telemetry::{Failure, SemanticDigest, TelemetryBundle};

use crate::{BackendMode, InterfaceVersion, RunId, TraceId};

/// The outcome of a run, failed or not. A run that did not start is a [`Refusal`](crate::Refusal) instead.
#[expect(clippy::exhaustive_structs, reason = "what every backend must fill stays plain")]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExecutionResult {
    /// `failed` exactly if `failure` is there.
    pub status: ExecutionStatus,
    /// The root's output. A run with a failure elsewhere can have one.
    pub final_output: Option<ValidatedOutput>,
    /// The first root cause in canonical order (S10).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Every task's record, and the totals (C8.1, C8.2).
    pub telemetry_bundle: TelemetryBundle,
    /// About the run itself.
    pub execution_metadata: ExecutionMetadata,
}

/// Whether a run did what it was for.
#[expect(clippy::exhaustive_enums, reason = "KORA's public API closes the set")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionStatus {
    /// Nothing failed that was not stood in for.
    Success,
    /// Something did.
    Failed,
}

/// About a run: which, where, of what, how long.
#[expect(clippy::exhaustive_structs, reason = "what every backend must fill stays plain")]
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ExecutionMetadata {
    /// As in the context.
    pub run_id: RunId,
    /// As in the context.
    pub trace_id: TraceId,
    /// Which kind of backend ran it.
    pub backend: BackendMode,
    /// The backend's own version.
    pub backend_version: String,
    /// The version of the interface that it kept to (C10.1).
    pub interface_version: InterfaceVersion,
    /// As KORA wrote it.
    pub graph_id: String,
    /// Of the graph that was run (I1).
    pub graph_digest: GraphDigest,
    /// Equal for equal meaning (S11).
    pub semantic_digest: SemanticDigest,
    /// Milliseconds from start to end.
    pub duration_ms: u64,
}
