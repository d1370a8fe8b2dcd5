//! Answers that are fine, in all the shapes that servers give them.

use models::TokenCount::{Counted, Reported, Unknown};
use models::{AdapterErrorKind, ReplyRejected};
use serde_json::json;

use crate::peer::{Say, bytes, done, event, finish, good, json_response, piece, stream_head, usage};
use crate::world::{admitted, failed, rejected};

#[tokio::test]
async fn a_streamed_reply_is_admitted_with_what_it_cost() {
    assert_eq!(admitted(good()).await, (json!({"ok": true}), Reported(12), Reported(3)));
}

#[tokio::test]
async fn a_stream_cut_at_every_byte_is_the_same_stream() {
    let mut script = vec![bytes(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    )];
    for say in good().into_iter().skip(1) {
        let Say::Bytes(all) = say else { continue };
        script.extend(all.into_iter().map(|byte| bytes([b"1\r\n", &[byte][..], b"\r\n"].concat())));
    }
    script.push(bytes("0\r\n\r\n"));
    assert_eq!(admitted(script).await, (json!({"ok": true}), Reported(12), Reported(3)));
}

// shows C7.6
#[tokio::test]
async fn without_usage_the_count_is_unknown_and_never_that_of_the_pieces() {
    let script = vec![stream_head(), piece("{\"ok\""), piece(":true}"), finish("stop"), done()];
    assert_eq!(admitted(script).await, (json!({"ok": true}), Unknown, Unknown));
    let silent = vec![stream_head(), finish("length"), done()];
    assert_eq!(failed(silent).await, (AdapterErrorKind::TokensExhausted, false, Unknown));
    let only_the_prompt = event(&json!({"choices": [], "usage": {"prompt_tokens": 7}}));
    let script = vec![stream_head(), piece("{\"ok\":true}"), finish("stop"), only_the_prompt, done()];
    assert_eq!(admitted(script).await, (json!({"ok": true}), Reported(7), Unknown));
}

#[tokio::test]
async fn usage_below_what_came_is_not_believed() {
    let script = vec![stream_head(), piece("{\"ok\""), piece(":true}"), finish("stop"), usage(9, 1), done()];
    assert_eq!(admitted(script).await, (json!({"ok": true}), Reported(9), Counted(2)));
}

#[tokio::test]
async fn usage_that_is_no_number_is_as_good_as_none() {
    let nonsense =
        event(&json!({"choices": [], "usage": {"prompt_tokens": -4, "completion_tokens": "many"}}));
    let script = vec![stream_head(), piece("{\"ok\":true}"), finish("stop"), nonsense, done()];
    assert_eq!(admitted(script).await, (json!({"ok": true}), Unknown, Unknown));
}

#[tokio::test]
async fn hidden_reasoning_is_counted_and_no_part_of_the_reply() {
    let thought = |text| event(&json!({"choices": [{"delta": {"reasoning_content": text}}]}));
    let script = vec![
        stream_head(),
        thought("hm"),
        thought("so"),
        piece("{\"ok\":true}"),
        finish("stop"),
        usage(5, 1),
        done(),
    ];
    assert_eq!(admitted(script).await, (json!({"ok": true}), Reported(5), Counted(3)));
}

#[tokio::test]
async fn other_answers_are_counted_and_no_part_of_the_reply() {
    let other =
        event(&json!({"choices": [{"index": 1, "delta": {"content": "x"}, "finish_reason": "length"}]}));
    let script = vec![stream_head(), other, piece("{\"ok\":true}"), finish("stop"), usage(5, 1), done()];
    assert_eq!(admitted(script).await, (json!({"ok": true}), Reported(5), Counted(2)));
}

#[tokio::test]
async fn a_missing_done_is_forgiven_after_the_finish() {
    let script = vec![stream_head(), piece("{\"ok\":true}"), finish("stop")];
    assert_eq!(admitted(script).await.2, Unknown);
    let script = vec![stream_head(), piece("{\"ok\":true}"), finish("stop"), Say::Reset];
    assert_eq!(admitted(script).await.2, Unknown);
}

#[tokio::test]
async fn a_missing_finish_is_forgiven_before_done() {
    let script = vec![stream_head(), piece("{\"ok\":true}"), done()];
    assert_eq!(admitted(script).await.0, json!({"ok": true}));
}

#[tokio::test]
async fn what_comes_after_done_is_not_read() {
    let script =
        vec![stream_head(), piece("{\"ok\":true}"), finish("stop"), done(), piece("}"), bytes([0xff; 64])];
    assert_eq!(admitted(script).await.0, json!({"ok": true}));
}

#[tokio::test]
async fn a_reply_that_was_not_streamed_is_read_whole() {
    let choices = json!([{"index": 0, "message": {"content": "{\"ok\":false}"}, "finish_reason": "stop"}]);
    let told =
        json!({"model": "tiny", "choices": choices, "usage": {"prompt_tokens": 5, "completion_tokens": 4}});
    assert_eq!(
        admitted(json_response("200 OK", &told)).await,
        (json!({"ok": false}), Reported(5), Reported(4))
    );
    let untold = json!({"model": "tiny", "choices": choices});
    assert_eq!(admitted(json_response("200 OK", &untold)).await, (json!({"ok": false}), Unknown, Unknown));
}

#[tokio::test]
async fn an_edition_of_the_model_is_the_model_and_anything_else_is_not() {
    let from = |model: &str| {
        let choices = json!([{"delta": {"content": "{\"ok\":true}"}, "finish_reason": "stop"}]);
        vec![stream_head(), event(&json!({"model": model, "choices": choices})), done()]
    };
    assert_eq!(admitted(from("tiny-2026-01-31")).await.0, json!({"ok": true}));
    assert_eq!(failed(from("tiny-405b")).await, (AdapterErrorKind::ModelNotAllowed, false, Counted(0)));
    assert_eq!(failed(from("a secret\nline")).await.0, AdapterErrorKind::ModelNotAllowed);
}

#[tokio::test]
async fn prose_and_fences_are_no_json() {
    let said = |text: &str| vec![stream_head(), piece(text), finish("stop"), done()];
    for text in ["secret", "```json\n{\"ok\":true}\n```", "Sure! {\"ok\":true}", "{\"ok\":true} secret", ""] {
        let rejection = rejected(said(text)).await;
        assert!(matches!(rejection, ReplyRejected::NotJson { .. }), "{text}");
        assert!(!rejection.to_string().contains("secret"), "{rejection}");
    }
}

#[tokio::test]
async fn a_reply_beside_the_schema_is_refused_without_being_quoted() {
    let said = |text: &str| vec![stream_head(), piece(text), finish("stop"), done()];
    for text in ["{\"ok\":\"secret\"}", "{\"ok\":true,\"secret\":1}", "\"secret\"", "{}"] {
        let rejection = rejected(said(text)).await;
        assert!(matches!(rejection, ReplyRejected::SchemaMismatch(_)), "{text}");
        assert!(!rejection.to_string().contains("secret"), "{rejection}");
        assert!(!format!("{rejection:?}").contains("secret"), "{rejection:?}");
    }
}
