//! Requests that are turned down, by the server or before it is asked.

use std::time::Duration;

use kora_ir::Privacy;
use models::AdapterErrorKind::{
    ContextOverflow, ModelUnknown, Protocol, RateLimited, Rejected, RemoteForbidden, ServerError,
    TokensExhausted, Unauthorized, Unreachable,
};
use models::{AdapterErrorKind, Locality, ModelAdapter, ModelId, OpenAiAdapter, Usage};
use serde_json::json;

use crate::peer::{Peer, bytes, good, json_response, response};
use crate::world::{adapter, ask, config, outcome, request};

async fn check(status: &str, body: serde_json::Value, kind: AdapterErrorKind, transient: bool) {
    let error = outcome(json_response(status, &body)).await.unwrap_err();
    assert_eq!(
        (error.kind, error.transient, error.usage),
        (kind, transient, Usage::NOTHING),
        "{status} {body}"
    );
}

#[tokio::test]
async fn statuses_mean_what_they_mean() {
    check("400 Bad Request", json!({"error": {"message": "secret"}}), Rejected, false).await;
    check("401 Unauthorized", json!({}), Unauthorized, false).await;
    check("403 Forbidden", json!({}), Unauthorized, false).await;
    check("404 Not Found", json!({"error": {"code": "model_not_found"}}), ModelUnknown, false).await;
    check("500 Oops", json!("secret"), ServerError, true).await;
    check("502 Bad Gateway", json!({}), ServerError, true).await;
    check("503 Service Unavailable", json!({"error": {"message": "Loading model"}}), ServerError, true).await;
    check("400 Bad Request", json!({"error": {"code": "context_length_exceeded"}}), ContextOverflow, false)
        .await;
    check("400 Bad Request", json!({"error": {"type": "exceed_context_size_error"}}), ContextOverflow, false)
        .await;
}

#[tokio::test]
async fn a_wait_that_the_server_asks_for_is_passed_on() {
    let head = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n";
    let error = outcome(vec![bytes(head)]).await.unwrap_err();
    assert_eq!((error.kind, error.transient), (RateLimited, true));
    assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn redirects_are_refused_and_not_followed() {
    let elsewhere = Peer::start(vec![good()]).await;
    let head = format!(
        "HTTP/1.1 307 Elsewhere\r\nlocation: http://{}/v1/chat/completions\r\n\r\n",
        elsewhere.address
    );
    let peer = Peer::start(vec![vec![bytes(head)]]).await;
    let error = ask(&adapter(&peer), &request()).await.unwrap_err();
    assert_eq!((error.kind, error.transient), (Protocol, false));
    assert_eq!((peer.heard().len(), elsewhere.heard().len()), (1, 0));
    assert_eq!(
        error.to_string(),
        "the server answered 307: redirects are refused; set `base_url` to where the server really is"
    );
}

#[tokio::test]
async fn what_the_server_says_is_not_quoted_unless_it_is_a_code() {
    let body = json!({"error": {"code": "some_code", "message": "your prompt: my secret question"}});
    let error = outcome(json_response("400 Bad Request", &body)).await.unwrap_err();
    assert_eq!(error.to_string(), "the server answered 400 (`some_code`): it does not accept the request");
    let body = json!({"error": {"code": "my secret question"}});
    let error = outcome(json_response("400 Bad Request", &body)).await.unwrap_err();
    assert_eq!(error.to_string(), "the server answered 400: it does not accept the request");
    let error = outcome(response("500 Oops", "text/html", "secret")).await.unwrap_err();
    assert_eq!(error.to_string(), "the server answered 500: it failed");
}

#[tokio::test]
async fn a_server_that_is_not_there_costs_nothing() {
    let peer = Peer::start(vec![good()]).await;
    let mut config = config(&peer, json!({}));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    config.base_url = format!("http://{free}/v1");
    let error = ask(&OpenAiAdapter::new(config).unwrap(), &request()).await.unwrap_err();
    assert_eq!((error.kind, error.transient, error.usage), (Unreachable, true, Usage::NOTHING));
    assert!(error.to_string().ends_with("is the server running?"), "{error}");
}

#[tokio::test]
async fn what_can_be_refused_at_once_is_not_sent() {
    let peer = Peer::start(vec![good()]).await;
    let here = adapter(&peer);
    assert_eq!(here.descriptor().locality, Locality::Local);
    let forwarding = OpenAiAdapter::new(config(&peer, json!({"forwards_elsewhere": true}))).unwrap();
    assert_eq!(forwarding.descriptor().locality, Locality::Remote);

    let mut local_only = request();
    local_only.privacy = Privacy::LocalOnly;
    assert_eq!(ask(&forwarding, &local_only).await.unwrap_err().kind, RemoteForbidden);
    let mut broke = request();
    broke.max_output_tokens = 0;
    assert_eq!(ask(&here, &broke).await.unwrap_err().kind, TokensExhausted);
    let mut other = request();
    other.model = ModelId::from("huge");
    assert_eq!(ask(&here, &other).await.unwrap_err().kind, ModelUnknown);
    assert_eq!(peer.heard().len(), 0);

    assert!(ask(&here, &local_only).await.is_ok());
}
