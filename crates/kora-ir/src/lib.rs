//! What KORA hands over: the TaskGraph, read and checked once, immutable after (C3.2).
//!
//! [`CheckedGraph::parse`] is the only way in. It reports everything that is wrong with a graph at once, each
//! [`Violation`] with its place in the document, or returns a type that proves the graph was checked (I1).
//! Nothing here does I/O, runs a task or knows a backend.
mod canonical;
mod id;

mod budget;
mod escalation;
mod prompt;
mod reference;
mod schema;
mod shape;
mod skip;
mod task;

mod limits;
mod violation;

mod pointer;
mod report;

mod locate;
mod read;
mod suggest;

mod check;
mod order;

mod digest;
mod parse;
mod v0_1;

mod graph;

mod document;
mod warning;

pub use crate::budget::{GraphBudgets, TaskBudget};
pub use crate::canonical::{write_canonical, write_string};
pub use crate::escalation::{EscalationCondition, EscalationEdge};
pub use crate::graph::{CheckedGraph, FailurePolicy};
pub use crate::id::{GraphDigest, TaskId, TaskIndex, TaskNames};
pub use crate::limits::Limits;
pub use crate::prompt::{Message, PromptError, PromptTemplate, Role};
pub use crate::read::kind_of;
pub use crate::reference::{Filled, Template, UnresolvedReason, UnresolvedReference};
pub use crate::schema::{OutputSchema, SchemaError, SchemaMismatch, ValidatedOutput};
pub use crate::skip::{SkipCondition, SkipWhen};
pub use crate::task::{
    ModelCall, ModelParameters, OperationUse, Priority, Privacy, Routing, Task, TaskMetadata, TaskType, Work,
};
pub use crate::violation::{InvalidGraph, Span, Violation, ViolationCode};
pub use crate::warning::{Warning, WarningCode};
