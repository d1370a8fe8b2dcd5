//! What every check needs: an adapter for the server, a request, and what came of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kora_ir::{CheckedGraph, Limits, Message, ModelParameters, OutputSchema, Privacy, Role, TaskId};
use models::{
    AdapterError, ModelAdapter, ModelId, ModelRequest, OpenAiAdapter, RawReply, TokenMeter, TokenSink,
};
use serde_json::{Value, json};

use crate::server::{ALIAS, KEY, Server};

/// One way of asking the server.
pub(crate) struct Asking {
    config: Value,
    messages: Vec<Message<String>>,
    deadline: Duration,
}

/// What came of it.
pub(crate) struct Asked {
    pub(crate) outcome: Result<RawReply, AdapterError>,
    /// Pieces that came, as the sink counted them.
    pub(crate) pieces: u64,
}

impl Asking {
    /// As an operator would set the server up.
    pub(crate) fn of(server: &Server) -> Self {
        let config = json!({
            "name": "foreign", "base_url": format!("{}/v1", server.address()),
            "models": [{"id": "tiny", "served_as": ALIAS}],
            "api_key": {"file": key_file(KEY)},
        });
        // Twice the time that the slowest machine should need: the test runner ends what hangs.
        let asking = Self { config, messages: Vec::new(), deadline: Duration::from_secs(50) };
        asking.saying(
            "Which priority has a broken printer? Answer as JSON: {\"n\": 1}, {\"n\": 2} or {\"n\": 3}.",
        )
    }

    pub(crate) fn with(mut self, more: Value) -> Self {
        if let (Value::Object(config), Value::Object(more)) = (&mut self.config, more) {
            config.extend(more);
        }
        self
    }

    /// `None`: without a key.
    pub(crate) fn with_key(self, key: Option<&str>) -> Self {
        let place = key.map(|key| json!({"file": key_file(key)}));
        self.with(json!({"api_key": place}))
    }

    pub(crate) fn saying(mut self, prompt: &str) -> Self {
        self.messages = vec![Message { role: Role::User, content: prompt.to_owned() }];
        self
    }

    pub(crate) fn saying_nothing(mut self) -> Self {
        self.messages.clear();
        self
    }

    /// So that the model goes on and on: no grammar, and much to tell.
    pub(crate) fn rambling(self) -> Self {
        let asking =
            self.saying("Tell me everything about the history of the sea, in as many words as you can.");
        asking.with(json!({"structured_output": "prompt"}))
    }

    pub(crate) fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    pub(crate) fn adapter(&self) -> OpenAiAdapter {
        OpenAiAdapter::new(serde_json::from_value(self.config.clone()).unwrap()).unwrap()
    }

    pub(crate) fn request(&self, schema: Arc<OutputSchema>, cap: u64) -> ModelRequest {
        ModelRequest {
            model: ModelId::from("tiny"),
            messages: self.messages.clone(),
            schema,
            max_output_tokens: cap,
            deadline: self.deadline,
            parameters: ModelParameters::default(),
            privacy: Privacy::LocalOnly,
            task_id: task_id(),
            attempt: 0,
        }
    }

    pub(crate) async fn ask(&self, schema: Arc<OutputSchema>, cap: u64) -> Asked {
        let request = self.request(schema, cap);
        let mut sink = TokenSink::for_request(&request);
        let outcome = self.adapter().generate(&request, &mut sink).await;
        if let Err(error) = &outcome {
            assert_eq!(error.usage, sink.usage(), "an error tells what was spent");
            assert!(!error.to_string().contains(KEY), "the key in an error: {error}");
        }
        Asked { outcome, pieces: sink.counted() }
    }
}

/// Resolves once so many tokens were counted.
pub(crate) async fn until_counted(meter: &TokenMeter, tokens: u64) {
    while meter.counted() < tokens {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

pub(crate) fn schema(document: Value) -> Arc<OutputSchema> {
    Arc::new(OutputSchema::compile(document, &Limits::default()).unwrap())
}

/// `{"n": 1 | 2 | 3}` and nothing else.
pub(crate) fn priority() -> Arc<OutputSchema> {
    schema(json!({
        "type": "object", "properties": {"n": {"type": "integer", "minimum": 1, "maximum": 3}}, "required": ["n"],
    }))
}

fn key_file(key: &str) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("foreign-{key}"));
    std::fs::write(&path, key).unwrap();
    path.display().to_string()
}

fn task_id() -> TaskId {
    let graph = json!({
        "kora_version": "1.0.0", "graph_id": "g", "root": "ask", "tasks": [{
            "version": "1.0", "id": "ask", "type": "model", "dependencies": [], "input": {},
            "schema": {"type": "object"}, "budget": {"max_tokens": 10, "max_time_ms": 1000, "max_retries": 0},
            "run": {"model": "tiny", "prompt": "?"},
        }],
    });
    let graph = CheckedGraph::parse(&graph.to_string(), &Limits::default()).unwrap();
    graph.task(graph.root()).id.clone()
}
