//! The local API over real sockets on loopback.

mod client;
mod hostile;
mod streaming;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use backend_server::HttpLimits;
use serde_json::{Value, json};

use self::client::{Client, POST, Server};
use crate::puppet::{Puppet, local};

const GRAPH: &str = include_str!("../../../../fixtures/golden/support-triage.json");

fn graph() -> Value {
    serde_json::from_str(GRAPH).unwrap()
}

fn told(what: &str) -> Value {
    json!({"api_version": "1.0", "taskgraph": {"do": what}})
}

// shows C1.3, C3.1, C3.4, C8.1
#[tokio::test]
async fn a_graph_is_executed_in_the_words_of_the_api() {
    let server = Server::start(local(), HttpLimits::default()).await;
    let mut client = Client::of(&server).await;
    let answer = client
        .post(&json!({
            "api_version": "1.0",
            "taskgraph": graph(),
            "execution_options": {"backend": "local", "stream": false},
            "execution_context": {"run_id": "run/1 ä", "user_id": "u-1"},
        }))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let fields: Vec<&String> = answer.body.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["status", "final_output", "telemetry", "execution_metadata"]);
    assert_eq!(answer.body["status"], "success");
    let metadata = &answer.body["execution_metadata"];
    assert_eq!((&metadata["run_id"], &metadata["backend"]), (&json!("run/1 ä"), &json!("local")));
    assert!(metadata["duration_ms"].is_u64() && metadata["trace_id"].as_str().unwrap().len() == 32);
    let telemetry = client.get("/telemetry/run%2F1%20%C3%A4").await;
    assert_eq!(telemetry.status, 200);
    assert_eq!(telemetry.body["run_id"], "run/1 ä");
    assert_eq!(telemetry.body["tasks"], answer.body["telemetry"]["tasks"]);
    assert_eq!(telemetry.body["summary"], answer.body["telemetry"]["summary"]);
}

// shows C9.1
#[tokio::test]
async fn a_run_that_fails_is_an_answer_and_no_error() {
    let server = Server::start(local(), HttpLimits::default()).await;
    let failing = include_str!("../../../../fixtures/clauses/C9.1-execution-failure.json");
    let graph: Value = serde_json::from_str(failing).unwrap();
    let answer = Client::of(&server).await.post(&json!({"api_version": "1.0", "taskgraph": graph})).await;
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("failed")));
    assert_eq!(answer.body["failure"]["error_type"], "EXECUTION_FAILURE");
}

// shows C3.5, C3.6, C3.7
#[tokio::test]
async fn what_studio_asks_for_is_there() {
    let server = Server::start(local(), HttpLimits::default()).await;
    let mut client = Client::of(&server).await;
    let health = client.get("/health").await.body;
    let fields: Vec<&String> = health.as_object().unwrap().keys().collect();
    assert_eq!(
        fields,
        ["status", "cpu_load", "gpu_available", "active_sessions", "capacity_summary", "backend_version"]
    );
    assert_eq!(
        (&health["status"], &health["gpu_available"], &health["active_sessions"]),
        (&json!("healthy"), &json!(false), &json!(0))
    );
    assert_eq!(client.get("/models").await.body, json!({"models": []}));
    assert_eq!(client.get("/capabilities").await.body["distributed"], false);
}

#[tokio::test]
async fn models_are_listed_in_the_words_of_the_api() {
    let server = Server::start(crate::puppet::with_models(), HttpLimits::default()).await;
    insta::assert_json_snapshot!("models", Client::of(&server).await.get("/models").await.body);
}

// shows C10.3
#[tokio::test]
async fn another_version_is_refused_before_anything_is_looked_at() {
    let puppet = Arc::new(Puppet::default());
    let server = Server::start(Arc::clone(&puppet) as _, HttpLimits::default()).await;
    let mut client = Client::of(&server).await;
    let mut refused = Vec::new();
    for version in [json!("2.0"), json!("0.9"), json!("one"), json!(1), json!(null)] {
        refused.push(client.post(&json!({"api_version": version, "taskgraph": 7})).await);
    }
    refused.push(client.post(&json!({"taskgraph": {}})).await);
    assert!(refused.iter().all(|answer| answer.status == 400), "{refused:?}");
    insta::assert_json_snapshot!("version_mismatch", refused.iter().map(|it| &it.body).collect::<Vec<_>>());
    assert_eq!(client.post(&json!({"api_version": "1.7", "taskgraph": {}, "new": 1})).await.status, 200);
    assert_eq!(puppet.started.load(Ordering::SeqCst), 1);
}

