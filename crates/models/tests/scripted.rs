//! The scripted adapter: it does what its script says, and remembers what it was asked.
#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

use std::sync::Arc;
use std::time::Duration;

use kora_ir::{CheckedGraph, Limits, ModelParameters, Privacy};
use models::TokenCount::{Counted, Reported, Unknown};
use models::{
    AdapterErrorKind, AdapterHealth, CallEnd, ModelAdapter, ModelId, ModelRequest, ModelRouter, Script,
    ScriptedAdapter, TokenCount, TokenSink,
};
use serde_json::{Value, json};

fn request(attempt: u32) -> ModelRequest {
    let graph = json!({
        "kora_version": "1.0.0", "graph_id": "g", "root": "ask", "tasks": [{
            "version": "1.0", "id": "ask", "type": "model", "dependencies": [], "input": {},
            "schema": {"type": "object", "properties": {"ok": {"type": "boolean"}}, "additionalProperties": false},
            "budget": {"max_tokens": 10, "max_time_ms": 1000, "max_retries": 0},
            "run": {"model": "scripted", "prompt": "?"},
        }],
    });
    let graph = CheckedGraph::parse(&graph.to_string(), &Limits::default()).unwrap();
    let task = graph.task(graph.root());
    ModelRequest {
        model: ModelId::from("scripted"),
        messages: Vec::new(),
        schema: Arc::clone(&task.schema),
        max_output_tokens: 10,
        deadline: Duration::from_secs(1),
        parameters: ModelParameters::default(),
        privacy: Privacy::LocalOnly,
        task_id: task.id.clone(),
        attempt,
    }
}

fn scripted(script: Value) -> ScriptedAdapter {
    ScriptedAdapter::new(serde_json::from_value(script).unwrap())
}

/// What one step comes to: the value, or the kind of error; and the tokens generated.
async fn outcome(step: Value) -> (Result<Value, AdapterErrorKind>, TokenCount) {
    let adapter = scripted(json!({"otherwise": step}));
    let request = request(0);
    let mut sink = TokenSink::for_request(&request);
    match adapter.generate(&request, &mut sink).await {
        Ok(reply) => {
            let usage = reply.usage();
            (Ok(reply.admit(&request.schema).unwrap().value().clone()), usage.tokens_out)
        }
        Err(error) => (Err(error.kind), error.usage.tokens_out),
    }
}

#[tokio::test]
async fn a_reply_costs_what_the_script_says() {
    let ok = json!({"ok": true});
    assert_eq!(outcome(json!({"act": {"reply": ok}})).await, (Ok(ok.clone()), Reported(3)));
    assert_eq!(
        outcome(json!({"act": {"reply": ok}, "tokens_out": 10})).await,
        (Ok(ok.clone()), Reported(10))
    );
    assert_eq!(outcome(json!({"act": {"reply": ok}, "tokens_out": 0})).await, (Ok(ok.clone()), Reported(0)));
    assert_eq!(
        outcome(json!({"act": {"reply": ok}, "usage": "counted"})).await,
        (Ok(ok.clone()), Counted(3))
    );
    assert_eq!(outcome(json!({"act": {"reply": ok}, "usage": "unknown"})).await, (Ok(ok), Unknown));
}

#[tokio::test]
async fn the_cap_holds_for_scripts_too() {
    let exhausted = |tokens| (Err(AdapterErrorKind::TokensExhausted), tokens);
    assert_eq!(outcome(json!({"act": "overrun"})).await, exhausted(Counted(11)));
    assert_eq!(outcome(json!({"act": {"reply": {}}, "tokens_out": 11})).await, exhausted(Counted(11)));
    let afterwards = json!({"act": {"reply": {}}, "tokens_out": 400, "usage": "afterwards"});
    assert_eq!(outcome(afterwards).await, exhausted(Reported(400)));
    assert_eq!(outcome(json!({"act": {"truncated": "{"}})).await, exhausted(Reported(1)));
}

