//! What an operation is: a name, a schema of its arguments, and a way to run.

use std::fmt::Debug;
use std::sync::Arc;

use serde_json::Value;

use crate::{Example, Meter, OperationError};

/// What one execution of an operation is given: all that it can see.
#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::exhaustive_structs,
    reason = "an operation may see nothing more, so nothing is ever added silently"
)]
pub struct OperationCall<'a> {
    /// The task's `run.args`, references resolved.
    pub args: &'a Value,
    /// The task's `input`, references resolved.
    pub input: &'a Value,
    /// Which attempt this is, from 0. A retry of a pure function is otherwise pointless; only
    /// `kora.flaky_once`, which exists to exercise retries, reads it.
    pub attempt: u32,
}

/// Something a deterministic or aggregation task can do.
///
/// # Invariants
///
/// - Pure: the same call gives the same result, on every machine (C2.1, C6.1).
/// - Total: hostile arguments and inputs give an [`OperationError`]; nothing panics.
/// - Bounded: work is charged to the [`Meter`] before it is done.
/// - Holds no handle to a model, clock, network, file or source of randomness (C11.2).
pub trait Operation: Debug + Send + Sync + 'static {
    /// The name under which a graph asks for it, such as `cel` or `table_lookup`.
    fn name(&self) -> &str;

    /// What it does, in one or more sentences of Markdown.
    fn summary(&self) -> &str;

    /// A JSON Schema of its arguments.
    fn args_schema(&self) -> &Value;

    /// One call and its output, shown in the reference page and run by the tests.
    fn example(&self) -> &Example;

    /// Checks `args` and does whatever work need not be repeated for each run.
    ///
    /// `args` is as written in the graph: an object with the key `$from` anywhere in it stands for a value
    /// that is not known yet and is accepted wherever data may stand, but not where code, a pattern or a
    /// pointer is expected, since those are checked before anything runs.
    ///
    /// # Errors
    ///
    /// Returns an error of kind [`InvalidArgs`](crate::OperationErrorKind::InvalidArgs) or
    /// [`LimitExceeded`](crate::OperationErrorKind::LimitExceeded) with a pointer into `args`.
    fn prepare(&self, args: &Value) -> Result<Arc<dyn PreparedOperation>, OperationError>;
}

/// An operation whose literal arguments have been checked.
pub trait PreparedOperation: Debug + Send + Sync {
    /// Runs it once.
    ///
    /// `call.args` holds the arguments that it was prepared with, now with every reference resolved; what was
    /// literal at preparation is not looked at again.
    ///
    /// # Errors
    ///
    /// Returns an [`OperationError`]; it is `transient` only if another attempt could end otherwise.
    fn run(&self, call: &OperationCall<'_>, meter: &mut Meter) -> Result<Value, OperationError>;
}
