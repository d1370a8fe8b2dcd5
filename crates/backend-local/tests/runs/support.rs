//! Graphs, backends and contexts in few words.

use std::sync::Arc;
use std::time::Duration;

use backend_api::{
    BackendMode, ExecutionBackend, ExecutionContext, ExecutionResult, InterfaceVersion, RunId, TraceId,
};
use backend_local::{Backoff, LocalBackend, LocalConfig};
use kora_ir::{CheckedGraph, Limits};
use models::{ModelAdapter, ModelRouter, Script, ScriptedAdapter};
use operations::{About, ClosureOperation, Example, OperationCall, OperationError, OperationRegistry};
use serde_json::{Value, json};

/// A graph of these tasks; the last is the root.
pub(crate) fn graph(tasks: &[Value], more: &Value) -> CheckedGraph {
    let mut document = json!({
        "kora_version": "1.0.0", "graph_id": "g", "root": tasks.last().unwrap()["id"], "tasks": tasks,
    });
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    CheckedGraph::parse(&document.to_string(), &Limits::default()).unwrap()
}

/// A task whose output may be anything, with `more` on top.
fn task(id: &str, task_type: &str, dependencies: &[&str], more: &Value) -> Value {
    let mut task = json!({
        "version": "1.0", "id": id, "type": task_type, "dependencies": dependencies, "input": {}, "schema": true,
    });
    task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    task
}

pub(crate) fn operation(id: &str, dependencies: &[&str], name: &str, more: &Value) -> Value {
    let mut task = task(id, "deterministic", dependencies, more);
    task["run"] = json!({ "operation": name });
    task
}

pub(crate) fn model(id: &str, dependencies: &[&str], more: &Value) -> Value {
    let budget = json!({ "budget": { "max_tokens": 100, "max_time_ms": 1_000, "max_retries": 0 } });
    let mut task = task(id, "model", dependencies, &budget);
    task["run"] = json!({ "model": "scripted", "prompt": "answer" });
    task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    task
}

pub(crate) fn budget(max_tokens: u64, max_time_ms: u64, max_retries: u32) -> Value {
    json!({ "budget": { "max_tokens": max_tokens, "max_time_ms": max_time_ms, "max_retries": max_retries } })
}

/// An operation that does this.
pub(crate) fn closure(
    name: &str,
    body: impl Fn(&OperationCall<'_>) -> Result<Value, OperationError> + Send + Sync + 'static,
) -> ClosureOperation {
    let example = Example { args: json!({}), input: json!({}), output: json!({}) };
    let about = About {
        name: name.into(),
        summary: "Of a test.".into(),
        args_schema: json!({ "type": "object" }),
        example,
    };
    ClosureOperation::new(about, body)
}

pub(crate) struct World {
    pub(crate) backend: LocalBackend,
    pub(crate) adapter: Arc<ScriptedAdapter>,
}

impl World {
    pub(crate) fn new(max_concurrency: u32, script: &Value, operations: Vec<ClosureOperation>) -> Self {
        let script: Script = serde_json::from_value(script.clone()).unwrap();
        let adapter = Arc::new(ScriptedAdapter::new(script));
        let mut registry = OperationRegistry::standard();
        for operation in operations {
            registry.register(operation).unwrap();
        }
        let backend = LocalBackend::new(LocalConfig {
            max_concurrency,
            operations: registry,
            models: ModelRouter::new(vec![Arc::clone(&adapter) as Arc<dyn ModelAdapter>]).unwrap(),
            backoff: Backoff { initial: Duration::from_millis(10), max: Duration::from_millis(100) },
        });
        Self { backend, adapter }
    }

    pub(crate) async fn run(&self, graph: &CheckedGraph) -> ExecutionResult {
        self.backend.execute_taskgraph(graph, &context()).await.unwrap()
    }
}

pub(crate) fn context() -> ExecutionContext {
    ExecutionContext {
        run_id: RunId::new("run").unwrap(),
        trace_id: TraceId::new("trace").unwrap(),
        backend_mode: BackendMode::Local,
        user_id: None,
        interface_version: InterfaceVersion::CURRENT,
    }
}

/// Category of a task's failure.
pub(crate) fn failed(result: &ExecutionResult, id: &str) -> &'static str {
    let record = result.telemetry_bundle.task(id).unwrap();
    record.failure.as_deref().map_or("none", |failure| failure.error_type.as_str())
}
