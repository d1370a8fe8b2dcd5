//! Patterns: what a case allows, as JSON with a few operators.
//!
//! An object matches if each of its members does; more members may be there. `null` matches `null` and nothing at
//! all. An array matches member by member and in length. Keys that begin with `$` are operators.

use serde_json::{Map, Value, json};

/// One place where a document is not as its pattern says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mismatch {
    /// A JSON pointer into the document.
    pub(crate) at: String,
    /// What was expected there.
    pub(crate) expected: Value,
    /// What is there; `null` for nothing.
    pub(crate) got: Value,
}

/// Every place where `document` is not as `pattern` says.
pub(crate) fn mismatches(pattern: &Value, document: &Value) -> Vec<Mismatch> {
    let mut found = Vec::new();
    compare(pattern, Some(document), &mut String::new(), &mut found);
    found
}

fn matches(pattern: &Value, document: Option<&Value>) -> bool {
    let mut found = Vec::new();
    compare(pattern, document, &mut String::new(), &mut found);
    found.is_empty()
}

fn compare(pattern: &Value, document: Option<&Value>, at: &mut String, found: &mut Vec<Mismatch>) {
    let mut fail = |at: &str| {
        found.push(Mismatch {
            at: at.to_owned(),
            expected: pattern.clone(),
            got: document.cloned().unwrap_or(Value::Null),
        });
    };
    match pattern {
        Value::Null => {
            if document.is_some_and(|document| !document.is_null()) {
                fail(at);
            }
        }
        Value::Bool(_) | Value::String(_) => {
            if document != Some(pattern) {
                fail(at);
            }
        }
        Value::Number(expected) => {
            let got = document.and_then(Value::as_f64);
            if got.is_none() || got != expected.as_f64() {
                fail(at);
            }
        }
        Value::Array(expected) => match document {
            Some(Value::Array(members)) if members.len() == expected.len() => {
                for (place, (expected, member)) in expected.iter().zip(members).enumerate() {
                    descend(at, &place.to_string(), |at| compare(expected, Some(member), at, found));
                }
            }
            Some(_) | None => fail(at),
        },
        Value::Object(expected) if expected.keys().any(|key| key.starts_with('$')) => {
            if !expected.iter().all(|(operator, operand)| holds(operator, operand, document)) {
                // An operator that looks inside says better what is wrong there than that something is.
                match (expected.iter().next(), document) {
                    (Some((operator, operand)), Some(document))
                        if expected.len() == 1 && operator == "$each" =>
                    {
                        for (key, member) in members(document) {
                            descend(at, &key, |at| compare(operand, Some(member), at, found));
                        }
                    }
                    (_, _) => fail(at),
                }
            }
        }
        Value::Object(expected) => match document {
            Some(Value::Object(members)) => {
                for (key, expected) in expected {
                    descend(at, key, |at| compare(expected, members.get(key), at, found));
                }
            }
            Some(_) | None => {
                let only_absent = expected.values().all(|expected| matches(expected, None));
                if !(only_absent && document.is_none_or(Value::is_null)) {
                    fail(at);
                }
            }
        },
    }
}

fn holds(operator: &str, operand: &Value, document: Option<&Value>) -> bool {
    let number = document.and_then(Value::as_f64);
    match operator {
        "$at_least" => number.zip(operand.as_f64()).is_some_and(|(got, bound)| got >= bound),
        "$at_most" => number.zip(operand.as_f64()).is_some_and(|(got, bound)| got <= bound),
        "$one_of" => list(operand).iter().any(|pattern| matches(pattern, document)),
        "$all_of" => list(operand).iter().all(|pattern| matches(pattern, document)),
        "$not" => !matches(operand, document),
        "$type" => document.is_some_and(|document| {
            Some(type_of(document)) == operand.as_str() || { operand == "number" && document.is_number() }
        }),
        "$contains" => match (document, operand) {
            (Some(Value::String(text)), Value::String(part)) => text.contains(part.as_str()),
            (Some(Value::Array(members)), pattern) => {
                members.iter().any(|member| matches(pattern, Some(member)))
            }
            (Some(_) | None, _) => false,
        },
        "$each" => document.is_some_and(|document| {
            matches!(document, Value::Array(_) | Value::Object(_))
                && members(document).iter().all(|(_, member)| matches(operand, Some(member)))
        }),
        "$length" => document.and_then(length).is_some_and(|length| matches(operand, Some(&json!(length)))),
        "$keys" => match document {
            Some(Value::Object(members)) => {
                let mut expected: Vec<&str> = list(operand).iter().filter_map(Value::as_str).collect();
                let mut keys: Vec<&str> = members.keys().map(String::as_str).collect();
                expected.sort_unstable();
                keys.sort_unstable();
                keys == expected
            }
            Some(_) | None => false,
        },
        "$exactly" => document == Some(operand),
        "$absent" => document.is_none_or(Value::is_null),
        "$present" => document.is_some_and(|document| !document.is_null()),
        _ => false,
    }
}

/// Every operator that [`holds`] knows.
const OPERATORS: [&str; 13] = [
    "$at_least",
    "$at_most",
    "$one_of",
    "$all_of",
    "$not",
    "$type",
    "$contains",
    "$each",
    "$length",
    "$keys",
    "$exactly",
    "$absent",
    "$present",
];

