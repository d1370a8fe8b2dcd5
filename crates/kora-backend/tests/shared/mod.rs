//! Fixtures: a graph, the script of its stand-in model if it asks one, and what a run of it means.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use backend_api::{
    BackendMode, ExecutionBackend, ExecutionContext, ExecutionResult, InterfaceVersion, Refusal, RunId,
    TraceId,
};
use backend_local::{Backoff, LocalBackend, LocalConfig};
use kora_ir::{CheckedGraph, Limits};
use models::{ModelRouter, Script, ScriptedAdapter};
use serde_json::{Value, json};
use tokio::runtime::Builder;

/// The folder of all fixtures.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// One graph with what belongs to it.
#[derive(Clone, Debug)]
pub(crate) struct Fixture {
    /// `folder/name`.
    pub(crate) name: String,
}

impl Fixture {
    /// The fixture `folder/name`.
    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.to_owned() }
    }

    /// A file beside the graph: `expected`, or `script` of the stand-in that answers its model tasks.
    pub(crate) fn beside(&self, what: &str) -> PathBuf {
        root().join(format!("{}.{what}.json", self.name))
    }

    /// Reads, checks and runs the graph.
    pub(crate) fn run(&self, max_concurrency: u32, clock: Clock) -> Outcome {
        let source = std::fs::read(root().join(format!("{}.json", self.name))).unwrap();
        let graph = match CheckedGraph::parse_bytes(&source, &Limits::default()) {
            Ok(graph) => graph,
            Err(invalid) => return Outcome::Refused(Refusal::InvalidGraph(invalid)),
        };
        let script = Some(self.beside("script")).filter(|path| path.exists());
        let adapter = script.map(|path| {
            let script: Script = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            Arc::new(ScriptedAdapter::new(script))
        });
        let adapters = adapter.iter().map(|adapter| Arc::clone(adapter) as _).collect();
        let backend = LocalBackend::new(LocalConfig {
            max_concurrency,
            models: ModelRouter::new(adapters).unwrap(),
            backoff: Backoff { initial: Duration::from_millis(1), max: Duration::from_millis(5) },
            ..LocalConfig::default()
        });
        let context = ExecutionContext {
            run_id: RunId::new("fixture").unwrap(),
            trace_id: TraceId::new("fixture").unwrap(),
            backend_mode: BackendMode::Local,
            user_id: None,
            interface_version: InterfaceVersion::CURRENT,
        };
        let runtime = match clock {
            Clock::Real => Builder::new_multi_thread().worker_threads(2).enable_all().build(),
            Clock::Paused => Builder::new_current_thread().enable_all().start_paused(true).build(),
        };
        let runtime = runtime.unwrap();
        let outcome = runtime.block_on(backend.execute_taskgraph(&graph, &context));
        runtime.shutdown_background();
        match outcome {
            Ok(result) => Outcome::Ran { graph, result: Box::new(result), adapter },
            Err(refusal) => Outcome::Refused(refusal),
        }
    }
}

/// What time is to a run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Clock {
    /// It passes, on two threads.
    Real,
    /// It jumps as soon as nothing else is left to do, so that whoever is slower is always later.
    Paused,
}

/// What came of a fixture.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// A result, failed or not.
    Ran {
        /// As checked.
        graph: CheckedGraph,
        /// As returned.
        result: Box<ExecutionResult>,
        /// The stand-in, which remembers what it was asked.
        adapter: Option<Arc<ScriptedAdapter>>,
    },
    /// Nothing ran.
    Refused(Refusal),
}

impl Outcome {
    /// What must be the same on every run: all but times and names of runs.
    pub(crate) fn meaning(&self) -> Value {
        match self {
            Self::Ran { result, .. } => meaning_of_result(result),
            Self::Refused(refusal) => json!({"refused": meaning_of_refusal(refusal)}),
        }
    }
}

fn meaning_of_result(result: &ExecutionResult) -> Value {
    let whole = serde_json::to_value(result).unwrap();
    let bundle = &whole["telemetry_bundle"];
    let tasks: Vec<Value> = bundle["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| {
            let mut record = record.as_object().unwrap().clone();
            record.shift_remove("duration_ms");
            if let Some(failure) = record.shift_remove("failure") {
                record.insert(String::from("failure"), without_times(failure));
            }
            Value::Object(record)
        })
        .collect();
    let mut meaning = json!({"status": whole["status"], "final_output": whole["final_output"]});
    if !whole["failure"].is_null() {
        meaning["failure"] = without_times(whole["failure"].clone());
    }
    meaning["tasks"] = json!(tasks);
    for total in ["total_tokens", "model_invocation_count", "deterministic_task_count"] {
        meaning["totals"][total] = bundle["summary"][total].clone();
    }
    for digest in ["graph_digest", "semantic_digest"] {
        meaning[digest] = whole["execution_metadata"][digest].clone();
    }
    meaning
}

/// A breach of time says how many milliseconds were used, and so does its message.
fn without_times(mut failure: Value) -> Value {
    let cap = failure["breach"]["cap"].as_str().unwrap_or_default();
    if cap.ends_with("_ms") {
        failure["breach"].as_object_mut().unwrap().shift_remove("used");
        failure.as_object_mut().unwrap().shift_remove("message");
    }
    failure
}

fn meaning_of_refusal(refusal: &Refusal) -> Value {
    let mut meaning = json!({"error_type": refusal.error_type()});
    match refusal {
        Refusal::InvalidGraph(invalid) => {
            let places = invalid.violations.iter().map(|violation| {
                json!({"code": violation.code, "pointer": violation.pointer, "message": violation.message})
            });
            meaning["violations"] = places.collect();
        }
        Refusal::BeyondCapabilities(unmet) => meaning["unmet"] = json!(unmet),
        Refusal::VersionMismatch(_)
        | Refusal::WrongBackend { .. }
        | Refusal::Unauthenticated(_)
        | Refusal::Unavailable { .. } => meaning["message"] = json!(refusal.to_string()),
    }
    meaning
}
