//! Backends behind a command: real processes, good and bad, and none that is left behind.
#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test may fail it")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use backend_server::{Answer, ExecuteRequest};
use conformance::model::{Act, BookRun, CallEnd, ModelBook, ModelEndpoint, ModelServer, Step, marker};
use conformance::{Clock, Mishap, Plug, Stdio, StdioLimits, Subject, Transport};
use serde_json::value::RawValue;
use serde_json::{Value, json};

const ENDING: &str = "a1b2c";

fn limits() -> StdioLimits {
    StdioLimits { grace: Duration::from_millis(500), ..StdioLimits::default() }
}

fn plug(behaviour: &str, limits: StdioLimits) -> Stdio {
    Stdio::new(vec![env!("CARGO_BIN_EXE_stdio-peer").into(), behaviour.into()], limits).unwrap()
}

fn nowhere() -> ModelEndpoint {
    ModelEndpoint { book: ModelBook::new(), base_url: None }
}

async fn open(behaviour: &str) -> Box<dyn Subject> {
    plug(behaviour, limits()).open(&nowhere()).await.unwrap()
}

async fn failed_open(behaviour: &str) -> Mishap {
    let limits = StdioLimits { startup: Duration::from_millis(300), ..limits() };
    plug(behaviour, limits).open(&nowhere()).await.unwrap_err()
}

fn request(context: Value) -> ExecuteRequest {
    ExecuteRequest {
        taskgraph: RawValue::from_string("{\n  \"tasks\": []\n}".into()).unwrap(),
        execution_context: context,
    }
}

fn detail(mishap: Mishap) -> String {
    match &mishap {
        Mishap::Ended { detail } => format!("ended: {detail}"),
        Mishap::Garbage { detail } => format!("garbage: {detail}"),
        Mishap::Silent { .. } | Mishap::Unreachable { .. } | Mishap::Unsupported { .. } | _ => {
            panic!("{mishap}")
        }
    }
}

async fn check(mishap: Mishap, words: &str) {
    let detail = detail(mishap);
    assert!(detail.contains(words), "{detail}");
}

/// Whether a process is there, and is no zombie.
#[cfg(target_os = "linux")]
fn is_alive(pid: u64) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !status.is_empty() && !status.rsplit(") ").next().unwrap().starts_with('Z')
}

