//! What a run reports: stages, run events, and the bundle as a fold over them (C8.1, C8.2, I5).
//!
//! This crate collects and computes; it never exports, logs or reads a clock. Because [`TelemetryBundle`] can be made
//! only by a [`Fold`], its totals cannot disagree with its records, and every task has exactly one record.
mod stage;

mod failure;
mod record;

mod entry;
mod event;
mod fold;
mod totals;

mod bundle;
mod digest;

pub use crate::bundle::{CloudFields, TelemetryBundle};
pub use crate::digest::SemanticDigest;
pub use crate::event::Event;
pub use crate::failure::{Breach, Budgeted, Failure, FailureCategory};
pub use crate::fold::Fold;
pub use crate::record::{SkipReason, TaskRecord, TaskStatus, ValidationStatus};
pub use crate::stage::{Stage, Stages};
pub use crate::totals::Totals;
