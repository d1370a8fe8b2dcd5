//! What deterministic and aggregation tasks can do: pure, total, bounded operations.
//!
//! An [`Operation`] is looked up by name in an [`OperationRegistry`], prepared once per task definition
//! (everything that can be wrong with its arguments is found then, C4.1), and run with an
//! [`OperationCall`] under a [`Meter`]. It sees its arguments and its input and nothing else: no clock, no
//! network, no randomness, no files, and no handle through which a model could be reached (C11.2).
//!
//! Whatever the input, a run ends: with a value, or with an [`OperationError`] that says what, where and how
//! to mend it. No meaning depends on the order of an object's members or on whether a number was written
//! `1` or `1.0`, because neither survives the canonical form that a graph's digest is taken over.
mod about;
mod closure;
mod error;
mod limits;
mod meter;
mod operation; // then about, error; limits, meter; registry, closure, reference_page
mod reference_page;
mod registry;

mod built_in; // how the operations of this crate are made; then what they share
mod fields;
mod number;
mod order;
mod pattern;
mod pointer;
mod selection;

mod library; // the operations themselves

pub use crate::about::{About, Example};
pub use crate::closure::ClosureOperation;
pub use crate::error::{OperationError, OperationErrorKind};
pub use crate::limits::{Limit, OperationLimits};
pub use crate::meter::Meter;
pub use crate::operation::{Operation, OperationCall, PreparedOperation};
pub use crate::reference_page::reference_page;
pub use crate::registry::{DuplicateOperation, OperationRegistry};
