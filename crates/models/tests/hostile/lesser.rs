//! A lesser server, replayed: what llama-cpp-python's answered once, and what the adapter makes of it.

use std::sync::Arc;

use kora_ir::OutputSchema;
use models::AdapterErrorKind::{ContextOverflow, ModelUnknown, Protocol, Rejected, TokensExhausted};
use models::TokenCount::{Counted, Reported, Unknown};
use models::{AdapterError, ModelRequest, OpenAiAdapter, RawReply, ReplyRejected, Usage};
use serde_json::{Value, json};

use crate::peer::{Peer, Say, bytes};
use crate::world::{ask, compiled, config, request};

/// The recorded answer of this name; see `recorded/README.md` for how it came about.
fn recorded(name: &str) -> Vec<Say> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hostile/recorded/llama-cpp-python-0.3.36");
    let text = std::fs::read_to_string(format!("{folder}/{name}.http")).unwrap();
    let (head, body) = text.split_once("\n\n").unwrap();
    let head = head.replace('\n', "\r\n");
    vec![bytes(format!("{head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()))]
}

/// `{"n": 1 | 2 | 3}`, which the server was asked for.
fn priority() -> Arc<OutputSchema> {
    compiled(json!({
        "type": "object", "properties": {"n": {"type": "integer", "minimum": 1, "maximum": 3}}, "required": ["n"],
    }))
}

fn asking(schema: Arc<OutputSchema>, cap: u64) -> ModelRequest {
    ModelRequest { schema, max_output_tokens: cap, ..request() }
}

/// Asks the stand-in once, with a server that answers so and an adapter that is set up so.
async fn asked(answer: &str, more: Value, request: &ModelRequest) -> Result<RawReply, AdapterError> {
    let peer = Peer::start(vec![recorded(answer)]).await;
    ask(&OpenAiAdapter::new(config(&peer, more)).unwrap(), request).await
}

fn objects() -> Value {
    json!({"structured_output": "json_object"})
}

fn whole() -> Value {
    json!({"structured_output": "json_object", "stream": false})
}

#[tokio::test]
async fn it_knows_no_json_schema_says_so_with_a_500_and_is_remembered_for_it() {
    let peer = Peer::start(vec![recorded("unknown-format"), recorded("object-streamed")]).await;
    let adapter = OpenAiAdapter::new(config(&peer, json!({}))).unwrap();
    for _ in 0..2 {
        let reply = ask(&adapter, &asking(priority(), 40)).await.unwrap();
        assert_eq!(reply.admit(&priority()).unwrap().value(), &json!({"n": 1}));
    }
    let heard = peer.heard();
    let ways: Vec<_> =
        heard.iter().map(|heard| heard.body["response_format"]["type"].as_str().unwrap()).collect();
    assert_eq!(ways, ["json_schema", "json_object", "json_object"]);
    assert_eq!(heard[1].body["response_format"]["schema"]["properties"]["n"]["maximum"], 3);
}

// shows C7.6
#[tokio::test]
async fn its_streams_do_not_tell_what_they_cost_although_it_was_asked() {
    let reply = asked("object-streamed", objects(), &asking(priority(), 40)).await.unwrap();
    assert_eq!(reply.usage(), Usage::UNKNOWN);
    let reply = asked("object-whole", whole(), &asking(priority(), 40)).await.unwrap();
    assert_eq!(reply.usage(), Usage { tokens_in: Reported(40), tokens_out: Reported(7) });
    assert!(reply.admit(&priority()).is_ok());
}

// shows C11.1
#[tokio::test]
async fn bounds_that_it_ignores_are_kept_at_the_gate() {
    let small = compiled(json!({"type": "integer", "minimum": 1, "maximum": 3}));
    let reply = asked("bounds-ignored", objects(), &asking(small.clone(), 40)).await.unwrap();
    let rejected = reply.admit(&small).unwrap_err();
    assert!(matches!(rejected, ReplyRejected::SchemaMismatch(_)), "{rejected}");
}

// shows C11.1
#[tokio::test]
async fn keywords_and_escapes_that_it_ignores_are_kept_at_the_gate() {
    let never = compiled(json!({"type": "string", "maxLength": 3, "not": {"type": "string"}}));
    let reply = asked("not-streamed", objects(), &asking(never.clone(), 40)).await.unwrap();
    // A line break inside a text: not even JSON.
    assert!(matches!(reply.admit(&never).unwrap_err(), ReplyRejected::NotJson { .. }));
}

// shows C7.2
#[tokio::test]
async fn a_cap_that_it_ignores_is_kept_here() {
    let peer = Peer::start(vec![recorded("cap-ignored")]).await;
    let more = json!({"structured_output": "prompt", "token_cap_fields": "max_completion_tokens"});
    let adapter = OpenAiAdapter::new(config(&peer, more)).unwrap();
    let error = ask(&adapter, &asking(priority(), 3)).await.unwrap_err();
    assert_eq!((error.kind, error.usage.tokens_out), (TokensExhausted, Counted(4)));
    assert_eq!(peer.heard()[0].body["max_completion_tokens"], 3);
    peer.closed(1).await;
}

// shows C7.2
#[tokio::test]
async fn a_reply_that_it_cut_for_its_length_is_the_budgets_fault() {
    let error = asked("cut-for-length", objects(), &asking(priority(), 3)).await.unwrap_err();
    assert_eq!((error.kind, error.transient, error.usage.tokens_out), (TokensExhausted, false, Unknown));
}

#[tokio::test]
async fn an_overflow_is_an_empty_stream_and_told_where_it_answers_in_one() {
    let error = asked("overflow-streamed", objects(), &asking(priority(), 40)).await.unwrap_err();
    assert_eq!(error.kind, Protocol);
    assert!(error.to_string().ends_with("set `stream` to false to be told why"), "{error}");
    let error = asked("overflow-whole", whole(), &asking(priority(), 40)).await.unwrap_err();
    assert_eq!((error.kind, error.transient, error.usage), (ContextOverflow, false, Usage::NOTHING));
}

#[tokio::test]
async fn it_would_generate_from_nothing_and_is_not_asked_to() {
    let peer = Peer::start(vec![recorded("no-messages")]).await;
    let nothing = ModelRequest { messages: Vec::new(), ..request() };
    let error = ask(&OpenAiAdapter::new(config(&peer, json!({}))).unwrap(), &nothing).await.unwrap_err();
    assert_eq!((error.kind, error.usage), (Rejected, Usage::NOTHING));
    assert_eq!(peer.heard().len(), 0);
}

// shows C11.3
#[tokio::test]
async fn it_echoes_any_models_name_so_its_list_decides() {
    let models = |also: Value| json!([{"id": "tiny", "served_as": "huge-405b", "also_reported_as": also}]);
    let peer = Peer::start(vec![recorded("models"), recorded("other-name")]).await;
    let more = json!({"models": models(json!([])), "check_listing": true});
    let error =
        ask(&OpenAiAdapter::new(config(&peer, more)).unwrap(), &asking(priority(), 40)).await.unwrap_err();
    assert_eq!((error.kind, error.transient, error.usage), (ModelUnknown, false, Usage::NOTHING));
    assert_eq!(peer.heard().len(), 1, "asked what it lists, and nothing else");

    let listed = models(json!(["models/SmolLM2-135M-Instruct.Q4_1.gguf"]));
    let peer = Peer::start(vec![recorded("models"), recorded("other-name")]).await;
    let more = json!({"models": listed, "check_listing": true, "structured_output": "json_object"});
    let adapter = OpenAiAdapter::new(config(&peer, more)).unwrap();
    assert!(ask(&adapter, &asking(priority(), 40)).await.is_ok());
    assert!(ask(&adapter, &asking(priority(), 40)).await.is_ok());
    assert_eq!(peer.heard().len(), 3, "what it lists is asked once");
}
