//! Backends behind a URL, good and bad, over real sockets.
#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backend_api::{BackendMode, RefusalDocument};
use backend_local::{LocalBackend, LocalConfig};
use backend_server::{Answer, BackendService, ExecuteRequest, HttpConfig, HttpService, Identity, serve_http};
use conformance::model::{Act, BookRun, CallEnd, ModelBook, ModelEndpoint, ModelServer, Step, marker};
use conformance::{AddressError, Clock, Http, HttpLimits, Mishap, Plug, Subject, Transport};
use models::{ModelRouter, OpenAiAdapter};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a peer does with a request: what it writes, byte for byte, before it closes. `None`: it waits for ever.
type Behaviour = fn(&str, &Value) -> Option<String>;

/// A server that answers by script, and notes when somebody hangs up on it.
struct Peer {
    base_url: String,
    hung_up: Arc<Mutex<u32>>,
}

async fn peer(behaviour: Behaviour) -> Peer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let hung_up = Arc::new(Mutex::new(0));
    tokio::spawn({
        let hung_up = Arc::clone(&hung_up);
        async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, behaviour, Arc::clone(&hung_up)));
            }
        }
    });
    Peer { base_url, hung_up }
}

async fn answer(mut stream: TcpStream, behaviour: Behaviour, hung_up: Arc<Mutex<u32>>) {
    let mut all = Vec::new();
    let (head, body) = loop {
        let read = stream.read_buf(&mut all).await.unwrap();
        assert!(read > 0, "a request came in part");
        let text = String::from_utf8_lossy(&all);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                break (head.to_owned(), body.to_owned());
            }
        }
    };
    let asked = head.lines().next().unwrap().rsplit_once(' ').unwrap().0;
    match behaviour(asked, &serde_json::from_str(&body).unwrap_or_default()) {
        Some(answer) => drop(stream.write_all(answer.as_bytes()).await),
        None => {
            if matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)) {
                *hung_up.lock().unwrap() += 1;
            }
        }
    }
}

fn http(status: &str, body: &str) -> Option<String> {
    Some(format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ))
}

fn ok(document: &Value) -> Option<String> {
    http("200 OK", &document.to_string())
}

fn good(asked: &str, body: &Value) -> Option<String> {
    match asked {
        "GET /health" => ok(&json!({"status": "healthy", "backend_version": "3.1"})),
        "GET /capabilities" => ok(&json!({"distributed": false})),
        "POST /execute" => ok(&json!({
            "status": "success", "final_output": body, "telemetry": {"tasks": []},
            "execution_metadata": {"run_id": "r"},
        })),
        _ => http("404 Not Found", "{}"),
    }
}

fn plug(peer: &Peer) -> Http {
    Http::new(
        &peer.base_url,
        "local",
        HttpLimits { answer: Duration::from_millis(500), max_body_bytes: 10_000 },
    )
    .unwrap()
}

async fn subject(behaviour: Behaviour) -> Box<dyn Subject> {
    let endpoint = ModelEndpoint { book: ModelBook::new(), base_url: None };
    plug(&peer(behaviour).await).open(&endpoint).await.unwrap()
}

fn request() -> ExecuteRequest {
    ExecuteRequest {
        taskgraph: RawValue::from_string("{\"graph_id\": 1.50, \"graph_id\": 2}".into()).unwrap(),
        execution_context: json!({"run_id": "r", "backend_mode": "krako"}),
    }
}

async fn executed(behaviour: Behaviour) -> Result<Answer, Mishap> {
    subject(behaviour).await.execute_taskgraph(request()).await
}

#[tokio::test]
async fn a_result_is_in_the_words_of_the_contract() {
    let subject = subject(good).await;
    let Ok(Answer::Result(result)) = subject.execute_taskgraph(request()).await else { panic!("no result") };
    assert_eq!(result["telemetry_bundle"], json!({"tasks": []}));
    assert!(result.get("telemetry").is_none());
    let sent = &result["final_output"];
    assert_eq!(sent["api_version"], "1.0");
    assert_eq!(sent["execution_options"], json!({"backend": "krako", "stream": false}));
    assert_eq!(sent["execution_context"], json!({"run_id": "r", "backend_mode": "krako"}));
    assert_eq!(subject.health_check().await.unwrap()["status"], "healthy");
    assert_eq!(subject.capability_descriptor().await.unwrap()["distributed"], false);
    let introduction = subject.introduction();
    assert_eq!((introduction.version.as_str(), introduction.backend_mode.as_str()), ("3.1", "local"));
    assert!(introduction.name.starts_with("http://127.0.0.1:"));
    assert_eq!(subject.close().await, None);
}

