//! `sort`: an array in order.

use serde_json::{Value, json};

use crate::built_in::{BuiltIn, Run, about};
use crate::fields::Fields;
use crate::order::sort_by;
use crate::selection::items_at;
use crate::{Example, OperationError, OperationLimits};

/// Where an item goes that has nothing at `by`.
#[derive(Debug, Clone, Copy)]
enum Missing {
    Fail,
    First,
    Last,
}

pub(super) fn operation(limits: &OperationLimits) -> BuiltIn {
    let about = about(
        "sort",
        "Sorts the array at `at` by what each item has at `by`. The sort is stable and its order total: null, false, true, \
         numbers by value, strings by Unicode scalar values, arrays item by item, objects by their sorted members.",
        json!({
            "type": "object",
            "properties": {
                "at": {"type": "string", "format": "json-pointer", "default": "", "description": "An array in the input."},
                "by": {"type": "string", "format": "json-pointer", "default": "", "description": "The key in each item."},
                "order": {"enum": ["ascending", "descending"], "default": "ascending"},
                "missing": {"enum": ["error", "first", "last"], "default": "error", "description": "Where items without a key go, whatever the `order`."}
            },
            "additionalProperties": false
        }),
        Example {
            args: json!({"by": "/age", "order": "descending"}),
            input: json!([{"name": "Ada", "age": 36}, {"name": "Kurt", "age": 71}]),
            output: json!([{"name": "Kurt", "age": 71}, {"name": "Ada", "age": 36}]),
        },
    );
    BuiltIn::new(about, prepare, limits)
}

fn prepare(fields: &Fields<'_>, _limits: &OperationLimits) -> Result<Run, OperationError> {
    let at = fields.pointer("at")?.unwrap_or_default();
    let by = fields.pointer("by")?.unwrap_or_default();
    let descending = fields.choice("order", &[("ascending", false), ("descending", true)])?;
    let missing = fields
        .choice("missing", &[("error", Missing::Fail), ("first", Missing::First), ("last", Missing::Last)])?;
    Ok(Box::new(move |call, meter| {
        let items = items_at(&at, call.input)?;
        let (mut keyed, mut keyless) = (Vec::with_capacity(items.len()), Vec::new());
        for (index, item) in items.iter().enumerate() {
            meter.step()?;
            match (by.find(item), missing) {
                (Some(key), _) => keyed.push((key, item)),
                (None, Missing::First | Missing::Last) => keyless.push(item),
                (None, Missing::Fail) => {
                    return Err(OperationError::invalid_input(
                        format!("/input{at}/{index}{by}"),
                        "the item has no key there",
                    )
                    .mend("say where it goes with `missing`: `first` or `last`"));
                }
            }
        }
        sort_by(&mut keyed, |(key, _)| key, descending, meter)?;
        let keyed = keyed.into_iter().map(|(_, item)| item);
        let mut sorted = Vec::with_capacity(items.len());
        let mut push = |item: &Value| meter.copy(item).map(|item| sorted.push(item));
        if matches!(missing, Missing::First) {
            keyless.into_iter().chain(keyed).try_for_each(&mut push)?;
        } else {
            keyed.chain(keyless).try_for_each(&mut push)?;
        }
        Ok(Value::Array(sorted))
    }))
}

#[cfg(test)]
mod tests {
    use crate::library::testing::{check, told};
    use serde_json::json;

    #[test]
    fn items_with_equal_keys_keep_their_order() {
        let items = json!([{"k": 2, "n": 0}, {"k": 1, "n": 1}, {"k": 2.0, "n": 2}, {"k": 1, "n": 3}]);
        let picked = |order: [usize; 4]| json!(order.map(|index| items[index].clone()));
        check("sort", json!({"by": "/k"}), items.clone(), picked([1, 3, 0, 2]));
        check("sort", json!({"by": "/k", "order": "descending"}), items.clone(), picked([0, 2, 1, 3]));
    }

    #[test]
    fn items_without_a_key_go_where_declared() {
        let items = json!([{"k": 2}, {}, {"k": 1}]);
        check(
            "sort",
            json!({"by": "/k", "missing": "first"}),
            items.clone(),
            json!([{}, {"k": 1}, {"k": 2}]),
        );
        check("sort", json!({"by": "/k", "missing": "last"}), items.clone(), json!([{"k": 1}, {"k": 2}, {}]));
        insta::assert_snapshot!(told(
            "sort",
            &[
                (json!({"by": "/k"}), items),
                (json!({"at": "/rows"}), json!({"rows": 1})),
                (json!({"order": "up"}), json!([])),
            ]
        ));
    }
}