/// The first operator in `pattern` that nobody knows: such a pattern would never match, and hide it.
pub(crate) fn unknown_operator(pattern: &Value) -> Option<&str> {
    match pattern {
        Value::Array(members) => members.iter().find_map(unknown_operator),
        Value::Object(members) => members.iter().find_map(|(key, operand)| {
            if key.starts_with('$') && !OPERATORS.contains(&key.as_str()) {
                Some(key.as_str())
            } else if key == "$exactly" {
                None
            } else {
                unknown_operator(operand)
            }
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn descend(at: &mut String, key: &str, inside: impl FnOnce(&mut String)) {
    let before = at.len();
    at.push('/');
    at.push_str(&key.replace('~', "~0").replace('/', "~1"));
    inside(at);
    at.truncate(before);
}

fn list(operand: &Value) -> &[Value] {
    operand.as_array().map_or(&[], Vec::as_slice)
}

fn members(document: &Value) -> Vec<(String, &Value)> {
    let of_object = |members: &Map<String, Value>| members.keys().cloned().collect::<Vec<_>>();
    match document {
        Value::Array(members) => {
            members.iter().enumerate().map(|(place, member)| (place.to_string(), member)).collect()
        }
        Value::Object(members) => of_object(members).into_iter().zip(members.values()).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

fn length(document: &Value) -> Option<usize> {
    match document {
        Value::Array(members) => Some(members.len()),
        Value::Object(members) => Some(members.len()),
        Value::String(text) => Some(text.chars().count()),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

fn type_of(document: &Value) -> &'static str {
    match document {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: Value, document: Value, places: &[&str]) {
        let found: Vec<String> = mismatches(&pattern, &document).into_iter().map(|found| found.at).collect();
        assert_eq!(found, places, "{pattern} against {document}");
    }

    #[test]
    fn an_object_may_have_more_members_than_its_pattern() {
        check(json!({"a": 1}), json!({"a": 1, "b": 2}), &[]);
        check(json!({"a": 1, "b": {"c": 2}}), json!({"a": 2, "b": {"c": 3}}), &["/a", "/b/c"]);
    }

    #[test]
    fn null_matches_nothing_at_all() {
        check(json!({"a": null}), json!({}), &[]);
        check(json!({"a": null}), json!({"a": null}), &[]);
        check(json!({"a": null}), json!({"a": 0}), &["/a"]);
        check(json!({"a": {"b": null}}), json!({}), &[]);
        check(json!({"a": {"b": 1}}), json!({}), &["/a"]);
    }

    #[test]
    fn an_array_matches_in_length_and_order() {
        check(json!([1, 2]), json!([1, 2]), &[]);
        check(json!([1, 2]), json!([2, 1]), &["/0", "/1"]);
        check(json!([1]), json!([1, 2]), &[""]);
    }

    #[test]
    fn numbers_match_by_value() {
        check(json!(1), json!(1.0), &[]);
        check(json!(1), json!("1"), &[""]);
    }

    #[test]
    fn operators_say_what_they_mean() {
        check(json!({"$at_least": 2, "$at_most": 3}), json!(3), &[]);
        check(json!({"$at_least": 2, "$at_most": 3}), json!(4), &[""]);
        check(json!({"$at_least": 0}), Value::Null, &[""]);
        check(json!({"$one_of": [1, "x"]}), json!("x"), &[]);
        check(json!({"$one_of": [1, "x"]}), json!("y"), &[""]);
        check(json!({"$all_of": [{"a": 1}, {"b": 2}]}), json!({"a": 1, "b": 2}), &[]);
        check(json!({"$not": 1}), json!(2), &[]);
        check(json!({"$not": 1}), json!(1), &[""]);
        check(json!({"$type": "integer"}), json!(1.5), &[""]);
        check(json!({"$type": "number"}), json!(1), &[]);
        check(json!({"$contains": "bc"}), json!("abcd"), &[]);
        check(json!({"$contains": {"id": 1}}), json!([{"id": 2}, {"id": 1, "more": true}]), &[]);
        check(json!({"$contains": {"id": 3}}), json!([{"id": 2}]), &[""]);
        check(json!({"$each": {"$at_least": 1}}), json!([1, 0, 2]), &["/1"]);
        check(json!({"$each": 1}), json!({}), &[]);
        check(json!({"$length": 2}), json!("äö"), &[]);
        check(json!({"$keys": ["a", "b"]}), json!({"b": 1, "a": 2}), &[]);
        check(json!({"$keys": ["a"]}), json!({"b": 1, "a": 2}), &[""]);
        check(json!({"$exactly": {"a": 1}}), json!({"a": 1, "b": 2}), &[""]);
        check(json!({"a": {"$absent": true}}), json!({"a": 1}), &["/a"]);
        check(json!({"a": {"$present": true}}), json!({}), &["/a"]);
    }

    #[test]
    fn an_operator_that_nobody_knows_is_found_before_it_hides_something() {
        assert_eq!(unknown_operator(&json!({"a": [{"$atleast": 1}]})), Some("$atleast"));
        assert_eq!(unknown_operator(&json!({"a": {"$exactly": {"$from": "x"}}})), None);
    }

    #[test]
    fn keys_are_escaped_in_pointers() {
        check(json!({"a/b": {"c~d": 1}}), json!({"a/b": {"c~d": 2}}), &["/a~1b/c~0d"]);
    }
}
