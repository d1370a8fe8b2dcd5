//! Runs an operation once, and holds what it gives against the schema.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use engine::AttemptOutcome;
use kora_ir::OutputSchema;
use operations::{Meter, OperationCall, OperationErrorKind, OperationRegistry, PreparedOperation};
use serde_json::Value;

/// Makes an operation ready to run. It may be anybody's, so a panic of it is an operation that cannot be had, and no
/// more.
///
/// `args` is as written in the graph.
///
/// # Errors
///
/// Says for people why there is no such operation, or none with such arguments (C3.7).
pub fn prepare(
    registry: &OperationRegistry,
    name: &str,
    args: &Value,
) -> Result<Arc<dyn PreparedOperation>, String> {
    match catch_unwind(AssertUnwindSafe(|| registry.prepare(name, args))) {
        Ok(operation) => operation.map_err(|error| error.to_string()),
        Err(_) => Err(String::from("the operation panicked while it was prepared")),
    }
}

/// Runs an operation and holds its output against the schema (C4.4). A panic of the operation is its failure.
///
/// Blocks for as long as the operation takes. What stops at the meter's stop flag has
/// [`Cancelled`](AttemptOutcome::Cancelled) for its outcome; [`out_of_time`] says what it was.
pub fn operate(
    operation: &dyn PreparedOperation,
    call: &OperationCall<'_>,
    schema: &OutputSchema,
    meter: &mut Meter,
) -> AttemptOutcome {
    // The gate stands outside: it is ours, and a panic of it would be no failure of an operation.
    match catch_unwind(AssertUnwindSafe(|| operation.run(call, meter))) {
        Ok(Ok(value)) => match schema.admit(value) {
            Ok(output) => AttemptOutcome::Output(output),
            Err(mismatch) => AttemptOutcome::SchemaMismatch(mismatch),
        },
        Ok(Err(error)) if error.kind == OperationErrorKind::Stopped => AttemptOutcome::Cancelled,
        Ok(Err(error)) => AttemptOutcome::Failed { message: error.to_string(), transient: error.transient },
        // The text of a panic may hold content, so it is not repeated (I9).
        Err(_) => {
            AttemptOutcome::Failed { message: String::from("the operation panicked"), transient: false }
        }
    }
}

/// What an operation's outcome is after `elapsed` of the `time_left` that it had: what stopped when it was told to, stopped
/// for its time, unless there was time left.
pub fn out_of_time(outcome: AttemptOutcome, elapsed: Duration, time_left: Duration) -> AttemptOutcome {
    let over = elapsed >= time_left && matches!(outcome, AttemptOutcome::Cancelled);
    if over { AttemptOutcome::TimedOut } else { outcome }
}