// shows C10.3, C3.7
#[tokio::test]
async fn a_request_that_cannot_be_run_is_told_everything_that_is_wrong() {
    let server = Server::start(local(), HttpLimits::default()).await;
    let mut client = Client::of(&server).await;
    let mut refused = Vec::new();
    let ok = json!({"api_version": "1.0", "taskgraph": graph()});
    let with = |field: &str, value: Value| {
        let mut request = ok.clone();
        request[field] = value;
        request
    };
    let mut invalid = graph();
    invalid["tasks"][0]["type"] = json!("magic");
    invalid["root"] = json!("nowhere");
    for request in [
        json!([]),
        json!({"api_version": "1.0", "execution_options": 7}),
        with("execution_options", json!({"stream": true})),
        with("execution_options", json!({"stream": "yes", "backend": 1})),
        with("execution_options", json!({"backend": "krako"})),
        with("execution_options", json!({"backend": "moon"})),
        with("execution_context", json!("me")),
        with("execution_context", json!({"run_id": 7, "user_id": "", "backend_mode": null})),
        with("execution_context", json!({"interface_version": "3.0.0"})),
        json!({"api_version": "1.0", "taskgraph": graph(), "execution_options": {"backend": "local"},
            "execution_context": {"backend_mode": "krako"}}),
        with("taskgraph", invalid),
        with("taskgraph", json!("graph")),
    ] {
        let answer = client.post(&request).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        refused.push(answer.body);
    }
    insta::assert_json_snapshot!("refused", refused);
}

#[tokio::test]
async fn paths_and_methods_that_there_are_not_are_said_to_be_none() {
    let server = Server::start(local(), HttpLimits::default()).await;
    let mut client = Client::of(&server).await;
    let mut said = Vec::new();
    for request in [
        "GET / HTTP/1.1",
        "GET /telemetry/ HTTP/1.1",
        "GET /telemetry/none HTTP/1.1",
        "GET /execute HTTP/1.1",
        "DELETE /health HTTP/1.1",
        "OPTIONS /execute HTTP/1.1",
        "POST /execute HTTP/1.1\r\ncontent-type: text/plain",
        "POST /execute HTTP/1.1",
    ] {
        let answer = client.send(&format!("{request}\r\nhost: localhost\r\n\r\n")).await;
        said.push(json!({"request": request, "status": answer.status, "allow": answer.header("allow"),
            "cors": answer.header("access-control-allow-origin"), "body": answer.body}));
    }
    insta::assert_json_snapshot!("no_such_thing", said);
}

