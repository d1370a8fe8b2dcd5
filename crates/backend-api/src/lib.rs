//! The contract between KORA and whatever runs its task graphs.
//!
//! [`ExecutionBackend`] is the whole interface; the other types are its vocabulary. Clause ids such as C7.3 refer to
//! `docs/clauses.md`. There is no runtime here and no I/O.
mod backend;
mod context;
mod result;

mod document;
mod refusal;

mod capability;
mod health;
mod version;

mod streaming;

pub use crate::backend::ExecutionBackend;
pub use crate::capability::{BackendCapabilities, Extension, ModelCapability};
pub use crate::context::{BackendMode, ExecutionContext, InvalidName, RunId, TraceId, UserId};
pub use crate::document::{Fault, RefusalDocument};
pub use crate::health::{BackendStatus, CapacitySummary, HealthStatus, ModelHealth};
pub use crate::refusal::{Refusal, UnmetCapability};
pub use crate::result::{ExecutionMetadata, ExecutionResult, ExecutionStatus};
pub use crate::streaming::{RunObserver, StreamingExecution};
pub use crate::version::{InterfaceVersion, VersionError};
// The failures of a result are telemetry's, because records carry them too (I6).
pub use telemetry::{Breach, Budgeted, Failure, FailureCategory};
