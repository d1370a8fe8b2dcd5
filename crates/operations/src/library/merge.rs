//! `merge`: objects of the input as one.

use serde_json::{Map, Value, json};

use crate::built_in::{BuiltIn, Run, about};
use crate::fields::{Fields, expected_input};
use crate::order::compare;
use crate::pointer::escaped;
use crate::selection::Selection;
use crate::{Example, Meter, OperationError, OperationLimits};

/// What happens when two objects have different values for one key.
#[derive(Debug, Clone, Copy)]
enum OnConflict {
    Fail,
    KeepFirst,
    KeepLast,
}

pub(super) fn operation(limits: &OperationLimits) -> BuiltIn {
    let about = about(
        "merge",
        "Merges objects of the input into one. `depth` says whether objects under one key are merged too (`deep`) or \
         are a conflict like any other two values that differ (`shallow`); `on_conflict`, whether a conflict is an \
         error or the `first` or the `last` value wins.",
        json!({
            "type": "object",
            "properties": {
                "at": {"type": "string", "format": "json-pointer", "default": "", "description": "An array of objects in the input."},
                "pointers": {"type": "array", "items": {"type": "string", "format": "json-pointer"}, "description": "Instead of `at`: the objects to merge, in this order."},
                "depth": {"enum": ["shallow", "deep"], "default": "shallow"},
                "on_conflict": {"enum": ["error", "first", "last"], "default": "error"}
            },
            "additionalProperties": false
        }),
        Example {
            args: json!({"depth": "deep", "on_conflict": "last"}),
            input: json!([{"a": 1, "b": {"x": 1}}, {"b": {"y": 2}, "a": 3}]),
            output: json!({"a": 3, "b": {"x": 1, "y": 2}}),
        },
    );
    BuiltIn::new(about, prepare, limits)
}

fn prepare(fields: &Fields<'_>, limits: &OperationLimits) -> Result<Run, OperationError> {
    let selection = Selection::read(fields, limits)?;
    let deep = fields.choice("depth", &[("shallow", false), ("deep", true)])?;
    let on_conflict = fields.choice(
        "on_conflict",
        &[("error", OnConflict::Fail), ("first", OnConflict::KeepFirst), ("last", OnConflict::KeepLast)],
    )?;
    Ok(Box::new(move |call, meter| {
        let mut merged = Map::new();
        for (index, value) in selection.of(call.input, meter)?.into_iter().enumerate() {
            let place = || selection.place(index);
            let Value::Object(members) = value else {
                return Err(expected_input(&place(), "an object", value));
            };
            merge(&mut merged, members, deep, on_conflict, &Place::Root(&place), meter)?;
        }
        Ok(Value::Object(merged))
    }))
}

/// Where in the input a member stands; spelt out only for an error.
enum Place<'a> {
    Root(&'a dyn Fn() -> String),
    Member(&'a Place<'a>, &'a str),
}

impl Place<'_> {
    fn pointer(&self) -> String {
        match self {
            Self::Root(place) => place(),
            Self::Member(parent, key) => format!("{}/{}", parent.pointer(), escaped(key)),
        }
    }
}

fn merge(
    merged: &mut Map<String, Value>,
    members: &Map<String, Value>,
    deep: bool,
    on_conflict: OnConflict,
    place: &Place<'_>,
    meter: &mut Meter,
) -> Result<(), OperationError> {
    for (key, value) in members {
        meter.build(key.len() as u64)?;
        match (merged.get_mut(key), value) {
            (None, value) => {
                merged.insert(key.clone(), meter.copy(value)?);
            }
            (Some(Value::Object(inner)), Value::Object(members)) if deep => {
                merge(inner, members, deep, on_conflict, &Place::Member(place, key), meter)?;
            }
            (Some(present), value) => match on_conflict {
                OnConflict::KeepFirst => {}
                OnConflict::KeepLast => *present = meter.copy(value)?,
                OnConflict::Fail => {
                    meter.charge_copy(value)?;
                    if compare(present, value).is_ne() {
                        let place = Place::Member(place, key).pointer();
                        return Err(OperationError::invalid_input(
                            format!("/input{place}"),
                            "an earlier object has another value for this key",
                        )
                        .mend("say which wins with `on_conflict`: `first` or `last`"));
                    }
                }
            },
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::library::testing::{check, told};
    use serde_json::json;

    #[test]
    fn a_conflict_is_an_error_unless_the_arguments_say_who_wins() {
        let objects = json!([{"a": 1, "b": {"x": 1}}, {"a": 2, "b": {"y": 2}}]);
        check("merge", json!({"on_conflict": "first"}), objects.clone(), json!({"a": 1, "b": {"x": 1}}));
        check("merge", json!({"on_conflict": "last"}), objects.clone(), json!({"a": 2, "b": {"y": 2}}));
        check(
            "merge",
            json!({"on_conflict": "last", "depth": "deep"}),
            objects.clone(),
            json!({"a": 2, "b": {"x": 1, "y": 2}}),
        );
        check(
            "merge",
            json!({}),
            json!([{"a": {"x": 1.0}}, {"a": {"x": 1}, "b": 2}, {}]),
            json!({"a": {"x": 1.0}, "b": 2}),
        );
        insta::assert_snapshot!(told(
            "merge",
            &[
                (json!({}), objects),
                (json!({"depth": "deep"}), json!([{"a": {"b/c": 1}}, {"a": {"b/c": 2}}])),
                (json!({}), json!([{}, 7])),
                (json!({"on_conflict": "newest"}), json!([])),
                (json!({"pointers": ["/a"]}), json!({"b": 1})),
            ]
        ));
    }

    #[test]
    fn pointers_give_the_order() {
        check(
            "merge",
            json!({"pointers": ["/two", "/one"], "on_conflict": "last"}),
            json!({"one": {"k": 1}, "two": {"k": 2}}),
            json!({"k": 1}),
        );
    }
}
