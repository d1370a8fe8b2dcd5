//! A model adapter of one's own, and a graph that it answers.
//!
//! `cargo run -p backend-local --example own_adapter`. `docs/guides/write-an-adapter.md` quotes it.

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use backend_api::{BackendMode, ExecutionBackend, ExecutionContext, InterfaceVersion, RunId, TraceId};
use backend_local::{LocalBackend, LocalConfig};
use kora_ir::{CheckedGraph, Limits, OutputSchema};
use models::{
    AdapterDescriptor, AdapterError, AdapterErrorKind, AdapterHealth, FinishReason, Locality, ModelAdapter,
    ModelId, ModelRequest, ModelRouter, RawReply, SchemaNote, ServedModel, TokenSink,
};
use tokio::sync::mpsc;

/// Stands for a runtime in this process: something that gives a token after the other.
fn generate(prompt: String, tokens: &mpsc::Sender<String>) {
    let reply = format!("{{\"length\":{}}}", prompt.chars().count());
    for piece in reply.split_inclusive(':') {
        // The receiver is gone as soon as nobody wants the reply any more: stop spending.
        if tokens.blocking_send(piece.to_owned()).is_err() {
            return;
        }
    }
}

/// Asks that runtime.
#[derive(Debug)]
struct InProcess;

#[async_trait]
impl ModelAdapter for InProcess {
    fn descriptor(&self) -> AdapterDescriptor {
        AdapterDescriptor {
            name: String::from("in-process"),
            locality: Locality::Local, // prompts stay on this machine, so `local_only` tasks may come
            models: vec![ServedModel {
                id: ModelId::from("counter-1"),
                tier: Some(String::from("small")),
                context_tokens: Some(4096),
                parameters: None, // nobody said, and that is what is said
            }],
            concurrent_calls: None, // as many at once as tasks may run
        }
    }

    fn admit(&self, _: &ModelId, _: &OutputSchema) -> Result<Vec<SchemaNote>, AdapterError> {
        Ok(Vec::new()) // any schema will do; an error here refuses the graph before anything runs
    }

    async fn health(&self) -> AdapterHealth {
        AdapterHealth::Healthy
    }

    async fn prepare(&self, _: &ModelId) -> Result<(), AdapterError> {
        Ok(()) // nothing to start, nothing to load
    }

    async fn generate(&self, request: &ModelRequest, sink: &mut TokenSink) -> Result<RawReply, AdapterError> {
        if request.model.as_str() != "counter-1" {
            let message = format!("`in-process` serves no model `{}`", request.model);
            return Err(AdapterError::new(AdapterErrorKind::ModelUnknown, message));
        }
        let prompt: String = request.messages.iter().map(|message| message.content.as_str()).collect();
        let (sender, mut tokens) = mpsc::channel(1);

        sink.sent(); // from here on something may be spent
        sink.streaming(); // and is counted token by token
        tokio::task::spawn_blocking(move || generate(prompt, &sender));
        let generation = async {
            while let Some(token) = tokens.recv().await {
                sink.push(&token, 1)?; // an error is the cap: stop, and return it
            }
            sink.finish(FinishReason::Stop, None, None)
        };
        match tokio::time::timeout(request.deadline, generation).await {
            Ok(reply) => reply,
            Err(_) => {
                let message = format!("no complete reply within {} ms", request.deadline.as_millis());
                Err(AdapterError::new(AdapterErrorKind::DeadlineExceeded, message))
            }
        }
        .map_err(|error| error.with_usage(sink.usage()))
    }
}

const GRAPH: &str = r#"{
    "kora_version": "1.0.0", "graph_id": "counted", "root": "counted",
    "tasks": [{
        "version": "1.0", "id": "counted", "type": "model", "dependencies": [], "input": {"text": "four words in here"},
        "run": {"model": "small", "prompt": "{{/text}}"}, "constraints": {"privacy": "local_only"},
        "budget": {"max_tokens": 20, "max_time_ms": 2000, "max_retries": 0},
        "schema": {"type": "object", "properties": {"length": {"type": "integer"}}}
    }]
}"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let models = ModelRouter::new(vec![Arc::new(InProcess)])?;
    let backend = LocalBackend::new(LocalConfig { models, ..LocalConfig::default() });
    let graph = CheckedGraph::parse(GRAPH, &Limits::default())?;
    let context = ExecutionContext {
        run_id: RunId::new("run-1")?,
        trace_id: TraceId::new("trace-1")?,
        backend_mode: BackendMode::Local,
        user_id: None,
        interface_version: InterfaceVersion::CURRENT,
    };
    let result = backend.execute_taskgraph(&graph, &context).await?;
    println!("{}", serde_json::to_string_pretty(&result)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() {
        super::main().unwrap();
    }
}
