//! The wire between KrakoBackend and a Krako fabric, for both ends (C5.1, C5.2, C5.4).
//!
//! Documents of the other end are hostile input: they are bounded, their versions come before anything else, and what
//! was read proves what was checked. [`mapping`] holds KORA's words against Krako's, one table a file. Nothing here
//! talks to a network, reads a clock or decides what a run means: that is for whoever drives the engine. What Krako does
//! not publish is decided in decision 0019.
mod limits;
mod version;
mod word;

mod digest;
mod json;
mod name;
mod timestamp;

mod objects;
mod reading;

mod submission;

mod failure;
mod work_unit;

mod event;
mod sse;

mod session;
mod usage;

mod error;

mod capability;
mod health;

pub mod mapping;

#[cfg(feature = "schema")]
mod openapi;
#[cfg(feature = "schema")]
mod schema;

#[cfg(test)]
mod testing;

pub use crate::capability::{CapabilitiesDocument, PodModel};
pub use crate::digest::{InvalidDigest, Sha256Text};
pub use crate::error::{ErrorResponse, ErrorType};
pub use crate::event::{
    AttemptEnd, Claimed, Completed, Completion, Ending, Event, EventIntake, EventKind, Failed, Happening,
    InvalidSequence, ScheduleReason, Scheduled, Sequence, SessionEnded, SessionEvent, SessionStarted,
    SessionStopping, Skip, Started, Stopped, Stopping, Taken, UnitEvent, UnitHappening, UnknownEvent,
    Validated, WrongEvent,
};
pub use crate::failure::{BreachDetail, Cap, ErrorCategory, Remark, StopReason, UnitFailure};
pub use crate::health::{Capacity, Health, HealthDocument, PodHealth};
pub use crate::json::Json;
pub use crate::limits::WireLimits;
pub use crate::name::{
    BillingId, EventId, GraphId, InvalidWireName, NodeId, Region, RequestId, SessionId, TenantId, WorkUnitId,
};
#[cfg(feature = "schema")]
pub use crate::openapi::openapi;
pub use crate::reading::{Document, InvalidDocument, read, write};
#[cfg(feature = "schema")]
pub use crate::schema::{SCHEMAS, schema};
pub use crate::session::{
    Progress, SessionReport, SessionStatus, SessionTelemetry, SessionTotals, UnitRecord, UnitStatus,
};
pub use crate::sse::{KEEP_ALIVE, SseError, SseReader, frame};
pub use crate::submission::{
    Anchor, Anchoring, InvalidSubmission, SessionPriority, Submission, SubmissionContext, SubmissionOptions,
};
pub use crate::timestamp::{InvalidTimestamp, Timestamp};
pub use crate::usage::{Billing, LineItem, LineItemKind, UsageReport, Usd};
pub use crate::version::{API_VERSION, CONTRACT_VERSION, VersionField, VersionMismatch};
pub use crate::work_unit::{
    ExecutionSession, SessionBudget, Validation, WorkUnit, WorkUnitKind, WorkUnitState,
};
