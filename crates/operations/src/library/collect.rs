//! `collect`: values of the input as one array.

use serde_json::{Value, json};

use crate::built_in::{BuiltIn, Run, about};
use crate::fields::{Fields, expected_input};
use crate::selection::Selection;
use crate::{Example, OperationError, OperationLimits};

pub(super) fn operation(limits: &OperationLimits) -> BuiltIn {
    let about = about(
        "collect",
        "Collects values of the input into one array, in the order given. `flatten` joins arrays into one instead of \
         nesting them; `skip_null` leaves out what is null.",
        json!({
            "type": "object",
            "properties": {
                "at": {"type": "string", "format": "json-pointer", "default": "", "description": "An array in the input, whose items are collected."},
                "pointers": {"type": "array", "items": {"type": "string", "format": "json-pointer"}, "description": "Instead of `at`: what to collect, in this order."},
                "flatten": {"type": "boolean", "default": false, "description": "Every value has to be an array, and its items are collected."},
                "skip_null": {"type": "boolean", "default": false, "description": "Leave out what is null."}
            },
            "additionalProperties": false
        }),
        Example {
            args: json!({"pointers": ["/title", "/pages/0"]}),
            input: json!({"pages": ["one", "two"], "title": "T"}),
            output: json!(["T", "one"]),
        },
    );
    BuiltIn::new(about, prepare, limits)
}

fn prepare(fields: &Fields<'_>, limits: &OperationLimits) -> Result<Run, OperationError> {
    let selection = Selection::read(fields, limits)?;
    let flatten = fields.flag("flatten")?;
    let skip_null = fields.flag("skip_null")?;
    Ok(Box::new(move |call, meter| {
        let mut collected = Vec::new();
        for (index, value) in selection.of(call.input, meter)?.into_iter().enumerate() {
            let values = match value.as_array() {
                Some(items) if flatten => items,
                None if flatten && !(skip_null && value.is_null()) => {
                    return Err(expected_input(&selection.place(index), "an array", value));
                }
                Some(_) | None => std::slice::from_ref(value),
            };
            for value in values {
                if !(skip_null && value.is_null()) {
                    collected.push(meter.copy(value)?);
                }
            }
        }
        Ok(Value::Array(collected))
    }))
}

#[cfg(test)]
mod tests {
    use crate::library::testing::{check, told};
    use serde_json::json;

    #[test]
    fn the_order_is_the_one_given() {
        check("collect", json!({}), json!([3, 1, 2]), json!([3, 1, 2]));
        check("collect", json!({"pointers": ["/b", "/a"]}), json!({"a": 1, "b": 2}), json!([2, 1]));
        check(
            "collect",
            json!({"flatten": true, "skip_null": true}),
            json!([[1, null], null, [2]]),
            json!([1, 2]),
        );
        check("collect", json!({"skip_null": true}), json!([null, 0]), json!([0]));
    }

    #[test]
    fn what_cannot_be_collected_is_told() {
        insta::assert_snapshot!(told(
            "collect",
            &[
                (json!({"at": "/a", "pointers": []}), json!({})),
                (json!({"at": "/a"}), json!({})),
                (json!({"at": "/a"}), json!({"a": 1})),
                (json!({"at": "a"}), json!({})),
                (json!({"pointers": ["/x", 1]}), json!({})),
                (json!({"flatten": true}), json!([[1], 2])),
                (json!({"flatten": "yes"}), json!([])),
            ]
        ));
    }
}
