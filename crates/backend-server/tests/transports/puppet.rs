//! A service that does what the graph tells it, and real backends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use backend_api::{BackendMode, RefusalDocument};
use backend_local::{LocalBackend, LocalConfig};
use backend_server::{Answer, BackendService, ExecuteRequest, Identity, Served, Service};
use models::{ModelRouter, Script, ScriptedAdapter};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// Does what `do` of the graph says: `hang`, `wait` for a release, `panic`, `refuse`; else it echoes.
#[derive(Debug, Default)]
pub(crate) struct Puppet {
    pub(crate) started: AtomicUsize,
    pub(crate) dropped: AtomicUsize,
    pub(crate) at_once: AtomicUsize,
    pub(crate) peak: AtomicUsize,
    pub(crate) release: Notify,
    pub(crate) changed: Notify,
}

impl Puppet {
    /// Waits until `count` runs have started.
    pub(crate) async fn has_started(&self, count: usize) {
        while self.started.load(Ordering::SeqCst) < count {
            self.changed.notified().await;
        }
    }

    /// Waits until `count` runs were dropped before their end.
    pub(crate) async fn has_dropped(&self, count: usize) {
        while self.dropped.load(Ordering::SeqCst) < count {
            self.changed.notified().await;
        }
    }
}

struct Under<'p> {
    puppet: &'p Puppet,
    done: bool,
}

impl Drop for Under<'_> {
    fn drop(&mut self) {
        self.puppet.at_once.fetch_sub(1, Ordering::SeqCst);
        self.puppet.dropped.fetch_add(usize::from(!self.done), Ordering::SeqCst);
        self.puppet.changed.notify_one();
    }
}

#[async_trait]
impl Service for Puppet {
    async fn execute_taskgraph(&self, request: ExecuteRequest) -> Answer {
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(now, Ordering::SeqCst);
        self.started.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_one();
        let mut under = Under { puppet: self, done: false };
        let told: Value = serde_json::from_str(request.taskgraph.get()).unwrap();
        match told["do"].as_str().unwrap_or_default() {
            "hang" => std::future::pending::<()>().await,
            "wait" => self.release.notified().await,
            "panic" => panic!("as it was told"),
            _ => {}
        }
        under.done = true;
        if told["do"] == "refuse" {
            return Answer::Refused(RefusalDocument::new("UNAVAILABLE", "as it was told"));
        }
        Answer::Result(json!({
            "status": "success",
            "final_output": {"graph": request.taskgraph.get()},
            "telemetry_bundle": {
                "tasks": [],
                "summary": {"total_tokens": 0, "total_latency_ms": 0, "model_invocation_count": 0, "deterministic_task_count": 0},
            },
            "execution_metadata": {
                "run_id": request.execution_context["run_id"],
                "trace_id": request.execution_context["trace_id"],
                "backend": "local",
                "duration_ms": 0,
            },
        }))
    }

    async fn health_check(&self) -> Value {
        let runs = self.at_once.load(Ordering::SeqCst);
        json!({"status": "healthy", "capacity_summary": {"active_runs": runs, "cpu_load": null}, "backend_version": "0"})
    }

    fn capability_descriptor(&self) -> Value {
        json!({"max_model_size": null, "max_concurrency": 1, "supported_task_types": ["deterministic"],
            "supported_context_window": null, "distributed": false})
    }
}

/// Any service under a name.
pub(crate) fn served(service: Arc<dyn Service>) -> Served {
    Served { identity: identity(), service }
}

pub(crate) fn identity() -> Identity {
    Identity {
        name: String::from("backend under test"),
        version: String::from("0.0.0"),
        backend_mode: BackendMode::Local,
    }
}

/// This machine, without any model.
pub(crate) fn local() -> Arc<BackendService<LocalBackend>> {
    let config = LocalConfig { models: ModelRouter::default(), ..LocalConfig::default() };
    Arc::new(BackendService::new(Arc::new(LocalBackend::new(config))))
}

/// This machine, with a model that a script stands in for.
pub(crate) fn with_models() -> Arc<BackendService<LocalBackend>> {
    let script = include_str!("../../../../fixtures/clauses/C4.2-model.script.json");
    with_script(serde_json::from_str(script).unwrap())
}

/// This machine, with a script for its models.
pub(crate) fn with_script(script: Script) -> Arc<BackendService<LocalBackend>> {
    let adapter = ScriptedAdapter::new(script);
    let models = ModelRouter::new(vec![Arc::new(adapter)]).unwrap();
    let backend = LocalBackend::new(LocalConfig { models, ..LocalConfig::default() });
    Arc::new(BackendService::new(Arc::new(backend)))
}