#[tokio::test]
async fn a_name_that_is_not_this_machine_is_turned_away() {
    let puppet = Arc::new(Puppet::default());
    let server = Server::start(Arc::clone(&puppet) as _, HttpLimits::default()).await;
    let mut client = Client::of(&server).await;
    let mut said = Vec::new();
    for host in ["host: rebound.example:80\r\n", "", "host: a\r\nhost: b\r\n"] {
        let body = told("echo").to_string();
        let answer = client
            .send(&format!(
                "POST /execute HTTP/1.1\r\n{host}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            ))
            .await;
        said.push(json!({"status": answer.status, "body": answer.body}));
        client = Client::of(&server).await;
    }
    insta::assert_json_snapshot!("hosts", said);
    assert_eq!(puppet.started.load(Ordering::SeqCst), 0);
    // Named in `HttpConfig::allowed_hosts`.
    assert_eq!(client.send("GET /health HTTP/1.1\r\nhost: kora.test\r\n\r\n").await.status, 200);
}

#[tokio::test]
async fn a_backend_that_panics_or_refuses_has_a_status() {
    let server = Server::start(Arc::new(Puppet::default()), HttpLimits::default()).await;
    let mut client = Client::of(&server).await;
    let panicked = client.post(&told("panic")).await;
    assert_eq!((panicked.status, &panicked.body["error_type"]), (500, &json!("INTERNAL_ERROR")));
    let refused = client.post(&told("refuse")).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
}

#[tokio::test]
async fn two_runs_at_once_do_not_wait_for_each_other() {
    let puppet = Arc::new(Puppet::default());
    let server = Server::start(Arc::clone(&puppet) as _, HttpLimits::default()).await;
    let (mut one, mut two) = (Client::of(&server).await, Client::of(&server).await);
    let (first, second) = tokio::join!(
        async {
            let answer = one.post(&told("wait")).await;
            (answer, puppet.dropped.load(Ordering::SeqCst))
        },
        async {
            puppet.has_started(1).await;
            let answer = two.post(&told("echo")).await;
            puppet.release.notify_one();
            answer
        }
    );
    assert_eq!((first.0.status, first.1, second.status), (200, 0, 200));
    assert_eq!(puppet.peak.load(Ordering::SeqCst), 2);
    assert_ne!(
        first.0.body["execution_metadata"]["run_id"], second.body["execution_metadata"]["run_id"],
        "each gets a name of its own"
    );
}

#[tokio::test]
async fn one_run_too_many_is_told_when_to_come_again() {
    let puppet = Arc::new(Puppet::default());
    let limits = HttpLimits { max_runs: 1, ..HttpLimits::default() };
    let server = Server::start(Arc::clone(&puppet) as _, limits).await;
    let (mut one, mut two) = (Client::of(&server).await, Client::of(&server).await);
    one.begin(&told("hang")).await;
    puppet.has_started(1).await;
    let refused = two.post(&told("echo")).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    insta::assert_json_snapshot!("too_many_runs", refused.body);
    drop(one);
    // The place is free as soon as the run has stopped, which is not at once.
    while two.post(&told("echo")).await.status != 200 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_caller_who_hangs_up_cancels_its_run() {
    let puppet = Arc::new(Puppet::default());
    let server = Server::start(Arc::clone(&puppet) as _, HttpLimits::default()).await;
    let mut client = Client::of(&server).await;
    client.begin(&told("hang")).await;
    puppet.has_started(1).await;
    drop(client);
    puppet.has_dropped(1).await;
    assert_eq!(puppet.at_once.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_caller_who_hangs_up_after_saying_more_cancels_its_run_too() {
    for more in ["\r\n", "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"] {
        let puppet = Arc::new(Puppet::default());
        let server = Server::start(Arc::clone(&puppet) as _, HttpLimits::default()).await;
        let mut client = Client::of(&server).await;
        // In one piece, so that what follows the request is read with it.
        let body = told("hang").to_string();
        client.write(&format!("{POST}content-length: {}\r\n\r\n{body}{more}", body.len())).await;
        puppet.has_started(1).await;
        drop(client);
        let dropped = tokio::time::timeout(client::PATIENCE, puppet.has_dropped(1)).await;
        assert!(dropped.is_ok(), "the run goes on for nobody after {more:?}");
    }
}

#[tokio::test]
async fn a_shutdown_lets_runs_end_and_cuts_those_that_do_not() {
    let puppet = Arc::new(Puppet::default());
    let limits = HttpLimits { grace: Duration::from_millis(300), ..HttpLimits::default() };
    let server = Server::start(Arc::clone(&puppet) as _, limits).await;
    let (mut ends, mut hangs) = (Client::of(&server).await, Client::of(&server).await);
    let mut idle = Client::of(&server).await;
    assert_eq!(idle.get("/health").await.status, 200);
    ends.begin(&told("wait")).await;
    puppet.has_started(1).await;
    hangs.begin(&told("hang")).await;
    puppet.has_started(2).await;
    let address = server.address;
    let over = server.stop();
    assert!(idle.is_closed().await);
    puppet.release.notify_one();
    assert_eq!(ends.answer().await.status, 200);
    assert!(hangs.is_closed().await);
    over.await;
    assert_eq!(puppet.dropped.load(Ordering::SeqCst), 1);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
