//! Whether no value satisfies two schemas at once, as far as that is easy to see.

use serde_json::{Map, Value};

use super::types;
use crate::place::Places;

/// References and properties that are looked into, one in the other.
const MAX_STEPS: usize = 6;
/// Schemas of one `oneOf`.
const MAX_SCHEMAS: usize = 100;
/// Pairs that are compared.
const MAX_PAIRS: u32 = 20_000;

/// Whether each two of them are apart, so that `oneOf` says no more than `anyOf`.
pub(super) fn all_apart(places: &Places<'_>, schemas: &[Value]) -> bool {
    let mut pairs = MAX_PAIRS;
    schemas.len() <= MAX_SCHEMAS
        && schemas.iter().enumerate().all(|(nth, one)| {
            schemas.iter().skip(nth + 1).all(|other| are_apart(places, one, other, MAX_STEPS, &mut pairs))
        })
}

// Recursion: `steps` deep.
fn are_apart(places: &Places<'_>, one: &Value, other: &Value, steps: usize, pairs: &mut u32) -> bool {
    let (Some(steps), Some(left)) = (steps.checked_sub(1), pairs.checked_sub(1)) else { return false };
    *pairs = left;
    let (one_schema, other_schema) = (one, other);
    let (one, other) = match (one, other) {
        (Value::Bool(false), _) | (_, Value::Bool(false)) => return true,
        (Value::Object(one), Value::Object(other)) => (one, other),
        _ => return false,
    };
    // More conditions on a value keep it as far apart as each of them does.
    for (near, far) in [(one, other_schema), (other, one_schema)] {
        let target = near.get("$ref").and_then(Value::as_str).and_then(|reference| places.target(reference));
        if let Some(target) = target.and_then(|target| places.at(&target))
            && are_apart(places, target, far, steps, pairs)
        {
            return true;
        }
    }
    match (values(one), values(other)) {
        (Some(one), Some(other)) => {
            return !one.iter().any(|value| other.iter().any(|other| equal(value, other)));
        }
        (Some(values), None) => return values.iter().all(|value| misses_type(value, other)),
        (None, Some(values)) => return values.iter().all(|value| misses_type(value, one)),
        (None, None) => {}
    }
    let (Some(one_types), Some(other_types)) = (types(one), types(other)) else { return false };
    let number = |name: &str| matches!(name, "number" | "integer");
    let overlap: Vec<&str> = one_types
        .iter()
        .copied()
        .filter(|a| other_types.iter().any(|b| a == b || number(a) && number(b)))
        .collect();
    match overlap.as_slice() {
        [] => true,
        ["object"] => required(one).any(|name| {
            let both = required(other).any(|other| other == name);
            both && property(one, name)
                .zip(property(other, name))
                .is_some_and(|(one, other)| are_apart(places, one, other, steps, pairs))
        }),
        _ => false,
    }
}

/// The only values that there can be.
fn values(keywords: &Map<String, Value>) -> Option<Vec<&Value>> {
    match (keywords.get("const"), keywords.get("enum")) {
        (Some(only), _) => Some(vec![only]),
        (None, Some(Value::Array(values))) => Some(values.iter().collect()),
        (None, Some(_) | None) => None,
    }
}

/// `1` and `1.0` are equal; what else might be equal is not said to be different.
fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(_), Value::Array(_)) | (Value::Object(_), Value::Object(_)) => true,
        _ => one == other,
    }
}

fn misses_type(value: &Value, keywords: &Map<String, Value>) -> bool {
    let Some(types) = types(keywords) else { return false };
    let name = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => return !types.iter().any(|name| matches!(*name, "number" | "integer")),
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    !types.contains(&name)
}

fn required(keywords: &Map<String, Value>) -> impl Iterator<Item = &str> {
    keywords.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn property<'s>(keywords: &'s Map<String, Value>, name: &str) -> Option<&'s Value> {
    keywords.get("properties")?.get(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_are_apart_by_type_by_value_or_by_what_tells_objects_apart() {
        let document = json!({"$defs": {"cat": {"type": "object", "required": ["kind"], "properties": {"kind": {"const": "cat"}}}}});
        let places = Places::of(&document);
        let apart = |one: Value, other: Value| all_apart(&places, &[one, other]);
        let kind = |kind: &str| json!({"type": "object", "required": ["kind"], "properties": {"kind": {"const": kind}}});
        assert!(apart(json!({"type": "string"}), json!({"type": ["null", "integer"]})));
        assert!(apart(json!({"const": 1}), json!({"enum": [2, "1"]})));
        assert!(apart(json!({"const": "a"}), json!({"type": "integer"})));
        assert!(apart(kind("cat"), kind("dog")));
        assert!(apart(json!({"$ref": "#/$defs/cat"}), kind("dog")));
        assert!(!apart(json!({"$ref": "#/$defs/cat"}), kind("cat")));
        assert!(!apart(json!({"type": "integer"}), json!({"type": "number"})));
        assert!(!apart(json!({"const": 1}), json!({"const": 1.0})));
        assert!(!apart(json!({"minimum": 1}), json!({"type": "string"})));
        assert!(!apart(json!({"type": "object", "properties": {"kind": {"const": 1}}}), kind("dog")));
    }
}
