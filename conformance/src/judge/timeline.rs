//! The timeline of a run: for each task what the backend claims beside what the suite's model saw.

use serde_json::Value;

use crate::model::{CallEnd, SeenCall};
use crate::observation::SeenRun;
use crate::report::TimelineEntry;

/// Tasks beyond this number are left out; whoever reads has seen the pattern.
const MAX_ENTRIES: usize = 24;

/// The timeline of run number `number`.
pub(super) fn of(number: u32, run: &SeenRun, view: &Value) -> Vec<TimelineEntry> {
    let mut entries = vec![TimelineEntry {
        run: number,
        task: None,
        claimed: Some(outcome(view)),
        seen: Some(overall(run)),
        differs: view["summary"]["model_invocation_count"]
            .as_u64()
            .is_some_and(|claimed| usize::try_from(claimed) != Ok(run.calls.len())),
    }];
    let recorded = view["order"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut tasks: Vec<&str> = recorded.collect();
    for call in &run.calls {
        if !tasks.contains(&call.task.as_str()) {
            tasks.push(&call.task);
        }
    }
    for id in tasks.into_iter().take(MAX_ENTRIES) {
        let calls: Vec<&SeenCall> = run.calls.iter().filter(|call| call.task == id).collect();
        let record = &view["tasks"][id];
        let claimed_calls = record["stages"]
            .as_array()
            .map_or(0, |stages| stages.iter().filter(|stage| *stage == "MODEL_INVOCATION").count());
        entries.push(TimelineEntry {
            run: number,
            task: Some(id.to_owned()),
            claimed: record.is_object().then(|| claim(record)),
            seen: (!calls.is_empty() || record["task_type"] == "model").then(|| sight(&calls)),
            differs: record.is_object() && claimed_calls != calls.len(),
        });
    }
    entries
}

fn outcome(view: &Value) -> String {
    if let Some(refusal) = view.get("refused") {
        return format!("refused: {}", word(&refusal["error_type"]));
    }
    if let Some(mishap) = view.get("mishap") {
        return format!("no answer: {}", word(&mishap["kind"]));
    }
    if view.get("cancelled").is_some() {
        return String::from("cancelled by the suite");
    }
    let (status, failure) = (word(&view["status"]), &view["failure"]);
    if failure.is_null() {
        return status.to_owned();
    }
    format!("{status}: {} of `{}`", word(&failure["error_type"]), word(&failure["task_id"]))
}

fn overall(run: &SeenRun) -> String {
    let stray = match run.stray_calls {
        0 => String::new(),
        stray => format!(", {stray} of no task"),
    };
    format!("{}, at most {} at one time{stray}", calls(run.calls.len()), super::view::peak(&run.calls))
}

fn claim(record: &Value) -> String {
    let retries = match record["retry_count"].as_u64() {
        Some(0) | None => String::new(),
        Some(retries) => format!(", retries: {retries}"),
    };
    let tokens = match record["tokens_out"].as_u64() {
        Some(0) | None => String::new(),
        Some(tokens) => format!(", tokens out: {tokens}"),
    };
    let category = record["failure"]["error_type"].as_str();
    let failure = category.map_or_else(String::new, |category| format!(", {category}"));
    format!("{} {}{failure}{retries}{tokens}", word(&record["task_type"]), word(&record["status"]))
}

fn sight(seen: &[&SeenCall]) -> String {
    let ends = [
        (CallEnd::Said, "answered"),
        (CallEnd::Failed, "failed by the script"),
        (CallEnd::HungUp, "hung up on"),
        (CallEnd::UnderWay, "still under way"),
    ];
    let parts: Vec<String> = ends
        .iter()
        .map(|(end, word)| (seen.iter().filter(|call| call.end == *end).count(), word))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if parts.is_empty() {
        return calls(0);
    }
    let tokens: u64 = seen.iter().map(|call| call.tokens_out).sum();
    format!("{}: {}; tokens out: {tokens}", calls(seen.len()), parts.join(", "))
}

fn calls(count: usize) -> String {
    match count {
        0 => String::from("no call"),
        1 => String::from("1 call"),
        count => format!("{count} calls"),
    }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}
