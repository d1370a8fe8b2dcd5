//! How the tests of the operations call them.

use serde_json::Value;

use crate::{Meter, OperationCall, OperationError, OperationRegistry};

/// Prepares and runs an operation once.
pub(crate) fn run_attempt(
    name: &str,
    args: &Value,
    input: &Value,
    attempt: u32,
) -> Result<Value, OperationError> {
    let registry = OperationRegistry::standard();
    let prepared = registry.prepare(name, args)?;
    prepared.run(&OperationCall { args, input, attempt }, &mut Meter::new(registry.limits()))
}

/// Checks that a call gives `output`.
#[track_caller]
pub(crate) fn check(name: &str, args: Value, input: Value, output: Value) {
    match run_attempt(name, &args, &input, 0) {
        Ok(found) => assert_eq!(found, output, "{name} {args} {input}"),
        Err(error) => panic!("{name} {args} {input}: {error}"),
    }
}

/// What each of these calls is told.
#[track_caller]
pub(crate) fn told(name: &str, calls: &[(Value, Value)]) -> String {
    calls
        .iter()
        .map(|(args, input)| match run_attempt(name, args, input, 0) {
            Ok(output) => panic!("{name} {args} {input} gave {output}"),
            Err(error) => format!("args  {args}\ninput {input}\n  {:?}: {error}\n", error.kind),
        })
        .collect()
}
