//! What stops a run before it starts (C10.3): not a failure, and outside the five categories (C9.2).

use kora_ir::InvalidGraph;
use serde::Serialize;
use thiserror::Error;

use crate::{BackendMode, VersionError};

/// Nothing ran, nothing was spent, and this is why.
#[expect(clippy::exhaustive_enums, reason = "a new way to refuse is a new version of the interface")]
#[derive(Clone, Debug, Error)]
pub enum Refusal {
    /// The caller speaks another MAJOR of the interface (C10.3).
    #[error(transparent)]
    VersionMismatch(#[from] VersionError),
    /// The graph breaks a rule.
    #[error("invalid graph: {0}")]
    InvalidGraph(#[from] InvalidGraph),
    /// The graph needs more than the capability descriptor offers (C3.7). All that is missing, at once.
    #[error("beyond this backend's capabilities: {}", join(.0))]
    BeyondCapabilities(Vec<UnmetCapability>),
    /// The context was meant for another kind of backend.
    #[error("the context asks for backend `{}`, and this is `{}`", .asked.as_str(), .this.as_str())]
    WrongBackend {
        /// The context's `backend_mode`.
        asked: BackendMode,
        /// This backend's.
        this: BackendMode,
    },
    /// The backend does not know the caller, or does not allow it.
    #[error("not authenticated: {0}")]
    Unauthenticated(String),
    /// The backend cannot be reached or takes no more work now.
    #[error("unavailable: {reason}")]
    Unavailable {
        /// Why, and how to mend it.
        reason: String,
        /// Milliseconds after which to try again, if the backend said so.
        retry_after_ms: Option<u64>,
    },
}

impl Refusal {
    /// The `error_type` of KORA's public API, where it names one.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::VersionMismatch(_) => "VERSION_MISMATCH",
            Self::InvalidGraph(invalid) if invalid.is_version_mismatch() => "VERSION_MISMATCH",
            Self::InvalidGraph(_) | Self::BeyondCapabilities(_) | Self::WrongBackend { .. } => {
                "VALIDATION_ERROR"
            }
            Self::Unauthenticated(_) => "UNAUTHENTICATED",
            Self::Unavailable { .. } => "UNAVAILABLE",
        }
    }
}

fn join(unmet: &[UnmetCapability]) -> String {
    unmet.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// One need of one task that the backend does not meet.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Error)]
#[error("task `{task_id}` needs {needed}: {offered}")]
#[expect(clippy::exhaustive_structs, reason = "who, what, and what there is instead")]
pub struct UnmetCapability {
    /// The task.
    pub task_id: String,
    /// The capability's name in the descriptor.
    pub capability: &'static str,
    /// What the task needs.
    pub needed: String,
    /// What the backend offers instead.
    pub offered: String,
}