#[cfg(target_os = "linux")]
async fn gone(pid: u64) {
    let since = Instant::now();
    while is_alive(pid) {
        assert!(since.elapsed() < Duration::from_secs(5), "{pid} is still there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn world(steps: Vec<Step>) -> (ModelServer, BookRun, Box<dyn Subject>) {
    let book = ModelBook::new();
    let run = book.begin(ENDING, BTreeMap::from([("ask".to_owned(), steps)]));
    let server = ModelServer::start(book, 0).await.unwrap();
    let subject = plug("good", limits()).open(&server.endpoint()).await.unwrap();
    (server, run, subject)
}

fn graph() -> ExecuteRequest {
    let graph = json!({
        "kora_version": "1.0.0", "graph_id": "g", "root": "ask", "tasks": [{
            "version": "1.0", "id": "ask", "type": "model", "dependencies": [], "input": {},
            "schema": {"type": "object", "properties": {"ok": {"type": "boolean"}}},
            "budget": {"max_tokens": 20, "max_time_ms": 5000, "max_retries": 1},
            "run": {"model": "small", "prompt": format!("ok? {}", marker(ENDING, "ask"))},
        }],
    });
    ExecuteRequest {
        taskgraph: RawValue::from_string(format!("{graph:#}")).unwrap(),
        execution_context: json!({"run_id": "r", "trace_id": "t", "backend_mode": "local"}),
    }
}

#[tokio::test]
async fn a_good_backend_runs_a_graph_and_its_calls_are_seen() {
    let steps = vec![Step::new(Act::Text("no".into())), Step::new(Act::Reply(json!({"ok": true})))];
    let (_server, run, subject) = world(steps).await;
    assert_eq!(subject.introduction().name, "good");
    assert_eq!(subject.introduction().backend_mode, "local");
    let Answer::Result(result) = subject.execute_taskgraph(graph()).await.unwrap() else { panic!("refused") };
    assert_eq!(result["final_output"], json!({"ok": true}));
    assert_eq!(subject.capability_descriptor().await.unwrap()["distributed"], false);
    assert_eq!(subject.health_check().await.unwrap()["status"], "healthy");
    let refused = subject.execute_taskgraph(request(json!({}))).await.unwrap();
    assert!(matches!(refused, Answer::Refused(refusal) if refusal.error_type == "VALIDATION_ERROR"));
    let (calls, stray) = run.finish();
    let seen: Vec<_> = calls.iter().map(|call| (call.attempt, call.end)).collect();
    assert_eq!((seen, stray), (vec![(0, CallEnd::Said), (1, CallEnd::Said)], 0));
    let since = Instant::now();
    assert_eq!(subject.close().await, None);
    assert!(since.elapsed() < Duration::from_millis(400), "it ended by itself");
}

#[tokio::test]
async fn dropping_the_request_cancels_the_run() {
    let (_server, run, subject) = world(vec![Step::new(Act::Hang)]).await;
    tokio::select! {
        _ = subject.execute_taskgraph(graph()) => panic!("answered"),
        () = run.called(1) => {}
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(run.finish().0[0].end, CallEnd::HungUp);
    assert!(subject.health_check().await.is_ok(), "it goes on after a cancelled run");
}

#[tokio::test]
async fn a_cancelled_request_is_told_by_its_id() {
    let subject = open("remembers-cancel").await;
    let asking =
        tokio::time::timeout(Duration::from_millis(50), subject.execute_taskgraph(request(json!({}))));
    assert!(asking.await.is_err());
    assert!(subject.health_check().await.is_ok(), "its late answers harm nobody");
    assert_eq!(subject.close().await.unwrap(), "cancel 2");
}

#[tokio::test]
async fn requests_are_under_way_together_and_answered_in_any_order() {
    let subject = open("answers-backwards").await;
    let run = |n: u64| subject.execute_taskgraph(request(json!({"n": n})));
    let (one, two, three) = tokio::join!(run(1), run(2), run(3));
    let results = [one, two, three].map(Result::unwrap);
    assert_eq!(results, [1, 2, 3].map(|n| Answer::Result(json!({"n": n}))));
}

#[tokio::test]
async fn who_crashes_is_told_with_status_and_last_words() {
    let subject = open("crashes").await;
    let mishap = subject.execute_taskgraph(request(json!({}))).await.unwrap_err();
    let said = detail(mishap.clone());
    assert!(said.contains("ended: exit status: 101; the last that it logged:"), "{said}");
    assert!(said.contains("attempt to divide by zero"), "{said}");
    assert_eq!(subject.health_check().await.unwrap_err(), mishap, "it is told again");
    assert!(subject.close().await.unwrap().contains("about to divide by zero"));
    let subject = open("exits").await;
    let mishap = subject.execute_taskgraph(request(json!({}))).await.unwrap_err();
    assert_eq!(mishap, Mishap::Ended { detail: "exit status: 0".into() });
}

#[tokio::test]
async fn what_is_not_in_the_protocol_ends_the_conversation() {
    let broken = async |behaviour: &str, limits: StdioLimits| {
        let subject = plug(behaviour, limits).open(&nowhere()).await.unwrap();
        let first = subject.execute_taskgraph(request(json!({}))).await;
        let mishap = first.err().or(subject.health_check().await.err()).unwrap();
        subject.close().await;
        mishap
    };
    check(
        broken("says-garbage", limits()).await,
        "no answer: expected value at line 1 column 1 in `DEBUG running`",
    )
    .await;
    check(broken("answers-another", limits()).await, "request 99, which was not asked").await;
    check(broken("answers-twice", limits()).await, "request 2, which was not asked or is answered").await;
    let short = StdioLimits { max_line_bytes: 10_000, ..limits() };
    check(broken("says-too-much", short).await, "a line of more than 10000 bytes").await;
}

#[tokio::test]
async fn who_does_not_say_hello_is_not_opened() {
    check(failed_open("crashes-at-start").await, "exit status: 3; the last that it logged: no configuration")
        .await;
    check(failed_open("prints-a-banner").await, "`Listening on stdin …`").await;
    check(failed_open("speaks-another-protocol").await, "protocol `2.0`, and the suite speaks 1.0").await;
    check(failed_open("refuses-hello").await, "`hello` with an error: 1.0 is too old").await;
    check(failed_open("has-no-name").await, "no text `name`").await;
    assert_eq!(failed_open("is-silent-at-hello").await, Mishap::Silent { after_ms: 300 });
    let absent = Stdio::parse("/nowhere/backend --x", limits()).unwrap();
    let mishap = absent.open(&nowhere()).await.unwrap_err();
    assert!(
        matches!(&mishap, Mishap::Unreachable { detail } if detail.contains("/nowhere/backend")),
        "{mishap}"
    );
}

#[tokio::test]
async fn who_is_silent_or_cannot_is_told_so() {
    let limits = StdioLimits { answer: Duration::from_millis(200), ..limits() };
    let subject = plug("is-silent", limits).open(&nowhere()).await.unwrap();
    assert_eq!(subject.health_check().await, Err(Mishap::Silent { after_ms: 200 }));
    assert!(subject.capability_descriptor().await.is_ok(), "one silence is not the end");
    let subject = open("does-not-do-everything").await;
    assert_eq!(subject.health_check().await, Err(Mishap::Unsupported { detail: "not yet".into() }));
}

#[tokio::test]
async fn the_last_of_the_log_is_kept() {
    let subject = open("logs-a-lot").await;
    subject.health_check().await.unwrap();
    let log = subject.close().await.unwrap();
    assert_eq!((log.lines().count(), log.lines().last()), (64, Some("line 9999")));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn who_does_not_end_is_killed_with_all_that_it_started() {
    let subject = open("starts-another").await;
    let pid = subject.capability_descriptor().await.unwrap()["pid"].as_u64().unwrap();
    let another = subject.health_check().await.unwrap()["another"].as_u64().unwrap();
    assert!(is_alive(pid) && is_alive(another));
    let since = Instant::now();
    subject.close().await;
    assert!((500..3000).contains(&since.elapsed().as_millis()), "{:?}", since.elapsed());
    gone(pid).await;
    gone(another).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn who_is_dropped_is_killed() {
    let subject = open("is-deaf").await;
    let pid = subject.capability_descriptor().await.unwrap()["pid"].as_u64().unwrap();
    drop(subject);
    gone(pid).await;
}

#[cfg(target_os = "linux")]
#[test]
fn who_is_left_behind_by_a_runtime_is_killed() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (subject, pid) = runtime.block_on(async {
        let subject = open("is-deaf").await;
        let pid = subject.capability_descriptor().await.unwrap()["pid"].as_u64().unwrap();
        (subject, pid)
    });
    runtime.shutdown_background();
    assert!(!is_alive(pid), "no sooner than that");
    drop(subject);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn all_can_be_killed_at_once() {
    let plug = plug("is-deaf", limits());
    let mut pids = Vec::new();
    let mut subjects = Vec::new();
    for _ in 0..3 {
        let subject = plug.open(&nowhere()).await.unwrap();
        pids.push(subject.capability_descriptor().await.unwrap()["pid"].as_u64().unwrap());
        subjects.push(subject);
    }
    plug.kill_all();
    for pid in pids {
        gone(pid).await;
    }
    check(subjects[0].health_check().await.unwrap_err(), "signal: 9").await;
}

#[tokio::test]
async fn a_plug_for_a_command_lives_in_real_time() {
    let plug = plug("good", limits());
    assert_eq!((plug.transport(), plug.clock()), (Transport::Stdio, Clock::Real));
}
