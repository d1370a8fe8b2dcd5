//! The adapter for OpenAI-compatible servers against one that nobody here wrote: llama.cpp's, with a real model.
#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test may fail it")]

mod asking;
mod server;

use std::time::Duration;

use models::AdapterErrorKind::{
    ContextOverflow, DeadlineExceeded, ModelNotAllowed, ModelUnknown, Rejected, TokensExhausted,
    Unauthorized, Unreachable,
};
use models::{AdapterHealth, ModelAdapter, ReplyRejected, TokenCount, TokenSink, Usage};
use serde_json::{Value, json};

use crate::asking::{Asking, priority, schema, until_counted};
use crate::server::Server;

/// More than any answer of these tests needs, so that only a cap that is meant ends one.
const ENOUGH: u64 = 80;

macro_rules! in_turn {
    ($server:expr => $($check:ident),* $(,)?) => {
        $(
            println!("{}", stringify!($check));
            $check($server).await;
        )*
    };
}

/// One server for all checks, because starting it costs more than asking it.
// shows C4.2, C7.2, C7.4, C7.6, C11.1, C11.3
#[tokio::test]
async fn every_rule_holds_with_a_server_that_nobody_here_wrote() {
    let server = Server::start();
    in_turn!(&server =>
        a_reply_comes_with_what_the_server_says_it_cost,
        every_way_of_structured_output_ends_at_the_gate,
        the_token_cap_is_kept_in_whichever_field_it_stands,
        without_usage_nothing_is_guessed_from_the_pieces,
        a_prompt_that_does_not_fit_is_an_overflow,
        a_request_without_messages_is_not_sent,
        a_model_that_is_not_listed_is_not_asked,
        an_answer_in_another_models_name_is_refused_unless_configured,
        a_keyword_that_the_server_drops_is_caught_at_the_gate,
        a_schema_that_the_server_cannot_read_costs_this_call_its_guarantee_and_no_other,
        two_calls_at_once_are_two_replies,
        without_the_right_key_nobody_is_let_in,
        time_that_is_over_ends_the_call,
        a_call_that_is_dropped_stops_the_server_too,
        health_is_what_the_server_lists,
    );
    a_server_that_dies_in_the_middle_may_come_back(server).await;
}

async fn a_reply_comes_with_what_the_server_says_it_cost(server: &Server) {
    let asked = Asking::of(server).ask(priority(), ENOUGH).await;
    let reply = asked.outcome.unwrap();
    let (Some(tokens_in), Some(tokens_out)) =
        (reply.usage().tokens_in.known(), reply.usage().tokens_out.known())
    else {
        unreachable!("llama.cpp tells both: {:?}", reply.usage())
    };
    assert!(tokens_in > 0 && (1..=ENOUGH).contains(&tokens_out), "{:?}", reply.usage());
    assert!(tokens_out >= asked.pieces, "{tokens_out} told, {} came", asked.pieces);
    let output = reply.admit(&priority()).unwrap();
    assert!((1..=3).contains(&output.value()["n"].as_i64().unwrap()), "{:?}", output.value());
}

async fn every_way_of_structured_output_ends_at_the_gate(server: &Server) {
    for (way, stream) in [("json_schema", true), ("json_object", true), ("json_object", false)] {
        let more = json!({"structured_output": way, "stream": stream});
        let reply = Asking::of(server).with(more).ask(priority(), ENOUGH).await.outcome.unwrap();
        assert!(matches!(reply.usage().tokens_out, TokenCount::Reported(_)), "{way}: {:?}", reply.usage());
        assert!(reply.admit(&priority()).is_ok(), "{way}");
    }
    // So small a model may say anything; what it says is admitted, refused or cut off, and nothing else.
    let asked = Asking::of(server).with(json!({"structured_output": "prompt"})).ask(priority(), 40).await;
    match asked.outcome {
        Ok(reply) => drop(reply.admit(&priority())),
        Err(error) => assert_eq!(error.kind, TokensExhausted, "{error}"),
    }
}

