//! The view of a run: claims and sights side by side in one document, with the author's own names.

use std::collections::BTreeMap;

use backend_server::Answer;
use serde_json::{Map, Value, json};

use crate::model::{CallEnd, SeenCall};
use crate::observation::{RunEnd, SeenRun};

/// A run as patterns and laws see it.
///
/// Its members: `refused`, `mishap`, `cancelled`; `status`, `final_output`, `failure`, `tasks` by id, `order` of the
/// records, `summary`, `bundle`, `metadata`, `result` whole; and what the suite saw, under `seen`.
pub(crate) fn view(run: &SeenRun) -> Value {
    let mut view = Map::new();
    match &run.end {
        RunEnd::Answered(Answer::Result(result)) => claims(result, &mut view),
        RunEnd::Answered(Answer::Refused(refusal)) => {
            view.insert("refused".into(), serde_json::to_value(refusal).unwrap_or_default());
        }
        RunEnd::Cancelled => {
            view.insert("cancelled".into(), Value::Bool(true));
        }
        RunEnd::Mishap(mishap) => {
            view.insert("mishap".into(), serde_json::to_value(mishap).unwrap_or_default());
        }
    }
    view.insert("seen".into(), seen(&run.calls, run.stray_calls));
    without_ending(Value::Object(view), &run.ending)
}

/// What the backend claims.
fn claims(result: &Value, view: &mut Map<String, Value>) {
    for member in ["status", "final_output", "failure"] {
        view.insert(member.into(), result[member].clone());
    }
    view.insert("metadata".into(), result["execution_metadata"].clone());
    let mut bundle = result["telemetry_bundle"].clone();
    if let Some(bundle) = bundle.as_object_mut() {
        let records = bundle.shift_remove("tasks").unwrap_or_default();
        let records = records.as_array().map_or(&[][..], Vec::as_slice);
        let id = |record: &Value| record["task_id"].as_str().unwrap_or("?").to_owned();
        view.insert("order".into(), records.iter().map(|record| Value::String(id(record))).collect());
        view.insert("tasks".into(), records.iter().map(|record| (id(record), record.clone())).collect());
        view.insert("summary".into(), bundle.shift_remove("summary").unwrap_or_default());
    }
    view.insert("bundle".into(), bundle);
    view.insert("result".into(), result.clone());
}

/// What the suite's model saw.
fn seen(calls: &[SeenCall], stray: u32) -> Value {
    let mut by_task: BTreeMap<&str, Vec<&SeenCall>> = BTreeMap::new();
    for call in calls {
        by_task.entry(&call.task).or_default().push(call);
    }
    let count: BTreeMap<&str, usize> = by_task.iter().map(|(task, calls)| (*task, calls.len())).collect();
    json!({
        "calls": by_task,
        "count": count,
        "total": calls.len(),
        "peak": peak(calls),
        "stray": stray,
        "order": calls.iter().map(|call| call.task.as_str()).collect::<Vec<_>>(),
    })
}

/// The most calls that were under way at one time.
///
/// Over a socket, that somebody hung up is seen some time after, so such a call counts at its start only.
pub(crate) fn peak(calls: &[SeenCall]) -> u64 {
    let end = |call: &SeenCall| match call.end {
        CallEnd::HungUp => Some(call.started),
        CallEnd::Said | CallEnd::Failed | CallEnd::UnderWay => call.ended,
    };
    let mut moments: Vec<(u64, i64)> = calls
        .iter()
        .flat_map(|call| [Some((call.started, 1)), end(call).map(|ended| (ended, -1))])
        .flatten()
        .collect();
    moments.sort_unstable_by_key(|&(moment, change)| (moment, -change));
    let mut now = 0_i64;
    let most = moments.into_iter().map(|(_, change)| {
        now += change;
        now
    });
    most.max().unwrap_or(0).try_into().unwrap_or(0)
}

/// `document` with the drawn ending taken out of every string and key.
pub(crate) fn without_ending(document: Value, ending: &str) -> Value {
    if ending.is_empty() {
        return document;
    }
    let drawn = format!("-{ending}");
    strip(document, &drawn)
}

fn strip(document: Value, drawn: &str) -> Value {
    let clean = |text: String| if text.contains(drawn) { text.replace(drawn, "") } else { text };
    match document {
        Value::String(text) => Value::String(clean(text)),
        Value::Array(members) => members.into_iter().map(|member| strip(member, drawn)).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(key, member)| (clean(key), strip(member, drawn))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => document,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CallEnd;

    fn call(started: u64, ended: Option<u64>) -> SeenCall {
        SeenCall {
            task: String::from("a"),
            attempt: 0,
            model: String::from("suite-small"),
            max_tokens: None,
            prompt: String::new(),
            tokens_out: 0,
            started,
            ended,
            end: CallEnd::Said,
        }
    }

    #[test]
    fn calls_overlap_while_both_are_under_way() {
        assert_eq!(peak(&[]), 0);
        assert_eq!(peak(&[call(0, Some(1)), call(2, Some(3))]), 1);
        assert_eq!(peak(&[call(0, Some(2)), call(1, Some(3))]), 2);
        assert_eq!(peak(&[call(0, None), call(1, Some(2)), call(3, Some(4))]), 2);
    }

    #[test]
    fn drawn_ids_are_the_authors_again() {
        let document = json!({"tasks": {"a-x1y2z": {"message": "needs `b-x1y2z`"}}, "n": 1});
        let plain = json!({"tasks": {"a": {"message": "needs `b`"}}, "n": 1});
        assert_eq!(without_ending(document, "x1y2z"), plain);
    }
}
