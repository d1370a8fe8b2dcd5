//! An adapter whose workers are processes of this test program.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use kora_ir::{CheckedGraph, Limits, Message, ModelParameters, Privacy, Role};
use models::{
    AdapterError, EmbeddedAdapter, EmbeddedConfig, EmbeddedLimits, EmbeddedModel, ModelAdapter as _, ModelId,
    ModelRequest, TokenSink, WeightsSource,
};
use rustix::process::Pid;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// How long a test waits for what has to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) adapter: Arc<EmbeddedAdapter>,
    pub(crate) runtime: Runtime,
    folder: tempfile::TempDir,
}

impl World {
    /// Workers that behave as `manner` says.
    pub(crate) fn of(manner: &str) -> Self {
        let program = std::env::current_exe().unwrap();
        Self::with(manner, EmbeddedConfig { worker: Some(program), ..EmbeddedConfig::default() })
    }

    pub(crate) fn with(manner: &str, config: EmbeddedConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let weights = folder.path().join("weights.gguf");
        std::fs::write(&weights, manner).unwrap();
        let model = EmbeddedModel {
            id: ModelId::from("m"),
            tier: None,
            weights: Some(WeightsSource::Path(weights)),
            sha256: None,
            context_tokens: Some(64),
        };
        let config = EmbeddedConfig {
            models: vec![model],
            threads: NonZeroU32::new(3).unwrap(),
            limits: EmbeddedLimits { silence_timeout_ms: 1_000, ..EmbeddedLimits::default() },
            ..config
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Self { adapter: Arc::new(EmbeddedAdapter::new(config).unwrap()), runtime: runtime.unwrap(), folder }
    }

    /// From now on, new workers behave otherwise.
    pub(crate) fn now(&self, manner: &str) {
        std::fs::write(self.folder.path().join("weights.gguf"), manner).unwrap();
    }

    /// The processes that there are for this adapter, as the system lists them.
    pub(crate) fn workers(&self) -> Vec<Pid> {
        let weights = self.folder.path().to_str().unwrap();
        let mut workers = Vec::new();
        for process in std::fs::read_dir("/proc").unwrap().flatten() {
            // That of a zombie is empty.
            let Ok(command) = std::fs::read_to_string(process.path().join("cmdline")) else { continue };
            if command.contains(weights) {
                workers.extend(process.file_name().to_str().and_then(|pid| Pid::from_raw(pid.parse().ok()?)));
            }
        }
        workers
    }

    pub(crate) fn ask(&self, deadline: Duration) -> Result<Value, AdapterError> {
        self.ask_at_length("a secret prompt", deadline)
    }

    pub(crate) fn ask_at_length(&self, prompt: &str, deadline: Duration) -> Result<Value, AdapterError> {
        let request = request(prompt, deadline);
        let mut sink = TokenSink::for_request(&request);
        let reply = self.runtime.block_on(self.adapter.generate(&request, &mut sink))?;
        Ok(reply.admit(&request.schema).unwrap().value().clone())
    }
}

pub(crate) fn request(prompt: &str, deadline: Duration) -> ModelRequest {
    let graph = json!({
        "kora_version": "1.0.0", "graph_id": "g", "root": "ask", "tasks": [{
            "version": "1.0", "id": "ask", "type": "model", "dependencies": [], "input": {},
            "schema": {"type": "object", "additionalProperties": true},
            "budget": {"max_tokens": 10, "max_time_ms": 1000, "max_retries": 0},
            "run": {"model": "m", "prompt": "?"},
        }],
    });
    let graph = CheckedGraph::parse(&graph.to_string(), &Limits::default()).unwrap();
    let task = graph.task(graph.root());
    ModelRequest {
        model: ModelId::from("m"),
        messages: vec![Message { role: Role::User, content: prompt.to_owned() }],
        schema: Arc::clone(&task.schema),
        max_output_tokens: 8,
        deadline,
        parameters: ModelParameters::default(),
        privacy: Privacy::LocalOnly,
        task_id: task.id.clone(),
        attempt: 0,
    }
}

pub(crate) fn pid_of(reply: &Value) -> Pid {
    let pid = reply["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
    pid.and_then(Pid::from_raw).unwrap_or_else(|| panic!("no pid in {reply}"))
}

/// Waits until the process is no more.
pub(crate) fn gone(pid: Pid) {
    let until = std::time::Instant::now() + PATIENCE;
    while rustix::process::test_kill_process(pid).is_ok() {
        assert!(std::time::Instant::now() < until, "{pid:?} is still there");
        std::thread::sleep(Duration::from_millis(10));
    }
}
