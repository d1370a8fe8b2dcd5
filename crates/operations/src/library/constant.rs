//! `constant`: a value of the arguments, as it is.

use serde_json::{Value, json};

use crate::built_in::{BuiltIn, Run, about};
use crate::fields::Fields;
use crate::{Example, OperationError, OperationLimits};

pub(super) fn operation(limits: &OperationLimits) -> BuiltIn {
    let about = about(
        "constant",
        "Returns `value`. References in it make it the simplest way to give a dependency's output another shape.",
        json!({
            "type": "object",
            "properties": {"value": {"description": "What to return; may hold references."}},
            "required": ["value"],
            "additionalProperties": false
        }),
        Example { args: json!({"value": {"limit": 10}}), input: json!({}), output: json!({"limit": 10}) },
    );
    BuiltIn::new(about, prepare, limits)
}

fn prepare(_fields: &Fields<'_>, _limits: &OperationLimits) -> Result<Run, OperationError> {
    Ok(Box::new(|call, meter| meter.copy(call.args.get("value").unwrap_or(&Value::Null))))
}
