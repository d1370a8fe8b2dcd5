//! What a run comes to, from both sides: the documents without times, messages and placement; the calls as seen.

use std::sync::Arc;

use backend_server::{Answer, ExecuteRequest, Service};
use conformance::model::{CallEnd, ModelBook, ModelEndpoint, SeenCall};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::fixture::{ENDING, Scene};

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Meaning {
    Refused { error_type: String },
    Ran { result: Box<Value>, calls: Vec<Call>, stray: u32 },
}

/// A call as far as two backends must agree on it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Call {
    task: String,
    attempt: u32,
    model: String,
    max_tokens: Option<u64>,
    prompt: String,
    tokens_out: u64,
    end: &'static str,
}

impl Meaning {
    /// Runs a scene on a paused clock, with a model and a backend of its own.
    pub(crate) fn of(scene: &Scene, make: fn(&ModelEndpoint) -> Arc<dyn Service>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.unwrap().block_on(Self::run(scene, make))
    }

    async fn run(scene: &Scene, make: fn(&ModelEndpoint) -> Arc<dyn Service>) -> Self {
        let book = ModelBook::new();
        let under_way = book.begin(ENDING, scene.steps.clone());
        let service = make(&ModelEndpoint { book, base_url: None });
        let taskgraph = RawValue::from_string(scene.graph.clone()).unwrap();
        let execution_context = json!({"run_id": "r", "trace_id": "t", "backend_mode": "local"});
        let answer = service.execute_taskgraph(ExecuteRequest { taskgraph, execution_context }).await;
        // What was hung up on is noted as soon as its future is gone.
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        let (seen, stray) = under_way.finish();
        match answer {
            Answer::Refused(refusal) => {
                assert_eq!((seen.len(), stray), (0, 0), "{}: refused after a call", scene.name);
                Self::Refused { error_type: refusal.error_type }
            }
            Answer::Result(result) => {
                let counts = |call: &SeenCall| !is_discarded(record(&result, &call.task));
                let mut calls: Vec<Call> = seen.into_iter().filter(counts).map(call).collect();
                calls.sort();
                Self::Ran { result: Box::new(meaning(&result)), calls, stray }
            }
        }
    }
}

fn call(seen: SeenCall) -> Call {
    let end = match seen.end {
        CallEnd::Said => "said",
        CallEnd::Failed => "failed",
        CallEnd::HungUp => "hung up",
        CallEnd::UnderWay => "under way",
    };
    let SeenCall { task, attempt, model, max_tokens, prompt, tokens_out, .. } = seen;
    Call { task, attempt, model, max_tokens, prompt, tokens_out, end }
}

fn record<'r>(result: &'r Value, task: &str) -> &'r Value {
    let records = result["telemetry_bundle"]["tasks"].as_array().unwrap();
    records.iter().find(|record| record["task_id"] == task).unwrap()
}

/// Whether what the task did, if it did anything, does not count. How much that was depends on speed (decision 0008).
fn is_discarded(record: &Value) -> bool {
    record["skip_reason"] == "fail_fast"
}

/// The document without what may differ.
fn meaning(result: &Value) -> Value {
    let mut kept = without(result, &["execution_metadata", "telemetry_bundle", "failure"]);
    kept.insert("failure".to_owned(), failure(result));
    let records = result["telemetry_bundle"]["tasks"].as_array().unwrap().iter().map(|record| {
        let spending =
            &["duration_ms", "failure", "tokens_in", "tokens_out", "tokens_estimated", "retry_count"];
        let mut kept = without(record, if is_discarded(record) { spending } else { &spending[..2] });
        kept.insert("failure".to_owned(), failure(record));
        Value::Object(kept)
    });
    let records: Vec<Value> = records.collect();
    if !records.iter().any(is_discarded) {
        let totals = without(&result["telemetry_bundle"]["summary"], &["total_latency_ms"]);
        kept.insert("totals".to_owned(), Value::Object(totals));
    }
    kept.insert("tasks".to_owned(), Value::Array(records));
    let about = &["duration_ms", "semantic_digest", "backend_version"];
    kept.insert("about".to_owned(), Value::Object(without(&result["execution_metadata"], about)));
    Value::Object(kept)
}

/// A failure without its message, and without how much of a time was used.
fn failure(of: &Value) -> Value {
    let Some(failure) = of.get("failure") else { return Value::Null };
    let mut kept = without(failure, &["message"]);
    if let Some(breach) = kept.get_mut("breach")
        && breach["cap"].as_str().is_some_and(|cap| cap.ends_with("_ms"))
    {
        *breach = Value::Object(without(breach, &["used"]));
    }
    Value::Object(kept)
}

fn without(value: &Value, left_out: &[&str]) -> Map<String, Value> {
    let members = value.as_object().unwrap().iter();
    members
        .filter(|(name, _)| !left_out.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
