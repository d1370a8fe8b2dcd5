//! How an adapter says that its server is well, or why not (C3.5).

use models::{AdapterHealth, ModelAdapter};
use serde_json::json;

use crate::peer::{Peer, Say, json_response, response};
use crate::world::adapter;

async fn health(script: Vec<Say>) -> String {
    let peer = Peer::start(vec![script]).await;
    let health = adapter(&peer).health().await;
    assert!(peer.heard()[0].head.starts_with("get /v1/models http/1.1\r\n"));
    let words = match health {
        AdapterHealth::Healthy => String::from("healthy"),
        AdapterHealth::Degraded { reason } => format!("degraded: {reason}"),
        AdapterHealth::Unavailable { reason } => format!("unavailable: {reason}"),
    };
    words.replace(&peer.address.to_string(), "ADDRESS")
}

#[tokio::test]
async fn a_server_that_lists_the_models_is_healthy() {
    assert_eq!(health(json_response("200 OK", &json!({"data": [{"id": "tiny:latest"}]}))).await, "healthy");
    assert_eq!(health(response("404 Not Found", "text/plain", "")).await, "healthy");
    assert_eq!(health(response("200 OK", "text/plain", "ready")).await, "healthy");
}

#[tokio::test]
async fn a_server_without_the_model_is_degraded() {
    let listed = json_response("200 OK", &json!({"data": [{"id": "huge"}]}));
    assert_eq!(health(listed).await, "degraded: `http://ADDRESS/v1` does not list `tiny`; load them there");
}

#[tokio::test]
async fn a_server_that_cannot_answer_is_unavailable_and_says_why() {
    assert_eq!(
        health(response("401 Unauthorized", "text/plain", "")).await,
        "unavailable: the server answered 401: it does not accept the API key; check `api_key`"
    );
    assert_eq!(
        health(response("503 Loading", "text/plain", "")).await,
        "unavailable: the server answered 503: it failed"
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_unavailable_after_a_while() {
    assert_eq!(health(vec![Say::Hang]).await, "unavailable: `http://ADDRESS/v1`: no answer within 3000 ms");
}
