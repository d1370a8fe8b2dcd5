//! The command as its own worker, with the real model: what ends a reply, and that the next one comes all the same.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

use std::sync::Arc;
use std::time::Duration;

use backend_api::{BackendMode, ExecutionBackend as _, ExecutionContext, InterfaceVersion, RunId, TraceId};
use backend_local::{LocalBackend, LocalConfig};
use kora_ir::{CheckedGraph, Limits, Message, ModelParameters, OutputSchema, Privacy, Role};
use models::{
    AdapterError, AdapterErrorKind, AdapterHealth, EmbeddedAdapter, EmbeddedConfig, EmbeddedRuntime,
    ModelAdapter, ModelId, ModelRequest, ModelRouter, TokenCount, TokenSink, WeightsSource,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// Each looks at the workers of the whole process, so they go one after the other.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

const MODEL: &str = "smollm2-135m-instruct";
/// Loading and answering on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(150);

fn adapter() -> Arc<EmbeddedAdapter> {
    adapter_with(None)
}

fn adapter_with(runtime: Option<EmbeddedRuntime>) -> Arc<EmbeddedAdapter> {
    let mut config = EmbeddedConfig {
        worker: Some(env!("CARGO_BIN_EXE_kora-backend").into()),
        runtime,
        ..EmbeddedConfig::default()
    };
    config.models[0].weights = Some(WeightsSource::Path(model_store::testing::default_model()));
    // As patient as the test: what is slow here is the machine.
    config.limits.silence_timeout_ms = 60_000;
    config.limits.cancel_grace_ms = 60_000;
    Arc::new(EmbeddedAdapter::new(config).unwrap())
}

fn graph(schema: &Value, max_tokens: u64) -> CheckedGraph {
    let graph = json!({
        "kora_version": "1.0.0", "graph_id": "g", "root": "ask", "tasks": [{
            "version": "1.0", "id": "ask", "type": "model", "dependencies": [],
            "input": {"text": "You owe us 42 EUR."}, "schema": schema,
            "budget": {"max_tokens": max_tokens, "max_time_ms": 120_000, "max_retries": 0},
            "run": {"model": MODEL, "prompt": "How much is it? {{/text}}"},
        }],
    });
    CheckedGraph::parse(&graph.to_string(), &Limits::default()).unwrap()
}

fn request(schema: &Value, max_tokens: u64, deadline: Duration) -> ModelRequest {
    let graph = graph(schema, max_tokens);
    let task = graph.task(graph.root());
    ModelRequest {
        model: ModelId::from(MODEL),
        messages: vec![Message { role: Role::User, content: String::from("Count from one to a thousand.") }],
        schema: Arc::clone(&task.schema),
        max_output_tokens: max_tokens,
        deadline,
        parameters: ModelParameters::default(),
        privacy: Privacy::LocalOnly,
        task_id: task.id.clone(),
        attempt: 0,
    }
}

/// Ends after a few tokens.
fn short() -> ModelRequest {
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 99}},
        "required": ["n"]});
    request(&schema, 40, PATIENCE)
}

/// Goes on for as long as it may: an array of which each item is wanted.
fn long(deadline: Duration) -> ModelRequest {
    let items = json!({"type": "integer", "minimum": 0, "maximum": 99});
    request(&json!({"type": "array", "items": items, "minItems": 1000, "maxItems": 1000}), 4000, deadline)
}

async fn ask(adapter: &EmbeddedAdapter, request: &ModelRequest) -> Result<Value, AdapterError> {
    let mut sink = TokenSink::for_request(request);
    let reply = adapter.generate(request, &mut sink).await?;
    let schema: &OutputSchema = &request.schema;
    Ok(reply.admit(schema).unwrap().value().clone())
}

/// The workers of this process.
fn workers() -> Vec<Pid> {
    let own = std::process::id().to_string();
    let mut workers = Vec::new();
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let read = |name: &str| std::fs::read_to_string(process.path().join(name)).unwrap_or_default();
        let parent = read("status").lines().find_map(|line| line.strip_prefix("PPid:").map(str::to_owned));
        if parent.is_some_and(|parent| parent.trim() == own) && read("cmdline").contains("model-worker") {
            workers.extend(process.file_name().to_str().and_then(|pid| Pid::from_raw(pid.parse().ok()?)));
        }
    }
    workers
}

// shows C4.2
#[tokio::test]
async fn the_runtime_is_the_one_asked_for_and_one_that_is_not_built_in_is_said_so() {
    let _alone = ALONE.lock().await;
    assert!(ask(&adapter_with(Some(EmbeddedRuntime::Own)), &short()).await.is_ok());
    let other = ask(&adapter_with(Some(EmbeddedRuntime::LlamaCpp)), &short()).await;
    if cfg!(feature = "llamacpp") {
        assert!(other.is_ok(), "{other:?}");
    } else {
        let error = other.unwrap_err().to_string();
        assert!(error.contains("built without llama.cpp"), "{error}");
        assert!(error.contains("--features llamacpp"), "{error}");
    }
}

