//! Whether a server has the model is asked before the model is: once, and without trust in odd answers (C11.3).

use models::{AdapterError, OpenAiAdapter};
use serde_json::json;

use crate::peer::{Peer, Say, bytes, good, json_response, response};
use crate::world::{ask, config, request};

/// Asks once a server that lists so; what came of it, and how many requests it took.
async fn listed(listing: Vec<Say>) -> (Result<(), AdapterError>, usize) {
    let peer = Peer::start(vec![listing, good()]).await;
    let limits = json!({"health_timeout_ms": 300});
    let adapter =
        OpenAiAdapter::new(config(&peer, json!({"check_listing": true, "limits": limits}))).unwrap();
    let outcome = ask(&adapter, &request()).await.map(drop);
    (outcome, peer.heard().len())
}

#[tokio::test]
async fn a_model_that_is_listed_is_asked_under_any_name_of_it() {
    for name in ["tiny", "tiny:latest", "tiny-2026-01-31", "models/tiny"] {
        let (outcome, requests) = listed(json_response("200 OK", &json!({"data": [{"id": name}]}))).await;
        assert!(outcome.is_ok(), "{name}");
        assert_eq!(requests, 2);
    }
}

// shows C11.3
#[tokio::test]
async fn a_model_that_is_not_listed_is_refused_and_the_message_says_how_to_mend_it() {
    let (outcome, requests) =
        listed(json_response("200 OK", &json!({"data": [{"id": "tiny-405b"}, {"id": "secret"}]}))).await;
    let message = outcome.unwrap_err().to_string();
    assert_eq!(requests, 1);
    assert!(message.contains("does not list `tiny`"), "{message}");
    assert!(
        message.ends_with("to `also_reported_as` of `tiny`, or set `check_listing` to false"),
        "{message}"
    );
}

#[tokio::test]
async fn a_server_that_does_not_list_is_believed() {
    for listing in [
        response("404 Not Found", "text/plain", ""),
        response("500 Oops", "text/plain", ""),
        response("200 OK", "text/html", "<p>hello"),
        json_response("200 OK", &json!({"data": []})),
        json_response("200 OK", &json!({"data": "secret"})),
        vec![bytes("garbage\r\n\r\n")],
        vec![Say::Hang],
        vec![Say::Reset],
    ] {
        let (outcome, requests) = listed(listing.clone()).await;
        assert!(outcome.is_ok(), "{listing:?}");
        assert_eq!(requests, 2, "{listing:?}");
    }
}
