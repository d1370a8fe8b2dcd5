//! What of a run must not depend on time or place (C6.1, S11).

use serde_json::{Map, Value, json};

/// The meaning of a viewed run: statuses, failures, stages, validation, retries and outputs, in the order of records.
///
/// Messages, times and tokens are not in it.
pub(crate) fn meaning(view: &Value) -> Value {
    let of_failure = |failure: &Value| {
        if failure.is_null() {
            return Value::Null;
        }
        json!({
            "error_type": failure["error_type"],
            "task_id": failure["task_id"],
            "cap": failure["breach"]["cap"],
        })
    };
    // A task that was cut off by another's failure may have got further or less far.
    let retries = |record: &Value| match record["status"] == "skipped" {
        true => Value::Null,
        false => record["retry_count"].clone(),
    };
    let of_record = |record: &Value| {
        json!({
            "task_type": record["task_type"],
            "status": record["status"],
            "stages": record["stages"],
            "retry_count": retries(record),
            "validation_status": record["validation_status"],
            "failure": of_failure(&record["failure"]),
        })
    };
    let tasks: Map<String, Value> = view["tasks"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(id, record)| (id.clone(), of_record(record)))
        .collect();
    json!({
        "refused": view["refused"]["error_type"],
        "status": view["status"],
        "final_output": view["final_output"],
        "failure": of_failure(&view["failure"]),
        "order": view["order"],
        "tasks": tasks,
    })
}

/// A place, what was expected there, and what was there.
pub(crate) type Difference = (String, Value, Value);

/// Where two meanings differ, as deep inside as can be said.
pub(crate) fn differences(expected: &Value, got: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    descend(expected, got, String::new(), &mut found);
    found
}

fn descend(expected: &Value, got: &Value, at: String, found: &mut Vec<Difference>) {
    match (expected, got) {
        (Value::Object(before), Value::Object(after)) => {
            let keys = before.keys().chain(after.keys().filter(|key| !before.contains_key(*key)));
            for key in keys {
                let (before, after) = (before.get(key), after.get(key));
                let (before, after) = (before.unwrap_or(&Value::Null), after.unwrap_or(&Value::Null));
                descend(before, after, format!("{at}/{key}"), found);
            }
        }
        (expected, got) if expected == got => {}
        (expected, got) => found.push((at, expected.clone(), got.clone())),
    }
}