async fn the_token_cap_is_kept_in_whichever_field_it_stands(server: &Server) {
    for fields in ["both", "max_tokens", "max_completion_tokens"] {
        let asked = Asking::of(server).with(json!({"token_cap_fields": fields})).ask(priority(), 3).await;
        let error = asked.outcome.unwrap_err();
        // Cut for its length: the budget's fault, not the schema's.
        assert_eq!((error.kind, error.transient), (TokensExhausted, false), "{fields}: {error}");
        assert_eq!(error.usage.tokens_out, TokenCount::Reported(3), "{fields}");
    }
}

async fn without_usage_nothing_is_guessed_from_the_pieces(server: &Server) {
    let asked = Asking::of(server).with(json!({"ask_usage": false})).ask(priority(), ENOUGH).await;
    let reply = asked.outcome.unwrap();
    assert_eq!(reply.usage(), Usage::UNKNOWN);
    assert!(reply.admit(&priority()).is_ok());
}

async fn a_prompt_that_does_not_fit_is_an_overflow(server: &Server) {
    let asked = Asking::of(server).saying(&"word ".repeat(1000)).ask(priority(), 5).await;
    let error = asked.outcome.unwrap_err();
    assert_eq!((error.kind, error.transient, error.usage), (ContextOverflow, false, Usage::NOTHING));
    assert!(error.to_string().contains("do not fit the model's context window"), "{error}");
}

async fn a_request_without_messages_is_not_sent(server: &Server) {
    let before = server.tokens_generated();
    let asked = Asking::of(server).saying_nothing().ask(priority(), 5).await;
    let error = asked.outcome.unwrap_err();
    assert_eq!((error.kind, error.usage), (Rejected, Usage::NOTHING));
    assert_eq!(server.tokens_generated(), before);
}

async fn a_model_that_is_not_listed_is_not_asked(server: &Server) {
    let other = json!({"models": [{"id": "tiny", "served_as": "huge-405b"}]});
    let before = server.tokens_generated();
    let error = Asking::of(server).with(other).ask(priority(), ENOUGH).await.outcome.unwrap_err();
    assert_eq!((error.kind, error.transient, error.usage), (ModelUnknown, false, Usage::NOTHING));
    assert!(error.to_string().contains("does not list `huge-405b`"), "{error}");
    assert_eq!(server.tokens_generated(), before);
}

async fn an_answer_in_another_models_name_is_refused_unless_configured(server: &Server) {
    let other = |also: Value| {
        json!({
            "models": [{"id": "tiny", "served_as": "huge-405b", "also_reported_as": also}],
            "check_listing": false,
        })
    };
    let error = Asking::of(server).with(other(json!([]))).ask(priority(), ENOUGH).await.outcome.unwrap_err();
    assert_eq!((error.kind, error.transient), (ModelNotAllowed, false), "{error}");
    assert!(error.to_string().contains("`huge-405b` was asked and `smollm2` answered"), "{error}");
    let known = other(json!(["smollm2"]));
    assert!(Asking::of(server).with(known).ask(priority(), ENOUGH).await.outcome.is_ok());
}

async fn a_keyword_that_the_server_drops_is_caught_at_the_gate(server: &Server) {
    for (dropped, schema) in [
        ("not", schema(json!({"type": "string", "maxLength": 3, "not": {"type": "string"}}))),
        (
            "uniqueItems",
            schema(json!({
                "type": "array", "items": {"const": 1}, "minItems": 2, "maxItems": 2, "uniqueItems": true,
            })),
        ),
    ] {
        let reply = Asking::of(server).ask(schema.clone(), ENOUGH).await.outcome.unwrap();
        let rejected = reply.admit(&schema).unwrap_err();
        assert!(matches!(rejected, ReplyRejected::SchemaMismatch(_)), "{dropped}: {rejected}");
    }
}

