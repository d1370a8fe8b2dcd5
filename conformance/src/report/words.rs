//! A pattern in words: `at least 2` instead of `{"$at_least": 2}`.

use serde_json::{Map, Value};

use super::plain;

/// What a finding expected, in words on one line.
pub(crate) fn expected(pattern: &Value) -> String {
    plain::line(&in_words(pattern, 0), plain::VALUE)
}

/// A pattern as a line for each place that it speaks of: `/tasks/ask/status: "failed"`.
pub(crate) fn lines(pattern: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    descend(pattern, &mut String::new(), 0, &mut lines);
    lines
}

fn descend(pattern: &Value, at: &mut String, depth: usize, lines: &mut Vec<String>) {
    match pattern {
        Value::Object(members) if !members.is_empty() && !is_operators(members) && depth < 16 => {
            for (name, member) in members {
                let before = at.len();
                at.push('/');
                at.push_str(&name.replace('~', "~0").replace('/', "~1"));
                descend(member, at, depth + 1, lines);
                at.truncate(before);
            }
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => {
            lines.push(format!("{}: {}", plain::line(at, plain::VALUE), expected(pattern)));
        }
    }
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
    fn a_pattern_is_told_place_by_place() {
        let pattern = json!({"status": "failed", "tasks": {"a/b": {"retry_count": {"$at_most": 1}, "x": null}}, "m": {}});
        let told =
            ["/status: \"failed\"", "/tasks/a~1b/retry_count: at most 1", "/tasks/a~1b/x: nothing", "/m: {}"];
        assert_eq!(lines(&pattern), told);
    }

    #[test]
    fn a_pattern_of_any_depth_and_size_has_words() {
        let deep = (0..100).fold(json!(1), |inner, _| json!({"$not": inner}));
        assert!(expected(&deep).ends_with("not …"));
        assert!(expected(&json!({"a": "x".repeat(1 << 20)})).len() < 400);
    }
}
