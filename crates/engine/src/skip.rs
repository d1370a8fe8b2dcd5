//! `skip_when`, evaluated (S9).

use kora_ir::{SkipWhen, TaskIndex, ValidatedOutput};
use serde_json::Value;

/// Whether any condition holds. A pointer to nothing equals nothing.
pub(crate) fn holds<'o>(
    skip: &SkipWhen,
    output_of: impl Fn(TaskIndex) -> Option<&'o ValidatedOutput>,
) -> bool {
    skip.any_of.iter().any(|condition| {
        output_of(condition.from)
            .and_then(|output| output.value().pointer(&condition.pointer))
            .is_some_and(|value| equal(value, &condition.equals))
    })
}

/// Equality of JSON values: numbers by value, objects without regard to order.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| equal(a, b)))
        }
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_equal_by_value_and_objects_in_any_order() {
        assert!(equal(&json!(1), &json!(1.0)));
        assert!(equal(&json!({"a": [1, 2], "b": null}), &json!({"b": null, "a": [1.0, 2]})));
        assert!(!equal(&json!(true), &json!(1)));
        assert!(!equal(&json!({"a": 1}), &json!({"a": 1, "b": 2})));
        assert!(!equal(&json!([1, 2]), &json!([2, 1])));
    }
}
