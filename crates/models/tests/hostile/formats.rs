//! How structured output is asked for, and what is remembered of a server's answer.

use models::{AdapterErrorKind, ModelId, ModelRequest, OpenAiAdapter};
use serde_json::{Value, json};

use crate::peer::{Heard, Peer, Say, good, json_response};
use crate::world::{ask, config, request};

fn unknown_way() -> Vec<Say> {
    let message = "Input should be 'text' or 'json_object'";
    json_response(
        "500 Internal Server Error",
        &json!({"error": {"message": message, "param": "response_format"}}),
    )
}

fn invalid_schema() -> Vec<Say> {
    json_response(
        "400 Bad Request",
        &json!({"error": {"message": "Invalid schema for response_format 'output'"}}),
    )
}

async fn ways(scripts: Vec<Vec<Say>>, more: Value, calls: usize) -> (Vec<String>, Vec<Heard>) {
    let peer = Peer::start(scripts).await;
    let adapter = OpenAiAdapter::new(config(&peer, more)).unwrap();
    for _ in 0..calls {
        ask(&adapter, &request()).await.unwrap();
    }
    let way = |heard: &Heard| heard.body["response_format"]["type"].as_str().unwrap_or("prompt").to_owned();
    (peer.heard().iter().map(way).collect(), peer.heard())
}

#[tokio::test]
async fn the_strongest_way_is_asked_first() {
    let (ways, heard) = ways(vec![good()], json!({}), 1).await;
    assert_eq!(ways, ["json_schema"]);
    let asked = &heard[0].body["response_format"]["json_schema"];
    assert_eq!(asked["strict"], json!(true));
    assert_eq!(asked["schema"]["additionalProperties"], json!(false));
    assert_eq!(heard[0].body["messages"], json!([{"role": "user", "content": "my secret question"}]));
}

#[tokio::test]
async fn an_unknown_way_falls_back_and_is_remembered() {
    let (ways, heard) = ways(vec![unknown_way(), good()], json!({}), 2).await;
    assert_eq!(ways, ["json_schema", "json_object", "json_object"]);
    assert!(heard[1].body["response_format"]["schema"].is_object());
    let first = &heard[1].body["messages"][0];
    assert_eq!(first["role"], "system");
    assert!(first["content"].as_str().unwrap().contains("JSON Schema: {"), "{first}");
}

#[tokio::test]
async fn a_server_that_knows_no_way_is_asked_in_the_prompt() {
    let (ways, _) = ways(vec![unknown_way(), unknown_way(), good()], json!({}), 2).await;
    assert_eq!(ways, ["json_schema", "json_object", "prompt", "prompt"]);
}

#[tokio::test]
async fn a_schema_that_is_not_liked_falls_back_this_time_only() {
    let (ways, _) = ways(vec![invalid_schema(), good()], json!({}), 2).await;
    assert_eq!(ways, ["json_schema", "json_object", "json_schema"]);
}

#[tokio::test]
async fn a_way_that_is_configured_is_the_only_one() {
    let (ways, _) = ways(vec![good()], json!({"structured_output": "prompt"}), 1).await;
    assert_eq!(ways, ["prompt"]);
    let peer = Peer::start(vec![unknown_way(), good()]).await;
    let fixed = OpenAiAdapter::new(config(&peer, json!({"structured_output": "json_schema"}))).unwrap();
    let error = ask(&fixed, &request()).await.unwrap_err();
    assert_eq!((error.kind, peer.heard().len()), (AdapterErrorKind::ServerError, 1));
}

#[tokio::test]
async fn what_is_learnt_of_one_model_is_not_held_against_another() {
    let models = json!([{"id": "tiny"}, {"id": "other", "also_reported_as": ["tiny"]}]);
    let peer = Peer::start(vec![unknown_way(), good()]).await;
    let adapter = OpenAiAdapter::new(config(&peer, json!({"models": models}))).unwrap();
    let other = ModelRequest { model: ModelId::from("other"), ..request() };
    for request in [request(), request(), other] {
        ask(&adapter, &request).await.unwrap();
    }
    let asked: Vec<_> =
        peer.heard().iter().map(|heard| heard.body["response_format"]["type"].clone()).collect();
    assert_eq!(asked, ["json_schema", "json_object", "json_object", "json_schema"]);
}
