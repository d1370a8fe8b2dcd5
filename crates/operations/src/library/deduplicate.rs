//! `deduplicate`: the first of each of an array's equal items.

use serde_json::{Value, json};

use crate::built_in::{BuiltIn, Run, about};
use crate::fields::Fields;
use crate::order::{compare, sort_by};
use crate::selection::items_at;
use crate::{Example, OperationError, OperationLimits};

pub(super) fn operation(limits: &OperationLimits) -> BuiltIn {
    let about = about(
        "deduplicate",
        "Keeps, of the items of the array at `at` that have equal values at `by`, the first, in the order of the array. \
         Items without a value there are equal to each other.",
        json!({
            "type": "object",
            "properties": {
                "at": {"type": "string", "format": "json-pointer", "default": "", "description": "An array in the input."},
                "by": {"type": "string", "format": "json-pointer", "default": "", "description": "What to compare in each item."}
            },
            "additionalProperties": false
        }),
        Example { args: json!({}), input: json!(["b", "a", "b"]), output: json!(["b", "a"]) },
    );
    BuiltIn::new(about, prepare, limits)
}

fn prepare(fields: &Fields<'_>, _limits: &OperationLimits) -> Result<Run, OperationError> {
    let at = fields.pointer("at")?.unwrap_or_default();
    let by = fields.pointer("by")?.unwrap_or_default();
    Ok(Box::new(move |call, meter| {
        let items = items_at(&at, call.input)?;
        meter.steps(items.len() as u64)?;
        let mut keyed = Vec::with_capacity(items.len());
        let mut firsts = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match by.find(item) {
                Some(key) => keyed.push((key, index)),
                None if firsts.is_empty() => firsts.push(index),
                None => {}
            }
        }
        // Stable, so each run of equal keys begins with the first of them.
        sort_by(&mut keyed, |(key, _)| key, false, meter)?;
        firsts.extend(keyed.chunk_by(|(a, _), (b, _)| compare(a, b).is_eq()).map(|equal| equal[0].1));
        firsts.sort_unstable();
        firsts.into_iter().map(|index| meter.copy(&items[index])).collect::<Result<_, _>>().map(Value::Array)
    }))
}

#[cfg(test)]
mod tests {
    use crate::library::testing::{check, told};
    use serde_json::json;

    #[test]
    fn the_first_of_equals_stays_in_its_place() {
        check("deduplicate", json!({}), json!([3, 1, 3.0, "1", 1, null]), json!([3, 1, "1", null]));
        check(
            "deduplicate",
            json!({"by": "/id"}),
            json!([{"id": 1, "n": 0}, {"n": 1}, {"id": 1, "n": 2}, {"n": 3}, {"id": 0, "n": 4}]),
            json!([{"id": 1, "n": 0}, {"n": 1}, {"id": 0, "n": 4}]),
        );
        insta::assert_snapshot!(told("deduplicate", &[(json!({"at": "/x"}), json!({"x": {}}))]));
    }
}
