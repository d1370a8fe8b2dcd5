//! The protocol over pipes in memory: every message is held against the published schema.

mod anything;
mod caller;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use backend_server::{Served, StdioLimits, serve_stdio};
use serde_json::{Value, json};

use self::caller::{Caller, is_answer, is_request};
use crate::puppet::{Puppet, local, served};

const GRAPH: &str = include_str!("../../../../fixtures/golden/support-triage.json");

fn context(run_id: &str) -> Value {
    json!({"run_id": run_id, "trace_id": "t-1", "backend_mode": "local"})
}

fn execute(id: u64, what: &str) -> Value {
    json!({"id": id, "verb": "execute_taskgraph", "taskgraph": {"do": what}, "execution_context": context("r-1")})
}

async fn greeted(limits: StdioLimits) -> (Caller, Arc<Puppet>) {
    let puppet = Arc::new(Puppet::default());
    let mut caller = Caller::of(limits, served(Arc::clone(&puppet) as _));
    caller.say(json!({"id": 0, "verb": "hello", "protocol": "1.0"})).await;
    assert_eq!(caller.hear().await["id"], 0);
    (caller, puppet)
}

// shows C1.3, C3.1, C3.5, C3.6
#[tokio::test]
async fn every_method_of_the_contract_is_a_verb() {
    let mut caller = Caller::of(StdioLimits::default(), served(local()));
    let models = json!({"base_url": "http://127.0.0.1:9/v1",
        "models": [{"id": "suite-small", "tier": "small", "context_tokens": 8192}]});
    caller.say(json!({"id": 1, "verb": "hello", "protocol": "1.0", "models": models})).await;
    let hello = caller.hear().await;
    let name = "backend under test";
    assert_eq!(
        hello,
        json!({"id": 1, "ok": {"protocol": "1.0", "name": name, "version": "0.0.0", "backend_mode": "local"}})
    );
    caller.fits("ok_hello", &hello["ok"]);
    caller.say(json!({"id": 2, "verb": "capability_descriptor"})).await;
    let capabilities = caller.hear().await;
    caller.fits("ok_capability_descriptor", &capabilities["ok"]);
    caller.say(json!({"id": 3, "verb": "health_check"})).await;
    let health = caller.hear().await;
    caller.fits("ok_health_check", &health["ok"]);
    let graph: Value = serde_json::from_str(GRAPH).unwrap();
    caller
        .say(json!({"id": 4, "verb": "execute_taskgraph", "taskgraph": graph, "execution_context": context("r-4")}))
        .await;
    let result = caller.hear().await;
    caller.fits("ok_execute_taskgraph", &result["ok"]);
    assert_eq!((&result["id"], &result["ok"]["status"]), (&json!(4), &json!("success")));
    assert_eq!(result["ok"]["execution_metadata"]["run_id"], "r-4");
    caller.say(json!({"id": 5, "verb": "shutdown"})).await;
    assert_eq!(caller.hear().await, json!({"id": 5, "ok": {}}));
    caller.is_over().await;
}

// shows C10.3
#[tokio::test]
async fn another_major_of_the_protocol_is_refused_and_hello_may_be_said_again() {
    let mut caller = Caller::of(StdioLimits::default(), served(local()));
    caller.say(json!({"id": 1, "verb": "health_check"})).await;
    insta::assert_json_snapshot!("before_hello", caller.hear().await);
    caller.say(json!({"id": 2, "verb": "hello", "protocol": "2.0"})).await;
    insta::assert_json_snapshot!("another_major", caller.hear().await);
    caller.say(json!({"id": 3, "verb": "hello", "protocol": "1.9"})).await;
    assert_eq!(caller.hear().await["ok"]["protocol"], "1.0");
    caller.say(json!({"id": 4, "verb": "hello", "protocol": "1.0"})).await;
    insta::assert_json_snapshot!("hello_twice", caller.hear().await);
}

