//! Answers that are not what was agreed on.

use models::AdapterErrorKind::{
    ContentFiltered, ContextOverflow, Protocol, ReplyTooLarge, ServerError, Unreachable,
};
use models::TokenCount::{Counted, Unknown};
use models::{AdapterErrorKind, OpenAiAdapter, TokenCount};
use serde_json::json;

use crate::peer::{Peer, Say, bytes, done, event, finish, piece, response, stream_head};
use crate::world::{ask, config, failed, outcome, request};

async fn check(script: Vec<Say>, kind: AdapterErrorKind, transient: bool, tokens_out: TokenCount) {
    assert_eq!(failed(script.clone()).await, (kind, transient, tokens_out), "{script:?}");
}

#[tokio::test]
async fn a_connection_that_is_lost_may_come_back() {
    check(vec![Say::Reset], Unreachable, true, Unknown).await;
    check(vec![], Unreachable, true, Unknown).await;
    check(vec![bytes("HTTP/1.1 200 OK\r\ncontent-ty")], Unreachable, true, Unknown).await;
    check(vec![stream_head(), piece("{"), piece("\"ok\""), Say::Reset], Unreachable, true, Counted(2)).await;
    let chunked =
        bytes("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n");
    check(vec![chunked, bytes("5\r\ndat")], Unreachable, true, Counted(0)).await;
    let short =
        bytes("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"choices\"");
    check(vec![short], Unreachable, true, Unknown).await;
}

#[tokio::test]
async fn a_stream_that_just_ends_is_no_reply() {
    check(vec![stream_head()], Protocol, true, Counted(0)).await;
    check(vec![stream_head(), piece("{\"ok\":true}")], Protocol, true, Counted(1)).await;
}

#[tokio::test]
async fn garbage_is_no_reply() {
    check(vec![bytes("SSH-2.0-OpenSSH_9.9\r\n")], Protocol, true, Unknown).await;
    check(vec![bytes([0xff; 100])], Protocol, true, Unknown).await;
    check(vec![stream_head(), bytes("data: secret\n\n")], Protocol, true, Counted(0)).await;
    check(vec![stream_head(), bytes("data: [1,2]\n\n")], Protocol, true, Counted(0)).await;
    check(vec![stream_head(), bytes("data: {\"choices\": \"secret\"}\n\n")], Protocol, true, Counted(0))
        .await;
    check(vec![stream_head(), bytes(b"data: {\"choices\": \"\xff\xfe\"}\n\n")], Protocol, true, Counted(0))
        .await;
    check(
        vec![stream_head(), bytes(format!("data: {}\n\n", "[".repeat(10_000)))],
        Protocol,
        true,
        Counted(0),
    )
    .await;
    check(response("200 OK", "application/json", "{\"secret\""), Protocol, true, Unknown).await;
    check(response("200 OK", "application/json", "{}"), Protocol, true, Unknown).await;
    check(response("200 OK", "application/json", "{\"choices\":[]}"), Protocol, true, Unknown).await;
    check(response("200 OK", "application/json", "\"\u{fffd}secret\""), Protocol, true, Unknown).await;
}

#[tokio::test]
async fn another_kind_of_content_is_refused_for_good() {
    check(response("200 OK", "text/html", "<secret>"), Protocol, false, Unknown).await;
    check(response("204 No Content", "application/json", ""), Protocol, true, Unknown).await;
    let zipped = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n\r\n";
    check(vec![bytes(zipped)], Protocol, false, Unknown).await;
}

#[tokio::test]
async fn text_after_the_finish_is_refused() {
    let script = vec![stream_head(), piece("{\"ok\":true}"), finish("stop"), piece(" "), done()];
    check(script, Protocol, true, Counted(1)).await;
}

#[tokio::test]
async fn errors_inside_of_a_stream_are_errors() {
    let error = |error| vec![stream_head(), piece("{"), event(&json!({"error": error}))];
    check(error(json!({"message": "secret"})), ServerError, true, Counted(1)).await;
    check(error(json!("secret")), ServerError, true, Counted(1)).await;
    let overflow = json!({"code": 400, "type": "exceed_context_size_error", "message": "secret"});
    check(error(overflow), ContextOverflow, false, Counted(1)).await;
}

#[tokio::test]
async fn a_reply_that_is_withheld_is_said_to_be() {
    check(vec![stream_head(), finish("content_filter"), done()], ContentFiltered, false, Counted(0)).await;
    let refusal = event(&json!({"choices": [{"delta": {"refusal": "secret"}}]}));
    check(vec![stream_head(), refusal, done()], ContentFiltered, false, Counted(1)).await;
    check(vec![stream_head(), finish("tool_calls"), done()], Protocol, true, Counted(0)).await;
    check(vec![stream_head(), finish("error"), done()], ServerError, true, Counted(0)).await;
}

#[tokio::test]
async fn heads_are_bounded() {
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(200_000));
    check(vec![bytes(long)], Protocol, true, Unknown).await;
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(101));
    check(vec![bytes(many)], Protocol, true, Unknown).await;
}

#[tokio::test]
async fn lines_and_bodies_are_bounded() {
    let endless = Say::Forever(vec![b'x'; 10_000], std::time::Duration::ZERO);
    check(vec![stream_head(), endless.clone()], Protocol, true, Counted(0)).await;
    let peer = Peer::start(vec![
        vec![bytes("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n"), endless.clone()],
        vec![stream_head(), Say::Forever(b": a comment\n".repeat(1000), std::time::Duration::ZERO)],
        vec![bytes("HTTP/1.1 500 No\r\n\r\n"), endless],
    ])
    .await;
    let adapter =
        OpenAiAdapter::new(config(&peer, json!({"limits": {"max_response_bytes": 300_000}}))).unwrap();
    let error = ask(&adapter, &request()).await.unwrap_err();
    assert_eq!((error.kind, error.usage.tokens_out), (ReplyTooLarge, Unknown));
    let error = ask(&adapter, &request()).await.unwrap_err();
    assert_eq!((error.kind, error.usage.tokens_out), (ReplyTooLarge, Counted(0)));
    let error = ask(&adapter, &request()).await.unwrap_err();
    assert_eq!((error.kind, error.usage.tokens_out), (ServerError, Counted(0)));
    peer.closed(3).await;
}

#[tokio::test]
async fn messages_say_what_and_how_to_mend_it() {
    let message = |error: models::AdapterError| error.to_string();
    assert_eq!(
        message(outcome(response("200 OK", "text/html", "")).await.unwrap_err()),
        "the response is `text/html`, not `text/event-stream` or `application/json`"
    );
    assert_eq!(
        message(outcome(vec![stream_head(), bytes("data: x\n\n")]).await.unwrap_err()),
        "an event is not what an OpenAI-compatible server sends (line 1, column 1)"
    );
}
