//! The handlers of KORA's Python runtime, for graphs of Task IR 0.1 (C10.2).
//!
//! `kora-ir` maps a 0.1 task's handler to one of these and puts the task's id and payload into the arguments.

use serde_json::{Map, Value, json};

use crate::built_in::{BuiltIn, Run, about};
use crate::fields::{Fields, expected_arg, holds_reference};
use crate::{Example, OperationCall, OperationError, OperationErrorKind, OperationLimits};

/// Texts of fewer characters than this are simple.
const SIMPLE_BELOW: usize = 80;

pub(super) fn echo(limits: &OperationLimits) -> BuiltIn {
    let about = about(
        "kora.echo",
        "KORA 0.1: returns a message with the task's id.",
        json!({
            "type": "object",
            "properties": {"task_id": {"type": "string"}, "message": {"description": "Any value."}},
            "required": ["task_id", "message"],
            "additionalProperties": false
        }),
        Example {
            args: json!({"task_id": "greet", "message": "hello"}),
            input: json!({}),
            output: json!({"status": "ok", "task_id": "greet", "message": "hello"}),
        },
    );
    BuiltIn::new(
        about,
        |fields, _| {
            text_or_unknown(fields, &["task_id"], |call| {
                Ok(vec![("message", call.args.get("message").cloned().unwrap_or(Value::Null))])
            })
        },
        limits,
    )
}

pub(super) fn classify_simple(limits: &OperationLimits) -> BuiltIn {
    let about = about(
        "kora.classify_simple",
        "KORA 0.1: tells whether a text is simple, that is, shorter than 80 characters (Unicode scalar values).",
        json!({
            "type": "object",
            "properties": {"task_id": {"type": "string"}, "text": {"type": "string"}},
            "required": ["task_id", "text"],
            "additionalProperties": false
        }),
        Example {
            args: json!({"task_id": "triage", "text": "What is 2 + 2?"}),
            input: json!({}),
            output: json!({"status": "ok", "task_id": "triage", "is_simple": true}),
        },
    );
    BuiltIn::new(
        about,
        |fields, _| {
            text_or_unknown(fields, &["task_id", "text"], |call| {
                let simple = argument(call, "text")?.chars().take(SIMPLE_BELOW).count() < SIMPLE_BELOW;
                Ok(vec![("is_simple", Value::Bool(simple))])
            })
        },
        limits,
    )
}

pub(super) fn flaky_once(limits: &OperationLimits) -> BuiltIn {
    let about = about(
        "kora.flaky_once",
        "KORA 0.1: fails on the first attempt and recovers on the next, to exercise retries.",
        json!({
            "type": "object",
            "properties": {"task_id": {"type": "string"}},
            "required": ["task_id"],
            "additionalProperties": false
        }),
        Example {
            args: json!({"task_id": "shaky"}),
            input: json!({}),
            output: json!({"status": "ok", "task_id": "shaky", "message": "recovered"}),
        },
    );
    BuiltIn::new(
        about,
        |fields, _| {
            text_or_unknown(fields, &["task_id"], |call| {
                if call.attempt == 0 {
                    return Err(OperationError::new(
                        OperationErrorKind::Failed,
                        "flaky_once: intentional fail",
                    )
                    .retryable());
                }
                Ok(vec![("message", json!("recovered"))])
            })
        },
        limits,
    )
}

type More = fn(&OperationCall<'_>) -> Result<Vec<(&'static str, Value)>, OperationError>;

/// An operation whose arguments `texts` are strings, and which returns its status, the task's id and `more`.
fn text_or_unknown(fields: &Fields<'_>, texts: &[&str], more: More) -> Result<Run, OperationError> {
    for name in texts {
        if fields.data(name).is_some_and(|value| !holds_reference(value)) {
            fields.required_text(name)?;
        }
    }
    Ok(Box::new(move |call, meter| {
        meter.charge_copy(call.args)?;
        let mut reply = Map::from_iter([
            ("status".to_owned(), json!("ok")),
            ("task_id".to_owned(), json!(argument(call, "task_id")?)),
        ]);
        reply.extend(more(call)?.into_iter().map(|(name, value)| (name.to_owned(), value)));
        Ok(Value::Object(reply))
    }))
}

/// A string among the resolved arguments.
fn argument<'a>(call: &OperationCall<'a>, name: &str) -> Result<&'a str, OperationError> {
    let found = call.args.get(name).unwrap_or(&Value::Null);
    found.as_str().ok_or_else(|| expected_arg(format!("/args/{name}"), "a string", found))
}

#[cfg(test)]
mod tests {
    use crate::library::testing::{check, run_attempt, told};
    use serde_json::json;

    #[test]
    fn seventy_nine_characters_are_simple_and_eighty_are_not() {
        for (length, is_simple) in [(0, true), (79, true), (80, false), (5000, false)] {
            check(
                "kora.classify_simple",
                json!({"task_id": "t", "text": "é".repeat(length)}),
                json!({}),
                json!({"status": "ok", "task_id": "t", "is_simple": is_simple}),
            );
        }
    }

    #[test]
    fn an_echo_returns_any_message() {
        check(
            "kora.echo",
            json!({"task_id": "t", "message": {"a": [1]}}),
            json!({}),
            json!({"status": "ok", "task_id": "t", "message": {"a": [1]}}),
        );
    }

    #[test]
    fn flaky_once_fails_once_and_is_worth_a_retry() {
        let args = json!({"task_id": "t"});
        let error = run_attempt("kora.flaky_once", &args, &json!({}), 0).unwrap_err();
        assert_eq!(error.message, "flaky_once: intentional fail");
        assert!(error.transient);
        for attempt in [1, 2, 7] {
            assert_eq!(
                run_attempt("kora.flaky_once", &args, &json!({}), attempt).unwrap(),
                json!({"status": "ok", "task_id": "t", "message": "recovered"})
            );
        }
    }

    #[test]
    fn a_text_of_another_type_is_told() {
        insta::assert_snapshot!(told(
            "kora.classify_simple",
            &[
                (json!({"task_id": "t", "text": 7}), json!({})),
                (json!({"task_id": "t"}), json!({})),
                (json!({"task_id": "t", "text": "x", "txt": 1}), json!({})),
            ]
        ));
    }
}