#[tokio::test]
async fn a_graph_is_sent_in_its_authors_words() {
    static SEEN: Mutex<String> = Mutex::new(String::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plug =
        Http::new(&format!("http://{}", listener.local_addr().unwrap()), "local", HttpLimits::default())
            .unwrap();
    let server = async {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 10_000];
            let mut seen = String::new();
            while !seen.contains("\r\n\r\n") || (seen.starts_with("POST") && !seen.ends_with('}')) {
                let length = stream.read(&mut buffer).await.unwrap();
                seen.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
            }
            stream.write_all(ok(&json!({})).unwrap().as_bytes()).await.unwrap();
            *SEEN.lock().unwrap() = seen;
        }
    };
    let asking = async {
        let endpoint = ModelEndpoint { book: ModelBook::new(), base_url: None };
        plug.open(&endpoint).await.unwrap().execute_taskgraph(request()).await.unwrap();
    };
    tokio::join!(server, asking);
    assert!(SEEN.lock().unwrap().contains("{\"graph_id\": 1.50, \"graph_id\": 2}"));
}

#[tokio::test]
async fn an_error_in_the_shape_of_the_api_is_a_refusal() {
    let answer = executed(|asked, _| match asked {
        "POST /execute" => http(
            "400 Bad Request",
            r#"{"error_type": "VALIDATION_ERROR", "message": "no", "details": {"a": 1}, "more": 2}"#,
        ),
        _ => ok(&json!({})),
    });
    let details = Some(json!({"a": 1}));
    let refusal = RefusalDocument { error_type: "VALIDATION_ERROR".into(), message: "no".into(), details };
    assert_eq!(answer.await, Ok(Answer::Refused(refusal)));
    let busy = |asked: &str, _: &Value| match asked {
        "POST /execute" => {
            http("503 Service Unavailable", r#"{"error_type": "UNAVAILABLE", "message": "later"}"#)
        }
        _ => ok(&json!({})),
    };
    let refusal = RefusalDocument::new("UNAVAILABLE", "later");
    assert_eq!(executed(busy).await, Ok(Answer::Refused(refusal)));
}

#[tokio::test]
async fn what_is_no_answer_is_told_with_what_it_is() {
    let check = async |behaviour: Behaviour, words: &str| {
        let mishap = executed(behaviour).await.unwrap_err();
        assert!(mishap.to_string().contains(words), "{mishap}");
    };
    check(
        |_, _| http("200 OK", "[1]"),
        "not in the protocol: `POST /execute` is answered with 200 OK and `[1]`",
    )
    .await;
    check(
        |_, _| http("500 Internal Server Error", "<html>\u{1b}[1m"),
        r"500 Internal Server Error and `<html>\u{1b}",
    )
    .await;
    check(|_, _| http("302 Found", r#"{"error_type": "X", "message": "y"}"#), "answered with 302 Found")
        .await;
    check(|_, _| http("404 Not Found", "{}"), "unsupported: `POST /execute` is answered with 404").await;
    check(|_, _| http("200 OK", &"x".repeat(10_001)), "longer than 10000 bytes").await;
    check(|_, _| Some("SSH-2.0-server\r\n".into()), "not HTTP").await;
    check(|_, _| Some(String::new()), "ended before it answered: the connection broke").await;
    check(|_, _| Some("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".into()), "the connection broke").await;
}

#[tokio::test]
async fn who_is_silent_is_told_so_and_who_asks_hangs_up() {
    let silent: Behaviour = |asked, _| if asked == "POST /execute" { None } else { ok(&json!({})) };
    let peer = peer(silent).await;
    let endpoint = ModelEndpoint { book: ModelBook::new(), base_url: None };
    let subject = plug(&peer).open(&endpoint).await.unwrap();
    assert_eq!(subject.execute_taskgraph(request()).await, Err(Mishap::Silent { after_ms: 500 }));
    let dropped = tokio::time::timeout(Duration::from_millis(50), subject.execute_taskgraph(request()));
    assert!(dropped.await.is_err());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(*peer.hung_up.lock().unwrap(), 2);
}

#[tokio::test]
async fn who_is_not_there_cannot_be_opened() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let endpoint = ModelEndpoint { book: ModelBook::new(), base_url: None };
    let mishap =
        Http::new(&base_url, "local", HttpLimits::default()).unwrap().open(&endpoint).await.unwrap_err();
    assert!(matches!(&mishap, Mishap::Unreachable { detail } if detail.contains(&base_url)), "{mishap}");
}

#[tokio::test]
async fn a_backend_without_descriptor_is_told_apart_from_a_wrong_one() {
    let subject = subject(|asked, _| match asked {
        "GET /health" => http("200 OK", "fine"),
        _ => http("404 Not Found", "nothing"),
    })
    .await;
    let mishap = subject.capability_descriptor().await.unwrap_err();
    assert_eq!(
        mishap,
        Mishap::Unsupported { detail: "`GET /capabilities` is answered with 404 Not Found".into() }
    );
    let mishap = subject.health_check().await.unwrap_err();
    assert!(mishap.to_string().contains("`fine`, not with a JSON object"), "{mishap}");
}

#[test]
fn a_plug_for_a_url_is_for_this_machine_in_real_time() {
    let elsewhere = Http::new("http://example.com", "local", HttpLimits::default());
    assert_eq!(elsewhere.unwrap_err(), AddressError::NotLoopback);
    let here = Http::new("http://localhost:7010", "local", HttpLimits::default()).unwrap();
    assert_eq!((here.transport(), here.clock()), (Transport::Http, Clock::Real));
}

/// LocalBackend behind its real server, with the suite's model behind its own.
async fn real(steps: Vec<Step>) -> (ModelServer, BookRun, Box<dyn Subject>) {
    let book = ModelBook::new();
    let run = book.begin("a1b2c", BTreeMap::from([("ask".to_owned(), steps)]));
    let model = ModelServer::start(book, 0).await.unwrap();
    let config = json!({"name": "suite", "base_url": model.base_url(), "models": [{"id": "suite-small"}]});
    let adapter = OpenAiAdapter::new(serde_json::from_value(config).unwrap()).unwrap();
    let models = ModelRouter::new(vec![Arc::new(adapter)]).unwrap();
    let backend = LocalBackend::new(LocalConfig { models, ..LocalConfig::default() });
    let service = HttpService::Plain(Arc::new(BackendService::new(Arc::new(backend))));
    let identity = Identity { name: "good".into(), version: "1".into(), backend_mode: BackendMode::Local };
    let config =
        HttpConfig { identity, allowed_hosts: Vec::new(), limits: backend_server::HttpLimits::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve_http(listener, service, config, std::future::pending()));
    let plug = Http::new(&base_url, "local", HttpLimits::default()).unwrap();
    let subject = plug.open(&model.endpoint()).await.unwrap();
    (model, run, subject)
}

fn graph() -> ExecuteRequest {
    let graph = json!({
        "kora_version": "1.0.0", "graph_id": "g", "root": "ask", "tasks": [{
            "version": "1.0", "id": "ask", "type": "model", "dependencies": [], "input": {},
            "schema": {"type": "object", "properties": {"ok": {"type": "boolean"}}},
            "budget": {"max_tokens": 20, "max_time_ms": 5000, "max_retries": 1},
            "run": {"model": "suite-small", "prompt": format!("ok? {}", marker("a1b2c", "ask"))},
        }],
    });
    ExecuteRequest {
        taskgraph: RawValue::from_string(graph.to_string()).unwrap(),
        execution_context: json!({"run_id": "r", "trace_id": "t", "backend_mode": "local"}),
    }
}

#[tokio::test]
async fn a_real_backend_runs_a_graph_and_its_calls_are_seen() {
    let steps = vec![Step::new(Act::Text("no".into())), Step::new(Act::Reply(json!({"ok": true})))];
    let (_model, run, subject) = real(steps).await;
    let Answer::Result(result) = subject.execute_taskgraph(graph()).await.unwrap() else { panic!("refused") };
    assert_eq!(result["final_output"], json!({"ok": true}));
    assert_eq!(result["telemetry_bundle"]["tasks"][0]["retry_count"], 1);
    assert_eq!(subject.capability_descriptor().await.unwrap()["distributed"], false);
    assert_eq!(subject.health_check().await.unwrap()["status"], "healthy");
    let Answer::Refused(refusal) = subject.execute_taskgraph(request()).await.unwrap() else { panic!("ran") };
    assert_eq!(refusal.error_type, "VERSION_MISMATCH");
    let (calls, stray) = run.finish();
    let seen: Vec<_> = calls.iter().map(|call| (call.attempt, call.end)).collect();
    assert_eq!((seen, stray), (vec![(0, CallEnd::Said), (1, CallEnd::Said)], 0));
}

#[tokio::test]
async fn dropping_the_request_cancels_the_run_of_a_real_backend() {
    let (_model, run, subject) = real(vec![Step::new(Act::Hang)]).await;
    tokio::select! {
        _ = subject.execute_taskgraph(graph()) => panic!("answered"),
        () = run.called(1) => {}
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(run.finish().0[0].end, CallEnd::HungUp);
}