#[tokio::test]
async fn errors_are_as_written_and_keep_what_was_spent() {
    let step = json!({"act": {"error": {"kind": "server_error", "transient": false}}, "tokens_out": 4});
    assert_eq!(outcome(step).await, (Err(AdapterErrorKind::ServerError), Counted(4)));
    let adapter = scripted(json!({"tasks": {"other": [{"act": "hang"}]}}));
    let request = request(2);
    let error = adapter.generate(&request, &mut TokenSink::for_request(&request)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the script has nothing for task `ask`, attempt 2; add a step to `tasks` or an `otherwise`"
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_script_runs_out_of_time_and_a_hanging_one_does_not_even_do_that() {
    let slow = json!({"act": {"reply": {}}, "tokens_out": 5, "ms_per_token": 400});
    assert_eq!(outcome(slow).await, (Err(AdapterErrorKind::DeadlineExceeded), Counted(2)));
    let hanging = tokio::time::timeout(Duration::from_secs(3600), outcome(json!({"act": "hang"})));
    assert!(hanging.await.is_err());
}

#[tokio::test(start_paused = true)]
async fn calls_are_remembered_with_their_caps_and_their_ends() {
    let adapter = scripted(json!({"tasks": {"ask": [
        {"act": {"text": "no"}, "delay_ms": 5}, {"act": {"error": {"kind": "rejected"}}}, {"act": "hang"},
    ]}}));
    for attempt in 0..4 {
        let mut request = request(attempt);
        request.max_output_tokens = u64::from(10 - attempt);
        let mut sink = TokenSink::for_request(&request);
        let call = adapter.generate(&request, &mut sink);
        drop(tokio::time::timeout(Duration::from_secs(9), call).await);
    }
    let calls = adapter.calls();
    let told: Vec<_> =
        calls.iter().map(|call| (call.task_id.as_str(), call.attempt, call.max_output_tokens)).collect();
    assert_eq!(told, [("ask", 0, 10), ("ask", 1, 9), ("ask", 2, 8), ("ask", 3, 7)]);
    let ms = Duration::from_millis;
    let ends: Vec<_> = calls.iter().filter_map(|call| call.ended).collect();
    assert_eq!(
        ends,
        [
            (ms(5), CallEnd::Replied),
            (ms(5), CallEnd::Failed(AdapterErrorKind::Rejected)),
            (ms(9005), CallEnd::Dropped),
            (ms(18005), CallEnd::Dropped),
        ]
    );
    assert_eq!(adapter.peak_concurrency(), 1);
}

#[tokio::test]
async fn a_panic_is_a_panic_and_is_remembered() {
    let adapter = Arc::new(scripted(json!({"otherwise": {"act": "panic"}})));
    let panicking = Arc::clone(&adapter);
    let call = tokio::spawn(async move {
        let request = request(0);
        panicking.generate(&request, &mut TokenSink::for_request(&request)).await.is_ok()
    });
    assert!(call.await.unwrap_err().is_panic());
    assert_eq!(adapter.calls()[0].ended.unwrap().1, CallEnd::Panicked);
}

#[tokio::test]
async fn a_remote_script_gets_no_local_only_prompt() {
    let adapter = scripted(json!({"locality": "remote", "otherwise": {"act": {"reply": {}}}}));
    let request = request(0);
    let error = adapter.generate(&request, &mut TokenSink::for_request(&request)).await.unwrap_err();
    assert_eq!(error.kind, AdapterErrorKind::RemoteForbidden);
}

#[tokio::test]
async fn a_router_tells_the_health_of_all() {
    let well = Arc::new(scripted(json!({"name": "well", "models": [{"id": "a"}]})));
    let ill = Arc::new(scripted(json!({"name": "ill", "unavailable": "no weights"})));
    let router = ModelRouter::new(vec![well, ill]).unwrap();
    let reason = String::from("no weights");
    assert_eq!(
        router.health().await,
        [("well".into(), AdapterHealth::Healthy), ("ill".into(), AdapterHealth::Unavailable { reason })]
    );
}

#[test]
fn a_script_with_a_typing_error_is_refused() {
    let error = serde_json::from_value::<Script>(json!({"otherwise": {"act": {"replay": {}}}})).unwrap_err();
    assert!(error.to_string().starts_with("unknown variant `replay`"), "{error}");
    assert!(serde_json::from_value::<Script>(json!({"taks": {}})).is_err());
    assert!(serde_json::from_value::<Script>(json!({"otherwise": {"act": "hang", "delay": 5}})).is_err());
}
