//! A graph run from Rust: an operation of one's own, a model, events as they happen, and the result.
//!
//! `cargo run -p backend-local --example run_graph`. `docs/guides/depend-on-the-crates.md` quotes it.

use std::error::Error;
use std::sync::Arc;

use backend_api::{
    BackendMode, ExecutionBackend, ExecutionContext, ExecutionResult, InterfaceVersion, RunId, RunObserver,
    StreamingExecution, TraceId,
};
use backend_local::{LocalBackend, LocalConfig};
use kora_ir::{CheckedGraph, Limits};
use models::ModelRouter;
use operations::{About, ClosureOperation, Example, OperationRegistry};
use serde_json::json;
use telemetry::Event;

const GRAPH: &str = r#"{
    "kora_version": "1.0.0", "graph_id": "headline", "root": "headline",
    "budgets": {"max_tokens": 200},
    "tasks": [
        {"version": "1.0", "id": "words", "type": "deterministic", "dependencies": [],
         "input": {"text": "Rain is expected in the north on Monday."},
         "run": {"operation": "acme.count_words"},
         "schema": {"type": "integer"}},
        {"version": "1.0", "id": "headline", "type": "model", "dependencies": ["words"],
         "input": {"text": "Rain is expected in the north on Monday.", "words": {"$from": "words"}},
         "run": {"model": "small", "prompt": "A headline for these {{/words}} words: {{/text}}"},
         "budget": {"max_tokens": 40, "max_time_ms": 20000, "max_retries": 2},
         "schema": {"type": "object", "required": ["headline"],
                    "properties": {"headline": {"type": "string"}}}}
    ]
}"#;

/// As in a configuration file. Instead of the stand-in, a server that speaks the `OpenAI` API would be
/// `{"kind": "openai", "name": "ollama", "base_url": "http://127.0.0.1:11434/v1", "models": […]}`.
const MODELS: &str = r#"[
    {"kind": "scripted", "name": "stand-in", "models": [{"id": "stand-in-small", "tier": "small"}],
     "tasks": {"headline": [{"act": {"text": "Rain!"}},
                            {"act": {"reply": {"headline": "Rain on Monday"}}, "tokens_in": 31, "tokens_out": 9}]}}
]"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let graph = CheckedGraph::parse(GRAPH, &Limits::default())?;
    let backend = backend()?;
    println!("at most {} tasks at once", backend.capability_descriptor().max_concurrency);

    let result = backend.execute_streaming(&graph, &context()?, Arc::new(Printed)).await?;
    show(&result);
    Ok(())
}

fn backend() -> Result<LocalBackend, Box<dyn Error>> {
    let mut operations = OperationRegistry::standard();
    operations.register(count_words())?;
    let models = ModelRouter::from_config(serde_json::from_str(MODELS)?)?;
    Ok(LocalBackend::new(LocalConfig { operations, models, ..LocalConfig::default() }))
}

fn count_words() -> ClosureOperation {
    let about = About {
        name: "acme.count_words".into(),
        summary: "Counts the words of `text`.".into(),
        args_schema: json!({"type": "object", "properties": {}, "additionalProperties": false}),
        example: Example { args: json!({}), input: json!({"text": "one two"}), output: json!(2) },
    };
    ClosureOperation::new(about, |call| {
        let text = call.input["text"].as_str().unwrap_or_default();
        Ok(json!(text.split_whitespace().count()))
    })
}

fn context() -> Result<ExecutionContext, Box<dyn Error>> {
    Ok(ExecutionContext {
        run_id: RunId::new("run-1")?,
        trace_id: TraceId::new("trace-1")?,
        backend_mode: BackendMode::Local,
        user_id: None,
        interface_version: InterfaceVersion::CURRENT,
    })
}

/// Called from whichever thread runs the graph, so it returns at once.
#[derive(Debug)]
struct Printed;

impl RunObserver for Printed {
    fn observe(&self, graph: &CheckedGraph, event: &Event) {
        println!("{}: {event:?}", graph.task(event.task()).id);
    }
}

fn show(result: &ExecutionResult) {
    if let Some(output) = &result.final_output {
        println!("{}", output.value());
    }
    if let Some(failure) = &result.failure {
        println!("{failure}"); // the first root cause; `failure.error_type` is one of the five
    }
    for record in result.telemetry_bundle.tasks() {
        println!("{}: {} retries, {} tokens", record.task_id, record.retry_count, record.tokens_out);
    }
    println!("{}", result.execution_metadata.semantic_digest);
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() {
        super::main().unwrap();
    }
}