#[tokio::test]
async fn what_keeps_a_backend_from_being_made_is_told_to_the_caller() {
    let mut caller = Caller::with(StdioLimits::default(), |models| match models {
        Some(models) if models.base_url.is_empty() => Err(String::from("`base_url` is empty")),
        Some(_) | None => Ok(served(local())),
    });
    let models = json!({"base_url": "", "models": []});
    caller.say(json!({"id": 1, "verb": "hello", "protocol": "1.0", "models": models})).await;
    assert_eq!(caller.hear().await, json!({"id": 1, "error": {"message": "`base_url` is empty"}}));
    caller.say(json!({"id": 2, "verb": "hello", "protocol": "1.0", "models": null})).await;
    assert_eq!(caller.hear().await["ok"]["backend_mode"], "local");
}

#[tokio::test]
async fn what_is_no_request_is_said_to_be_none_and_the_next_is_read() {
    let (mut caller, _) = greeted(StdioLimits { max_line_bytes: 200, ..StdioLimits::default() }).await;
    let mut said = Vec::new();
    let long = format!("{{\"id\": 1, \"verb\": \"{}\"}}", "x".repeat(200));
    for line in [
        &b""[..],
        b"hello",
        b"[1, 2]",
        b"{\"id\": 1",
        b"{\"id\": 1, \"id\": 2, \"verb\": \"shutdown\"}",
        b"{\"verb\": \"health_check\"}",
        b"{\"id\": -1, \"verb\": \"health_check\"}",
        b"{\"id\": 1.5, \"verb\": \"health_check\"}",
        b"{\"id\": \"1\", \"verb\": \"health_check\"}",
        b"{\"id\": 9007199254740992, \"verb\": \"health_check\"}",
        b"{\"id\": 1, \"verb\": \"\xff\"}",
        long.as_bytes(),
        b"{\"id\": 1}",
        b"{\"id\": 2, \"verb\": 7}",
        b"{\"id\": 3, \"verb\": \"begin\"}",
        b"{\"id\": 4, \"verb\": \"cancel\"}",
        b"{\"id\": 5, \"verb\": \"cancel\", \"target\": \"4\"}",
        b"{\"id\": 6, \"verb\": \"execute_taskgraph\"}",
        b"{\"id\": 7, \"verb\": \"execute_taskgraph\", \"taskgraph\": {}}",
    ] {
        caller.say_bytes(line).await;
        said.push(caller.hear().await);
    }
    insta::assert_json_snapshot!(said);
    caller.say(json!({"id": 9, "verb": "health_check"})).await;
    assert_eq!(caller.hear().await["ok"]["status"], "healthy");
}

#[tokio::test]
async fn what_is_nested_without_end_is_refused() {
    let (mut caller, _) = greeted(StdioLimits::default()).await;
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let line = |field: &str, other: &str| {
        format!("{{\"id\": 1, \"verb\": \"execute_taskgraph\", \"{field}\": {deep}, \"{other}\": {{}}}}")
    };
    caller.say_bytes(line("execution_context", "taskgraph").as_bytes()).await;
    assert_eq!(caller.hear().await["refused"]["details"]["violations"][0]["code"], "json-too-deep");
    let mut caller = Caller::of(StdioLimits::default(), served(local()));
    caller.say(json!({"id": 0, "verb": "hello", "protocol": "1.0"})).await;
    caller.hear().await;
    let line = line("taskgraph", "other")
        .replace("\"other\": {}", &format!("\"execution_context\": {}", context("r")));
    caller.say_bytes(line.as_bytes()).await;
    assert_eq!(caller.hear().await["refused"]["details"]["violations"][0]["code"], "version-mismatch");
}

#[tokio::test]
async fn the_graph_arrives_in_the_text_that_was_sent() {
    let (mut caller, _) = greeted(StdioLimits::default()).await;
    let line =
        r#"{"id":1,"verb":"execute_taskgraph","taskgraph":{"a": 1.0,  "a":2e0},"execution_context":{}}"#;
    caller.say_bytes(line.as_bytes()).await;
    assert_eq!(caller.hear().await["ok"]["final_output"]["graph"], "{\"a\": 1.0,  \"a\":2e0}");
}