async fn a_schema_that_the_server_cannot_read_costs_this_call_its_guarantee_and_no_other(server: &Server) {
    let recursive = schema(json!({
        "type": "object", "properties": {"n": {"type": "integer"}, "next": {"$ref": "#"}}, "required": ["n"],
    }));
    let strict = Asking::of(server).with(json!({"structured_output": "json_schema"}));
    let error = strict.ask(recursive.clone(), 30).await.outcome.unwrap_err();
    assert_eq!((error.kind, error.transient, error.usage), (Rejected, false, Usage::NOTHING), "{error}");

    let falling_back = Asking::of(server);
    match falling_back.ask(recursive.clone(), 30).await.outcome {
        Ok(reply) => drop(reply.admit(&recursive)),
        Err(error) => assert_eq!(error.kind, TokensExhausted, "{error}"),
    }
    let reply = falling_back.ask(priority(), ENOUGH).await.outcome.unwrap();
    assert!(reply.admit(&priority()).is_ok());
}

async fn two_calls_at_once_are_two_replies(server: &Server) {
    let (one, other) = (Asking::of(server), Asking::of(server));
    let (one, other) = tokio::join!(one.ask(priority(), ENOUGH), other.ask(priority(), ENOUGH));
    for asked in [one, other] {
        assert!(asked.outcome.unwrap().admit(&priority()).is_ok());
    }
}

async fn without_the_right_key_nobody_is_let_in(server: &Server) {
    for key in [None, Some("sk-another-key")] {
        let error = Asking::of(server).with_key(key).ask(priority(), 5).await.outcome.unwrap_err();
        assert_eq!((error.kind, error.transient, error.usage), (Unauthorized, false, Usage::NOTHING));
        assert!(!error.to_string().contains("another-key"), "{error}");
    }
}

async fn time_that_is_over_ends_the_call(server: &Server) {
    let asked = Asking::of(server).rambling().within(Duration::from_millis(200)).ask(text(), 400).await;
    let error = asked.outcome.unwrap_err();
    assert_eq!((error.kind, error.transient), (DeadlineExceeded, false), "{error}");
    server.until_idle().await;
}

async fn a_call_that_is_dropped_stops_the_server_too(server: &Server) {
    let before = server.tokens_generated();
    let asking = Asking::of(server).rambling();
    let (adapter, request) = (asking.adapter(), asking.request(text(), 400));
    let mut sink = TokenSink::for_request(&request);
    let meter = sink.meter();
    tokio::select! {
        ended = adapter.generate(&request, &mut sink) => unreachable!("it rambles: {ended:?}"),
        () = until_counted(&meter, 3) => {}
    }
    assert!(sink.usage().tokens_out.known().is_some_and(|tokens| tokens >= 3), "{:?}", sink.usage());
    server.until_idle().await;
    let generated = server.tokens_generated() - before;
    assert!((3..400).contains(&generated), "{generated} tokens were generated for nobody");
}

async fn health_is_what_the_server_lists(server: &Server) {
    assert_eq!(Asking::of(server).adapter().health().await, AdapterHealth::Healthy);
    let other = json!({"models": [{"id": "tiny", "served_as": "huge-405b"}]});
    let health = Asking::of(server).with(other).adapter().health().await;
    assert!(matches!(health, AdapterHealth::Degraded { .. }), "{health:?}");
}

async fn a_server_that_dies_in_the_middle_may_come_back(mut server: Server) {
    let asking = Asking::of(&server).rambling();
    let (adapter, request) = (asking.adapter(), asking.request(text(), 400));
    let mut sink = TokenSink::for_request(&request);
    let meter = sink.meter();
    let killed = async {
        until_counted(&meter, 2).await;
        server.kill();
    };
    let (outcome, ()) = tokio::join!(adapter.generate(&request, &mut sink), killed);
    let error = outcome.unwrap_err();
    assert_eq!((error.kind, error.transient), (Unreachable, true), "{error}");
    assert!(error.usage.tokens_out.known().is_some_and(|tokens| tokens >= 2), "{:?}", error.usage);
    let health = adapter.health().await;
    assert!(matches!(health, AdapterHealth::Unavailable { .. }), "{health:?}");
}

/// Any text: what a rambling model fills without end.
fn text() -> std::sync::Arc<kora_ir::OutputSchema> {
    schema(json!({"type": "string"}))
}
