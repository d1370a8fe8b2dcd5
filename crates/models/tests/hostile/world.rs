//! What every test needs: a request, an adapter for a peer, and an outcome in words.

use std::sync::Arc;
use std::time::Duration;

use kora_ir::{CheckedGraph, Limits, Message, ModelParameters, OutputSchema, Privacy, Role, TaskId};
use models::{
    AdapterError, AdapterErrorKind, ModelAdapter, ModelId, ModelRequest, OpenAiAdapter, OpenAiConfig,
    RawReply, ReplyRejected, TokenCount, TokenSink,
};
use serde_json::{Value, json};

use crate::peer::{Peer, Say};

/// `{"ok": boolean}` and nothing else.
pub(crate) fn schema() -> Arc<OutputSchema> {
    compiled(json!({
        "type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"], "additionalProperties": false,
    }))
}

pub(crate) fn compiled(document: Value) -> Arc<OutputSchema> {
    Arc::new(OutputSchema::compile(document, &Limits::default()).unwrap())
}

fn task_id() -> TaskId {
    let budget = json!({"max_tokens": 10, "max_time_ms": 1000, "max_retries": 0});
    let graph = json!({
        "kora_version": "1.0.0", "graph_id": "g", "root": "ask", "tasks": [{
            "version": "1.0", "id": "ask", "type": "model", "dependencies": [], "input": {},
            "schema": {"type": "object"}, "budget": budget, "run": {"model": "tiny", "prompt": "?"},
        }],
    });
    let graph = CheckedGraph::parse(&graph.to_string(), &Limits::default()).unwrap();
    graph.task(graph.root()).id.clone()
}

/// A request with a cap of 10 tokens and a minute.
pub(crate) fn request() -> ModelRequest {
    ModelRequest {
        model: ModelId::from("tiny"),
        messages: vec![Message { role: Role::User, content: String::from("my secret question") }],
        schema: schema(),
        max_output_tokens: 10,
        deadline: Duration::from_secs(60),
        parameters: ModelParameters::default(),
        privacy: Privacy::AllowRemote,
        task_id: task_id(),
        attempt: 0,
    }
}

/// The configuration of an adapter for `peer`, with `more` fields.
pub(crate) fn config(peer: &Peer, more: Value) -> OpenAiConfig {
    let mut config = json!({
        "name": "peer", "base_url": format!("http://{}/v1", peer.address), "models": [{"id": "tiny"}],
        // A script is an answer to one question.
        "check_listing": false,
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(config).unwrap()
}

pub(crate) fn adapter(peer: &Peer) -> OpenAiAdapter {
    OpenAiAdapter::new(config(peer, json!({}))).unwrap()
}

/// Asks `adapter` once.
pub(crate) async fn ask(adapter: &OpenAiAdapter, request: &ModelRequest) -> Result<RawReply, AdapterError> {
    let mut sink = TokenSink::for_request(request);
    let outcome = adapter.generate(request, &mut sink).await;
    if let Err(error) = &outcome {
        assert!(!error.to_string().contains("secret"), "content in an error: {error}");
        assert_eq!(error.usage, sink.usage(), "an error tells what was spent");
    }
    outcome
}

/// Asks a peer with this script once.
pub(crate) async fn outcome(script: Vec<Say>) -> Result<RawReply, AdapterError> {
    let peer = Peer::start(vec![script]).await;
    ask(&adapter(&peer), &request()).await
}

/// The value that a peer's answer comes to, and what it cost.
pub(crate) async fn admitted(script: Vec<Say>) -> (Value, TokenCount, TokenCount) {
    let reply = outcome(script).await.unwrap();
    let usage = reply.usage();
    let value = reply.admit(&schema()).unwrap().value().clone();
    (value, usage.tokens_in, usage.tokens_out)
}

/// Why a peer's answer is no output.
pub(crate) async fn rejected(script: Vec<Say>) -> ReplyRejected {
    outcome(script).await.unwrap().admit(&schema()).unwrap_err()
}

/// How a peer's answer fails: the kind, whether it may pass, and the tokens generated until then.
pub(crate) async fn failed(script: Vec<Say>) -> (AdapterErrorKind, bool, TokenCount) {
    let error = outcome(script).await.unwrap_err();
    (error.kind, error.transient, error.usage.tokens_out)
}