#[tokio::test]
async fn requests_are_answered_when_they_are_done_whatever_the_order() {
    let (mut caller, puppet) = greeted(StdioLimits::default()).await;
    caller.say(execute(1, "wait")).await;
    caller.say(execute(2, "echo")).await;
    caller.say(json!({"id": 3, "verb": "health_check"})).await;
    let mut first = [caller.hear().await["id"].clone(), caller.hear().await["id"].clone()];
    first.sort_by_key(Value::as_u64);
    assert_eq!(first, [2, 3]);
    puppet.release.notify_one();
    assert_eq!(caller.hear().await["id"], 1);
}

#[tokio::test]
async fn an_id_that_is_in_use_is_not_taken_again() {
    let (mut caller, puppet) = greeted(StdioLimits::default()).await;
    caller.say(execute(1, "wait")).await;
    caller.say(json!({"id": 1, "verb": "health_check"})).await;
    insta::assert_json_snapshot!("id_in_use", caller.hear().await);
    puppet.release.notify_one();
    assert_eq!(caller.hear().await["ok"]["status"], "success");
    caller.say(json!({"id": 1, "verb": "health_check"})).await;
    assert_eq!(caller.hear().await["ok"]["status"], "healthy");
}

#[tokio::test]
async fn a_cancelled_run_is_dropped_and_says_so_once() {
    let (mut caller, puppet) = greeted(StdioLimits::default()).await;
    caller.say(execute(4, "hang")).await;
    puppet.has_started(1).await;
    caller.say(json!({"id": 5, "verb": "cancel", "target": 4})).await;
    let mut answers = [caller.hear().await, caller.hear().await];
    answers.sort_by_key(|answer| answer["id"].as_u64());
    assert_eq!(answers, [json!({"id": 4, "cancelled": {}}), json!({"id": 5, "ok": {}})]);
    assert_eq!(puppet.dropped.load(Ordering::SeqCst), 1);
    // Nothing is under way under that id any more, and that is what the caller wanted.
    caller.say(json!({"id": 6, "verb": "cancel", "target": 4})).await;
    assert_eq!(caller.hear().await, json!({"id": 6, "ok": {}}));
}

