//! Runs as server-sent events.

use std::sync::Arc;

use backend_server::{HttpLimits, HttpService};
use serde_json::{Value, json};

use super::client::{Client, POST, Server};
use super::graph;
use crate::puppet::{local, with_script};

fn asked(graph: &Value, run_id: &str) -> Value {
    json!({"api_version": "1.0", "taskgraph": graph, "execution_options": {"stream": true},
        "execution_context": {"run_id": run_id}})
}

/// The events of a stream: their names and their data.
fn events(text: &str) -> Vec<(String, Value)> {
    let events = text.trim_end().split("\n\n").map(|event| {
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        (field("event: ").to_owned(), serde_json::from_str(field("data: ")).unwrap())
    });
    events.collect()
}

// shows C12.1, C12.4
#[tokio::test]
async fn events_come_as_they_happen_and_the_result_is_the_same() {
    let server = Server::of(HttpService::Streaming(local()), HttpLimits::default()).await;
    let mut client = Client::of(&server).await;
    client.begin(&asked(&graph(), "r-1")).await;
    let stream = client.stream().await;
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    let events = events(&stream.text);
    let (name, result) = events.last().unwrap();
    let plain = Client::of(&server).await.post(&json!({"api_version": "1.0", "taskgraph": graph()})).await;
    let digest = |result: &Value| result["execution_metadata"]["semantic_digest"].clone();
    assert_eq!((name.as_str(), digest(result)), ("result", digest(&plain.body)));
    let tasks = result["telemetry"]["tasks"].as_array().unwrap();
    let completed = events.iter().filter(|(name, _)| name == "completed").count();
    assert_eq!(completed, tasks.iter().filter(|task| task["status"] == "success").count());
    assert!(events[..events.len() - 1].iter().all(|(name, event)| event["type"] == **name));
    let ids: Vec<&str> = stream.text.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
    let expected: Vec<String> = (1..events.len()).map(|number| number.to_string()).collect();
    assert_eq!(ids, expected);
    assert_eq!(Client::of(&server).await.get("/telemetry/r-1").await.status, 200);
}

#[tokio::test]
async fn every_kind_of_event_is_told() {
    let read = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/");
        std::fs::read_to_string(format!("{folder}{name}.json")).unwrap()
    };
    let mut kinds = Vec::new();
    let names = ["C7.3-retry-cap", "C1.4-only-declared-edges", "C11.2-a-rule-saves-the-model"];
    for name in names.map(|name| format!("clauses/{name}")) {
        let script = serde_json::from_str(&read(&format!("{name}.script"))).unwrap();
        let server = Server::of(HttpService::Streaming(with_script(script)), HttpLimits::default()).await;
        let mut client = Client::of(&server).await;
        client.begin(&asked(&serde_json::from_str(&read(&name)).unwrap(), "r-1")).await;
        for (_, mut event) in events(&client.stream().await.text) {
            let kind = event["type"].as_str().unwrap_or_default().to_owned();
            if kinds.iter().all(|kept: &Value| kept["type"] != kind.as_str()) && !kind.is_empty() {
                if let Some(elapsed) = event.get_mut("elapsed_us") {
                    *elapsed = json!("[time]");
                }
                kinds.push(event);
            }
        }
    }
    insta::assert_json_snapshot!("events", kinds);
}

#[tokio::test]
async fn what_is_refused_is_no_stream() {
    let server = Server::of(HttpService::Streaming(local()), HttpLimits::default()).await;
    let mut client = Client::of(&server).await;
    let mut invalid = graph();
    invalid["root"] = json!("nowhere");
    let answer = client.post(&asked(&invalid, "r-1")).await;
    assert_eq!((answer.status, answer.header("content-type")), (400, Some("application/json")));
    assert_eq!(answer.body["details"]["violations"][0]["code"], "unknown-root");
    let body = asked(&graph(), "r-1").to_string();
    let length = body.len();
    let answer =
        client.send(&format!("{POST}last-event-id: 3\r\ncontent-length: {length}\r\n\r\n{body}")).await;
    assert_eq!(answer.status, 400);
    insta::assert_json_snapshot!("no_resuming", answer.body);
}

#[tokio::test]
async fn a_caller_who_hangs_up_in_the_middle_of_a_stream_cancels_its_run() {
    let script = json!({"name": "mute", "models": [{"id": "m", "tier": "small"}],
        "otherwise": {"act": "hang"}});
    let service = with_script(serde_json::from_value(script).unwrap());
    let server = Server::of(HttpService::Streaming(Arc::clone(&service) as _), HttpLimits::default()).await;
    let graph = include_str!("../../../../../fixtures/clauses/C4.2-model.json");
    let graph = graph.replace("5000", "600000");
    let mut client = Client::of(&server).await;
    client.begin(&asked(&serde_json::from_str(&graph).unwrap(), "r-1")).await;
    client.waits_for("event: attempt_started").await;
    let runs = async |count: u64| {
        while Client::of(&server).await.get("/health").await.body["active_sessions"] != count {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    runs(1).await;
    drop(client);
    runs(0).await;
}
