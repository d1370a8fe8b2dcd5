//! Caps hold during generation, whatever the server does (C7.2, C7.4).

use std::time::Duration;

use models::TokenCount::{Counted, Reported, Unknown};
use models::{AdapterErrorKind, ModelAdapter, TokenCount, TokenSink};
use serde_json::json;

use crate::peer::{Peer, Say, bytes, done, endless, event, finish, json_response, piece, stream_head, usage};
use crate::world::{adapter, ask, failed, request};

const EXHAUSTED: (AdapterErrorKind, bool) = (AdapterErrorKind::TokensExhausted, false);

fn exhausted(tokens_out: TokenCount) -> (AdapterErrorKind, bool, TokenCount) {
    (EXHAUSTED.0, EXHAUSTED.1, tokens_out)
}

#[tokio::test]
async fn a_server_that_never_stops_is_cut_off_and_left() {
    let peer = Peer::start(vec![vec![stream_head(), endless(piece("x"))]]).await;
    let error = ask(&adapter(&peer), &request()).await.unwrap_err();
    assert_eq!((error.kind, error.transient, error.usage.tokens_out), exhausted(Counted(11)));
    peer.closed(1).await;
}

#[tokio::test]
async fn everything_in_one_piece_is_more_than_one_token() {
    let script = vec![stream_head(), piece(&"x".repeat(11 * 1024)), finish("stop"), usage(1, 1), done()];
    assert_eq!(failed(script).await, exhausted(Counted(11)));
}

#[tokio::test]
async fn an_overrun_that_is_told_is_a_breach() {
    let script = vec![stream_head(), piece("{\"ok\":true}"), finish("stop"), usage(1, 11), done()];
    assert_eq!(failed(script).await, exhausted(Reported(11)));
    let script = vec![stream_head(), piece("{\"ok\":true}"), usage(1, u64::MAX), Say::Hang];
    assert_eq!(failed(script).await, exhausted(Reported(u64::MAX)));
    let whole = json!({
        "choices": [{"message": {"content": "{\"ok\":true}"}, "finish_reason": "stop"}],
        "usage": {"completion_tokens": 11},
    });
    assert_eq!(failed(json_response("200 OK", &whole)).await, exhausted(Reported(11)));
}

#[tokio::test]
async fn a_reply_that_was_cut_for_its_length_is_a_breach_and_no_schema_mismatch() {
    let script = vec![stream_head(), piece("{\"ok\""), finish("length"), usage(1, 10), done()];
    assert_eq!(failed(script).await, exhausted(Reported(10)));
}

#[tokio::test]
async fn hidden_tokens_are_held_against_the_cap() {
    let thought = event(&json!({"choices": [{"delta": {"reasoning": "hm"}}]}));
    let script = vec![stream_head(), endless(thought)];
    assert_eq!(failed(script).await, exhausted(Counted(11)));
}

#[tokio::test(start_paused = true)]
async fn a_slow_drip_runs_out_of_time_although_it_never_pauses_long() {
    let mut script = vec![stream_head(), piece("{"), piece("\"ok\"")];
    script.push(Say::Forever(b": still here\n\n".to_vec(), Duration::from_secs(1)));
    assert_eq!(failed(script).await, (AdapterErrorKind::DeadlineExceeded, false, Counted(2)));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_runs_out_of_time() {
    let script = vec![bytes("HTTP/1.1 200 OK\r\n"), Say::Forever(b"x".to_vec(), Duration::from_secs(1))];
    assert_eq!(failed(script).await, (AdapterErrorKind::DeadlineExceeded, false, Unknown));
    let script = vec![Say::Forever(b"HTTP/1.1 102 Processing\r\n\r\n".to_vec(), Duration::from_secs(1))];
    assert_eq!(failed(script).await, (AdapterErrorKind::DeadlineExceeded, false, Unknown));
}

#[tokio::test(start_paused = true)]
async fn silence_runs_out_of_time_and_what_it_cost_is_unknown() {
    assert_eq!(failed(vec![Say::Hang]).await, (AdapterErrorKind::DeadlineExceeded, false, Unknown));
}

#[tokio::test]
async fn dropping_the_call_closes_the_connection_and_what_was_spent_stays_spent() {
    let peer = Peer::start(vec![vec![stream_head(), piece("{"), piece("\"ok\""), Say::Hang]]).await;
    let (adapter, request) = (adapter(&peer), request());
    let mut sink = TokenSink::for_request(&request);
    let meter = sink.meter();
    {
        let call = adapter.generate(&request, &mut sink);
        tokio::pin!(call);
        let two_came = async {
            while meter.counted() < 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = &mut call => unreachable!("the server hangs"),
            () = two_came => {}
        }
    }
    peer.closed(1).await;
    assert_eq!(sink.usage().tokens_out, Counted(2));
}

#[tokio::test]
async fn dropping_the_call_before_an_answer_closes_the_connection_too() {
    let peer = Peer::start(vec![vec![Say::Hang]]).await;
    let (adapter, request) = (adapter(&peer), request());
    let mut sink = TokenSink::for_request(&request);
    tokio::select! {
        _ = adapter.generate(&request, &mut sink) => unreachable!("the server hangs"),
        () = peer.asked(1) => {}
    }
    peer.closed(1).await;
    assert_eq!(sink.usage().tokens_out, Unknown);
}