// shows C4.2
#[tokio::test]
async fn a_worker_that_is_killed_in_the_middle_costs_one_attempt_and_the_next_task_is_answered() {
    let _alone = ALONE.lock().await;
    let adapter = adapter();
    let request = long(PATIENCE);
    let mut sink = TokenSink::for_request(&request);
    let meter = sink.meter();
    let asked = Arc::clone(&adapter);
    let call = tokio::spawn(async move { asked.generate(&request, &mut sink).await });
    while meter.counted() == 0 {
        assert!(!call.is_finished(), "it ended before it was killed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let [worker] = workers()[..] else { unreachable!("one worker, not {:?}", workers()) };
    kill_process(worker, Signal::KILL).unwrap();
    let error = call.await.unwrap().unwrap_err();
    assert_eq!((error.kind, error.transient), (AdapterErrorKind::ServerError, true), "{error}");
    assert!(error.usage.tokens_out.known() > Some(0), "{error:?}");
    assert!(ask(&adapter, &short()).await.is_ok());
    assert_ne!(workers(), [worker]);
}

// shows C7.4, S13
#[tokio::test]
async fn a_reply_that_runs_out_of_time_or_is_wanted_no_more_leaves_a_worker_that_answers_the_next() {
    let _alone = ALONE.lock().await;
    let adapter = adapter();
    let first = ask(&adapter, &short()).await.unwrap();
    let worker = workers();
    let late = ask(&adapter, &long(Duration::from_secs(2))).await.unwrap_err();
    assert_eq!(late.kind, AdapterErrorKind::DeadlineExceeded);
    assert_eq!(ask(&adapter, &short()).await.unwrap(), first, "nothing of the other request is left");
    let request = long(PATIENCE);
    let mut sink = TokenSink::for_request(&request);
    let unwanted = tokio::time::timeout(Duration::from_secs(2), adapter.generate(&request, &mut sink)).await;
    assert!(unwanted.is_err(), "it was dropped");
    assert_eq!(ask(&adapter, &short()).await.unwrap(), first);
    assert_eq!(workers(), worker, "one process did it all");
}

// shows C7.2
#[tokio::test]
async fn no_token_beyond_the_cap() {
    let _alone = ALONE.lock().await;
    let adapter = adapter();
    for cap in [1, 2, 7, 33] {
        let request = ModelRequest { max_output_tokens: cap, ..long(PATIENCE) };
        let error = ask(&adapter, &request).await.unwrap_err();
        assert_eq!(error.kind, AdapterErrorKind::TokensExhausted, "{error}");
        assert!(matches!(error.usage.tokens_out, TokenCount::Counted(out) if out <= cap), "{error:?}");
    }
}

// shows C1.1, C2.1
#[tokio::test]
async fn a_graph_runs_through_the_real_model_and_twice_the_same() {
    let _alone = ALONE.lock().await;
    let adapter = adapter();
    assert_eq!(adapter.health().await, AdapterHealth::Healthy);
    assert_eq!(workers(), [], "health starts nothing");
    let models = ModelRouter::new(vec![adapter]).unwrap();
    let backend = LocalBackend::new(LocalConfig { models, ..LocalConfig::default() });
    let open = json!({"type": "object", "properties": {"why": {"type": "string"}}});
    let notes = backend.notes(&graph(&open, 40));
    assert_eq!((notes[0].note.pointer.as_str(), notes[0].task_id.as_str()), ("/properties/why", "ask"));
    let schema = json!({"type": "object", "required": ["amount"],
        "properties": {"amount": {"type": "integer", "minimum": 0, "maximum": 999}}});
    let graph = graph(&schema, 40);
    assert_eq!(backend.notes(&graph), []);
    let mut digests = Vec::new();
    for run in ["r-1", "r-2"] {
        let context = ExecutionContext {
            run_id: RunId::new(run).unwrap(),
            trace_id: TraceId::new("t").unwrap(),
            backend_mode: BackendMode::Local,
            user_id: None,
            interface_version: InterfaceVersion::CURRENT,
        };
        let result = backend.execute_taskgraph(&graph, &context).await.unwrap();
        assert!(result.failure.is_none(), "{:?}", result.failure);
        let record = &result.telemetry_bundle.tasks()[0];
        assert!(record.tokens_in > 0 && record.tokens_out > 0, "{record:?}");
        digests.push(result.execution_metadata.semantic_digest);
    }
    assert_eq!(digests[0], digests[1]);
}
