//! `skip_if` of Task IR 0.1: conditions in 1.0, one for each dependency.

use serde_json::{Value, json};

use super::fields::{Fields, Mapper};
use crate::pointer::push_token;

impl Mapper<'_> {
    /// The same as `skip_when`. `Some(None)` if the runtime would never skip.
    pub(super) fn skip_when(
        &mut self,
        skip_if: &Fields,
        id: &str,
        dependencies: &[&str],
        at: &str,
    ) -> Option<Option<Value>> {
        let path = match skip_if.get("path") {
            None => "",
            Some(Value::String(path)) => path,
            Some(_) => {
                self.not_portable(
                    &format!("{at}/path"),
                    "the runtime would look for Python's rendering of this value",
                    "write the path as a string, `$.key`",
                );
                return None;
            }
        };
        // The runtime knows one level: whatever follows `$.` is the name of one property.
        let key = path.strip_prefix("$.").unwrap_or(path);
        if key.is_empty() || dependencies.is_empty() {
            return Some(None);
        }
        let equals = skip_if.get("equals").unwrap_or(&Value::Null);
        let Some(equal) = equal_in_python(equals) else {
            self.not_portable(
                &if skip_if.contains_key("equals") { format!("{at}/equals") } else { at.to_owned() },
                if equals.is_null() {
                    "the runtime takes a missing property for `null`, and skips"
                } else {
                    "the runtime takes `true` for 1 and `false` for 0, also inside this value"
                },
                "compare with a string, a number or a boolean",
            );
            return None;
        };
        let mut pointer = String::new();
        push_token(&mut pointer, key);
        let mut any_of = Vec::new();
        for dependency in dependencies {
            for equal in &equal {
                any_of.push(json!({"$from": dependency, "pointer": pointer, "equals": equal}));
            }
        }
        let output = json!({"status": "ok", "task_id": id, "skipped": true, "message": "Skipped due to skip_if condition"});
        Some(Some(json!({"any_of": any_of, "output": output, "schema": {"const": output}})))
    }
}

/// All JSON values that Python finds equal to this one. `None` if they cannot be listed.
fn equal_in_python(value: &Value) -> Option<Vec<Value>> {
    match value {
        Value::Null => None,
        Value::Bool(truth) => Some(vec![value.clone(), json!(u8::from(*truth))]),
        Value::Number(number) if number.as_f64() == Some(0.0) => Some(vec![value.clone(), json!(false)]),
        Value::Number(number) if number.as_f64() == Some(1.0) => Some(vec![value.clone(), json!(true)]),
        Value::Number(_) | Value::String(_) => Some(vec![value.clone()]),
        Value::Array(items) => is_same_in_python(items.iter()).then(|| vec![value.clone()]),
        Value::Object(fields) => is_same_in_python(fields.values()).then(|| vec![value.clone()]),
    }
}

/// Whether nothing inside equals another JSON value in Python.
fn is_same_in_python<'v>(mut values: impl Iterator<Item = &'v Value>) -> bool {
    values.all(|value| value.is_null() || equal_in_python(value).is_some_and(|equal| equal.len() == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_equality_is_spelled_out() {
        assert_eq!(equal_in_python(&json!(true)), Some(vec![json!(true), json!(1)]));
        assert_eq!(equal_in_python(&json!(0.0)), Some(vec![json!(0.0), json!(false)]));
        assert_eq!(equal_in_python(&json!("1")), Some(vec![json!("1")]));
        assert_eq!(equal_in_python(&json!([1])), None);
        assert_eq!(equal_in_python(&json!([2, null])), Some(vec![json!([2, null])]));
        assert_eq!(equal_in_python(&Value::Null), None);
    }
}
