//! `pick`: an object of values at JSON pointers.

use serde_json::{Map, Value, json};

use crate::built_in::{BuiltIn, Run, about};
use crate::fields::{Fields, expected_arg};
use crate::order::sorted;
use crate::pointer::{Pointer, escaped};
use crate::{Example, Limit, OperationError, OperationLimits};

/// What stands in for a value that the input does not have.
#[derive(Debug, Clone, Copy)]
enum Missing {
    Fail,
    Null,
    Omit,
}

pub(super) fn operation(limits: &OperationLimits) -> BuiltIn {
    let about = about(
        "pick",
        "Returns an object whose members are found in the input by JSON pointers. A member that the input does not have \
         is an `error`, `null`, or left out (`omit`), as `missing` says.",
        json!({
            "type": "object",
            "properties": {
                "members": {"type": "object", "additionalProperties": {"type": "string", "format": "json-pointer"}, "description": "The pointer of each member."},
                "missing": {"enum": ["error", "null", "omit"], "default": "error"}
            },
            "required": ["members"],
            "additionalProperties": false
        }),
        Example {
            args: json!({"members": {"city": "/address/city", "first": "/orders/0/id"}}),
            input: json!({"address": {"city": "Lyon"}, "orders": [{"id": 7}]}),
            output: json!({"city": "Lyon", "first": 7}),
        },
    );
    BuiltIn::new(about, prepare, limits)
}

fn prepare(fields: &Fields<'_>, limits: &OperationLimits) -> Result<Run, OperationError> {
    let missing = fields
        .choice("missing", &[("error", Missing::Fail), ("null", Missing::Null), ("omit", Missing::Omit)])?;
    let mut bytes = 0;
    let members = sorted(fields.table("members", limits.max_entries)?)
        .into_iter()
        .map(|(name, pointer)| {
            let place = || format!("/args/members/{}", escaped(name));
            let text = pointer.as_str().ok_or_else(|| expected_arg(place(), "a string", pointer))?;
            bytes += text.len() as u64;
            if bytes > limits.max_expression_bytes {
                return Err(
                    OperationError::limit(Limit::ExpressionBytes, limits.max_expression_bytes).at(place())
                );
            }
            Ok((name.to_owned(), Pointer::parse(text, place)?))
        })
        .collect::<Result<Vec<_>, OperationError>>()?;
    Ok(Box::new(move |call, meter| {
        let mut picked = Map::new();
        for (name, pointer) in &members {
            meter.build(name.len() as u64)?;
            let value = match (pointer.find(call.input), missing) {
                (Some(value), _) => meter.copy(value)?,
                (None, Missing::Null) => Value::Null,
                (None, Missing::Omit) => continue,
                (None, Missing::Fail) => pointer.find_input(call.input).cloned()?,
            };
            picked.insert(name.clone(), value);
        }
        Ok(Value::Object(picked))
    }))
}

#[cfg(test)]
mod tests {
    use crate::library::testing::{check, told};
    use serde_json::json;

    #[test]
    fn what_is_missing_is_treated_as_declared() {
        let args = |missing: &str| json!({"members": {"a": "/a", "b": "/b"}, "missing": missing});
        check("pick", args("null"), json!({"b": 1}), json!({"a": null, "b": 1}));
        check("pick", args("omit"), json!({"b": 1}), json!({"b": 1}));
        insta::assert_snapshot!(told(
            "pick",
            &[
                (args("error"), json!({"b": 1})),
                (json!({"members": {"a/b": "x"}}), json!({})),
                (json!({"members": {"a": 1}}), json!({})),
                (json!({}), json!({})),
            ]
        ));
    }
}
