//! `table_lookup`: the row of a table at a key.

use serde_json::json;

use crate::built_in::{BuiltIn, Run, about};
use crate::fields::{Fields, expected_input};
use crate::registry::closest;
use crate::{Example, OperationError, OperationLimits};

pub(super) fn operation(limits: &OperationLimits) -> BuiltIn {
    let about = about(
        "table_lookup",
        "Looks up the string at `at` in `table` and returns the row, or `default` where there is none. Without a \
         `default`, a key that is missing is an error.",
        json!({
            "type": "object",
            "properties": {
                "table": {"type": "object", "description": "Rows by key, written in the graph."},
                "at": {"type": "string", "format": "json-pointer", "default": "", "description": "The key in the input, a string."},
                "default": {"description": "What to return for a key that is missing; may hold references."}
            },
            "required": ["table"],
            "additionalProperties": false
        }),
        Example {
            args: json!({"at": "/country", "table": {"FR": {"vat": 20}, "DE": {"vat": 19}}, "default": {"vat": 0}}),
            input: json!({"country": "DE"}),
            output: json!({"vat": 19}),
        },
    );
    BuiltIn::new(about, prepare, limits)
}

fn prepare(fields: &Fields<'_>, limits: &OperationLimits) -> Result<Run, OperationError> {
    let table = fields.table("table", limits.max_entries)?.clone();
    let at = fields.pointer("at")?.unwrap_or_default();
    Ok(Box::new(move |call, meter| {
        let found = at.find_input(call.input)?;
        let key = found.as_str().ok_or_else(|| expected_input(&at.to_string(), "a string", found))?;
        meter.steps(1 + key.len() as u64 / 64)?;
        if let Some(row) = table.get(key) {
            return meter.copy(row);
        }
        if let Some(default) = call.args.get("default") {
            return meter.copy(default);
        }
        meter.steps(table.len() as u64)?;
        let error = OperationError::failed("the table has no row for what is here").at(format!("/input{at}"));
        Err(match closest(key, table.keys().map(String::as_str)) {
            Some(closest) => error.mend(format!("did you mean `{closest}`? Or add a `default`")),
            None => error.mend("add the row, or a `default`"),
        })
    }))
}

#[cfg(test)]
mod tests {
    use crate::library::testing::{check, told};
    use serde_json::json;

    #[test]
    fn a_missing_key_takes_the_default_or_is_told() {
        let table = json!({"gold": 3, "silver": 2});
        check("table_lookup", json!({"table": table, "at": "/tier"}), json!({"tier": "gold"}), json!(3));
        check("table_lookup", json!({"table": table, "default": null}), json!("lead"), json!(null));
        insta::assert_snapshot!(told(
            "table_lookup",
            &[
                (json!({"table": table}), json!("glod")),
                (json!({"table": table}), json!("uranium")),
                (json!({"table": table}), json!(7)),
                (json!({"table": {"a": {"$from": "b"}}}), json!("a")),
                (json!({"table": []}), json!("a")),
                (json!({}), json!("a")),
            ]
        ));
    }
}