#[tokio::test]
async fn a_run_that_waits_for_its_turn_is_cancelled_without_having_started() {
    let (mut caller, puppet) = greeted(StdioLimits { max_runs: 1, ..StdioLimits::default() }).await;
    caller.say(execute(1, "wait")).await;
    puppet.has_started(1).await;
    caller.say(execute(2, "echo")).await;
    caller.say(json!({"id": 3, "verb": "cancel", "target": 2})).await;
    let mut answers = [caller.hear().await, caller.hear().await];
    answers.sort_by_key(|answer| answer["id"].as_u64());
    assert_eq!(answers, [json!({"id": 2, "cancelled": {}}), json!({"id": 3, "ok": {}})]);
    puppet.release.notify_one();
    assert_eq!(caller.hear().await["ok"]["status"], "success");
    assert_eq!(puppet.started.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_backend_that_panics_answers_too() {
    let (mut caller, _) = greeted(StdioLimits::default()).await;
    caller.say(execute(1, "panic")).await;
    assert_eq!(caller.hear().await["refused"]["error_type"], "INTERNAL_ERROR");
    caller.say(execute(2, "refuse")).await;
    assert_eq!(caller.hear().await["refused"]["message"], "as it was told");
}

#[tokio::test]
async fn more_runs_than_there_is_room_for_wait_and_then_are_refused() {
    let limits = StdioLimits { max_runs: 2, max_queued: 1, ..StdioLimits::default() };
    let (mut caller, puppet) = greeted(limits).await;
    for id in 1..=3 {
        caller.say(execute(id, "wait")).await;
    }
    puppet.has_started(2).await;
    caller.say(execute(4, "wait")).await;
    insta::assert_json_snapshot!("too_many_runs", caller.hear().await);
    for _ in 1..=3 {
        puppet.release.notify_one();
        assert_eq!(caller.hear().await["ok"]["status"], "success");
    }
    assert_eq!((puppet.started.load(Ordering::SeqCst), puppet.peak.load(Ordering::SeqCst)), (3, 2));
}

#[tokio::test]
async fn the_graphs_that_wait_are_bounded_in_bytes() {
    let (mut caller, _) = greeted(StdioLimits { max_pending_bytes: 20, ..StdioLimits::default() }).await;
    caller.say(execute(1, "hang")).await;
    caller.say(execute(2, "hang")).await;
    insta::assert_json_snapshot!("too_many_bytes", caller.hear().await);
    caller.say(json!({"id": 3, "verb": "cancel", "target": 1})).await;
    caller.hear().await;
    caller.hear().await;
    caller.say(execute(4, "a graph that is longer than what is allowed to wait")).await;
    assert_eq!(caller.hear().await["ok"]["status"], "success");
}

#[tokio::test]
async fn a_shutdown_cancels_what_is_under_way_and_answers_last() {
    let (mut caller, puppet) = greeted(StdioLimits::default()).await;
    caller.say(execute(1, "hang")).await;
    puppet.has_started(1).await;
    caller.say(json!({"id": 2, "verb": "shutdown"})).await;
    assert_eq!(caller.hear().await, json!({"id": 1, "cancelled": {}}));
    assert_eq!(caller.hear().await, json!({"id": 2, "ok": {}}));
    caller.is_over().await;
    assert_eq!(puppet.dropped.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_end_of_input_is_a_shutdown() {
    let (mut caller, puppet) = greeted(StdioLimits::default()).await;
    caller.say(execute(1, "hang")).await;
    puppet.has_started(1).await;
    caller.hang_up();
    assert_eq!(caller.hear().await, json!({"id": 1, "cancelled": {}}));
    caller.is_over().await;
    assert_eq!(puppet.dropped.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_reader_who_goes_away_stops_the_runs_and_is_no_error() {
    let puppet = Arc::new(Puppet::default());
    let hello = json!({"id": 0, "verb": "hello", "protocol": "1.0"});
    let input = format!("{hello}\n{}\n{}\n", execute(1, "hang"), execute(2, "echo"));
    // The second half is kept, so that input does not end; output has room for hello's answer and no reader.
    let (input_end, mut ours) = tokio::io::duplex(4096);
    tokio::io::AsyncWriteExt::write_all(&mut ours, input.as_bytes()).await.unwrap();
    let (output, reader) = tokio::io::duplex(1 << 16);
    drop(reader);
    let made: Served = served(Arc::clone(&puppet) as _);
    let outcome = serve_stdio(input_end, output, StdioLimits::default(), |_| Ok(made.clone())).await;
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(puppet.at_once.load(Ordering::SeqCst), 0);
}

#[test]
fn the_schema_takes_no_message_for_another() {
    for bad in [
        json!({"id": 1}),
        json!({"id": 1, "verb": "begin"}),
        json!({"id": -1, "verb": "shutdown"}),
        json!({"id": 1, "verb": "hello"}),
        json!({"id": 1, "verb": "hello", "protocol": "v1"}),
        json!({"id": 1, "verb": "cancel"}),
        json!({"id": 1, "verb": "execute_taskgraph", "taskgraph": {}}),
    ] {
        assert!(!is_request(&bad), "{bad}");
    }
    for bad in [
        json!({"id": 1}),
        json!({"ok": {}}),
        json!({"id": 1, "ok": {}, "error": {"message": "m"}}),
        json!({"id": 1, "ok": 7}),
        json!({"id": 1, "cancelled": {"why": "so"}}),
        json!({"id": 1, "refused": {"message": "m"}}),
        json!({"id": 1, "refused": {"error_type": "bad word", "message": "m"}}),
        json!({"id": 1, "log": "hello"}),
    ] {
        assert!(!is_answer(&bad), "{bad}");
    }
}
