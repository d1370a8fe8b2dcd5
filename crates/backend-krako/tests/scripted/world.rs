//! A scripted fabric: honest in everything that a test does not say otherwise.

use std::sync::{Arc, Mutex};

use backend_api::{
    BackendMode, ExecutionBackend, ExecutionContext, ExecutionResult, InterfaceVersion, Refusal, RunId,
    TraceId,
};
use backend_krako::{KrakoBackend, KrakoConfig, KrakoLimits};
use kora_ir::CheckedGraph;
use krako_contract::{CapabilitiesDocument, Sequence, write};
use krako_transport::{Endpoint, KeySource};

use crate::server::{Heard, Piece, Reply, Server};
use crate::session::{Recorded, SESSION};

pub(crate) const TOKEN: &str = "a-token-that-nobody-sees";

/// What a fabric is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Asked {
    Capabilities,
    Health,
    Execute,
    Events,
    Report,
    Cancel,
}

pub(crate) fn asked(heard: &Heard) -> Option<Asked> {
    let session = if heard.path.contains(SESSION) { SESSION } else { "ses_story" };
    let session = format!("/v1/execution/{session}");
    match (heard.method.as_str(), heard.path.as_str()) {
        ("GET", "/v1/capabilities") => Some(Asked::Capabilities),
        ("GET", "/v1/health") => Some(Asked::Health),
        ("POST", "/v1/execute") => Some(Asked::Execute),
        ("GET", path) if path == session => Some(Asked::Report),
        ("GET", path) if path == format!("{session}/events") => Some(Asked::Events),
        ("POST", path) if path == format!("{session}/cancel") => Some(Asked::Cancel),
        _ => None,
    }
}

/// A test's own answers: given what is asked and how often that was asked before, a reply in place of the honest one.
type Otherwise = dyn FnMut(Asked, usize, &Heard) -> Option<Reply> + Send;

pub(crate) struct World {
    pub(crate) server: Server,
}

/// What an honest fabric answers that has recorded this session.
pub(crate) fn honest(recorded: &Recorded, asked: Asked, heard: &Heard) -> Reply {
    match asked {
        Asked::Capabilities => Reply::json(200, capabilities().to_string()),
        Asked::Health => Reply::json(200, include_str!("../../../krako-contract/examples/health.json")),
        Asked::Execute => Reply::json(202, write(&recorded.accepted)),
        Asked::Events => {
            let after = heard.header("last-event-id").map(|id| Sequence::from_last_event_id(id).unwrap());
            events(vec![Piece::Bytes(recorded.stream(after).into_bytes())])
        }
        Asked::Report => Reply::json(200, write(&recorded.report)),
        Asked::Cancel => Reply::json(202, write(&recorded.accepted)),
    }
}

pub(crate) fn events(pieces: Vec<Piece>) -> Reply {
    Reply { status: 200, headers: vec![("content-type", String::from("text/event-stream"))], pieces }
}

fn capabilities() -> serde_json::Value {
    let text = include_str!("../../../krako-contract/examples/capabilities.json");
    let value: serde_json::Value = serde_json::from_str(text).unwrap();
    serde_json::from_value::<CapabilitiesDocument>(value.clone()).unwrap();
    value
}

impl World {
    /// A fabric that has recorded one session, and does otherwise where the test says so.
    pub(crate) async fn start(
        recorded: Recorded,
        otherwise: impl FnMut(Asked, usize, &Heard) -> Option<Reply> + Send + 'static,
    ) -> Self {
        let otherwise: Mutex<Box<Otherwise>> = Mutex::new(Box::new(otherwise));
        let before: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let server = Server::start(move |heard| {
            let Some(asked) = asked(heard) else {
                return Reply::json(404, r#"{"error_type": "NOT_FOUND", "message": "no such path"}"#);
            };
            let mut before = before.lock().unwrap();
            let times = before.iter().filter(|&&other| other == asked).count();
            before.push(asked);
            drop(before);
            let own = (otherwise.lock().unwrap())(asked, times, heard);
            own.unwrap_or_else(|| honest(&recorded, asked, heard))
        })
        .await;
        Self { server }
    }

    /// Hasty, so that a test that waits for a limit is short.
    pub(crate) fn config(&self) -> KrakoConfig {
        let token = self.server.ca.with_file_name("token");
        std::fs::write(&token, TOKEN).unwrap();
        let endpoint = Endpoint::parse(&format!("https://{}", self.server.address)).unwrap();
        KrakoConfig {
            ca_file: Some(self.server.ca.clone()),
            token: Some(KeySource::File(token)),
            limits: KrakoLimits {
                first_backoff_ms: 1,
                max_backoff_ms: 2,
                poll_ms: 1,
                ..KrakoLimits::default()
            },
            ..KrakoConfig::new(endpoint)
        }
    }

    pub(crate) async fn backend(&self) -> KrakoBackend {
        KrakoBackend::connect(self.config()).await.unwrap()
    }

    pub(crate) fn count(&self, what: Asked) -> usize {
        self.server.heard().iter().filter(|heard| asked(heard) == Some(what)).count()
    }

    /// Waits until something was asked, which a task that nobody waits for may do.
    pub(crate) async fn until_asked(&self, what: Asked) {
        while self.count(what) == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
}

pub(crate) fn context() -> ExecutionContext {
    ExecutionContext {
        run_id: RunId::new("run 7").unwrap(),
        trace_id: TraceId::new("trace").unwrap(),
        backend_mode: BackendMode::Krako,
        user_id: None,
        interface_version: InterfaceVersion::CURRENT,
    }
}

pub(crate) async fn run(backend: &KrakoBackend, graph: &CheckedGraph) -> Result<ExecutionResult, Refusal> {
    backend.execute_taskgraph(graph, &context()).await
}

/// The message of a run that was given up.
pub(crate) fn given_up(result: &ExecutionResult) -> &str {
    let failure = result.failure.as_ref().unwrap();
    assert_eq!(failure.error_type.as_str(), "EXECUTION_FAILURE");
    assert!(result.final_output.is_none());
    failure.message.strip_prefix("fabric: ").unwrap()
}
