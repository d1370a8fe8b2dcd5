//! A pattern in words: `at least 2` instead of `{"$at_least": 2}`.

use serde_json::{Map, Value};

use super::plain;

/// What a finding expected, in words on one line.
pub(crate) fn expected(pattern: &Value) -> String {
    plain::line(&in_words(pattern, 0), plain::VALUE)
}

/// What a finding got instead, on one line.
pub(crate) fn got(value: &Value) -> String {
    if value.is_null() { String::from("nothing") } else { plain::value(value, plain::VALUE) }
}

fn in_words(pattern: &Value, depth: usize) -> String {
    if depth > 6 {
        return String::from("…");
    }
    let inner = |pattern: &Value| in_words(pattern, depth + 1);
    let all = |patterns: &Value, between: &str| match patterns {
        Value::Array(patterns) => patterns.iter().map(inner).collect::<Vec<_>>().join(between),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            inner(patterns)
        }
    };
    match pattern {
        Value::Null => String::from("nothing"),
        Value::Object(members) if is_operators(members) => {
            let words = members.iter().map(|(operator, operand)| match operator.as_str() {
                "$at_least" => format!("at least {operand}"),
                "$at_most" => format!("at most {operand}"),
                "$one_of" => all(operand, " or "),
                "$all_of" => all(operand, " and "),
                "$not" => format!("not {}", inner(operand)),
                "$type" => format!("a value of type {}", operand.as_str().unwrap_or("?")),
                "$contains" => format!("something that contains {}", inner(operand)),
                "$each" => format!("of each member: {}", inner(operand)),
                "$length" => format!("a length of {}", inner(operand)),
                "$keys" => format!("exactly the members {}", all(operand, ", ")),
                "$exactly" => format!("exactly {operand}"),
                "$absent" => String::from("nothing"),
                "$present" => String::from("something"),
                _ => format!("{operator} {operand}"),
            });
            words.collect::<Vec<_>>().join(" and ")
        }
        Value::Object(members) => {
            let members = members.iter().map(|(name, member)| format!("{name}: {}", inner(member)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
        Value::Array(_) => format!("[{}]", all(pattern, ", ")),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => pattern.to_string(),
    }
}

fn is_operators(members: &Map<String, Value>) -> bool {
    !members.is_empty() && members.keys().all(|name| name.starts_with('$'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn operators_are_words_and_values_are_json() {
        for (pattern, words) in [
            (json!({"$at_least": 2, "$at_most": 3}), "at least 2 and at most 3"),
            (json!({"$one_of": ["TIMEOUT", {"$absent": true}]}), "\"TIMEOUT\" or nothing"),
            (json!({"$not": {"$contains": "x"}}), "not something that contains \"x\""),
            (json!({"a": {"$length": 1}, "b": [null, 1.5]}), "{a: a length of 1, b: [nothing, 1.5]}"),
            (json!({"$keys": ["a", "b"]}), "exactly the members \"a\", \"b\""),
            (json!({"$exactly": {"$from": 1}}), "exactly {\"$from\":1}"),
            (json!({"$type": "integer"}), "a value of type integer"),
            (json!({"$new": 1}), "$new 1"),
            (json!({}), "{}"),
        ] {
            assert_eq!(expected(&pattern), words);
        }
        assert_eq!(got(&json!(null)), "nothing");
    }

    #[test]
    fn a_pattern_of_any_depth_and_size_has_words() {
        let deep = (0..100).fold(json!(1), |inner, _| json!({"$not": inner}));
        assert!(expected(&deep).ends_with("not …"));
        assert!(expected(&json!({"a": "x".repeat(1 << 20)})).len() < 400);
    }
}
