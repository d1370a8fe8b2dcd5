//! `echo`: the input, as it is.

use serde_json::json;

use crate::built_in::{BuiltIn, Run, about};
use crate::fields::Fields;
use crate::{Example, OperationError, OperationLimits};

pub(super) fn operation(limits: &OperationLimits) -> BuiltIn {
    let about = about(
        "echo",
        "Returns the input.",
        json!({"type": "object", "properties": {}, "additionalProperties": false}),
        Example { args: json!({}), input: json!({"text": "hi"}), output: json!({"text": "hi"}) },
    );
    BuiltIn::new(about, prepare, limits)
}

fn prepare(_fields: &Fields<'_>, _limits: &OperationLimits) -> Result<Run, OperationError> {
    Ok(Box::new(|call, meter| meter.copy(call.input)))
}
