//! The streaming extension as documents (C12.1).

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use backend_api::RunObserver;
use kora_ir::{CheckedGraph, TaskIndex};
use serde_json::{Value, json};
use telemetry::Event;

use crate::{Answer, ExecuteRequest, Service};

/// A service that tells what happens in a run as it happens.
///
/// [`BackendService`](crate::BackendService) implements it for every
/// [`StreamingExecution`](backend_api::StreamingExecution).
#[async_trait]
pub trait StreamingService: Service {
    /// [`execute_taskgraph`](Service::execute_taskgraph), with somebody to tell. The answer is the same (C12.4).
    ///
    /// # Cancel safety
    ///
    /// As there.
    async fn execute_streaming(&self, request: ExecuteRequest, events: Arc<dyn EventSink>) -> Answer;
}

/// Told of a run's events.
pub trait EventSink: Debug + Send + Sync + 'static {
    /// One event: `type`, `task_id`, and what belongs to the type. Called in the order of the run: return at once.
    fn take(&self, event: Value);
}

/// Writes events for a sink.
#[derive(Debug)]
pub(crate) struct Telling(pub(crate) Arc<dyn EventSink>);

impl RunObserver for Telling {
    fn observe(&self, graph: &CheckedGraph, event: &Event) {
        if let Some(document) = document(graph, event) {
            self.0.take(document);
        }
    }
}

/// An event as a document. None for one that is newer than this.
fn document(graph: &CheckedGraph, event: &Event) -> Option<Value> {
    let id = |task: TaskIndex| &graph.task(task).id;
    let task_id = id(event.task());
    Some(match event {
        Event::AttemptStarted { attempt, .. } => {
            json!({"type": "attempt_started", "task_id": task_id, "attempt": attempt})
        }
        Event::AttemptEnded { attempt, elapsed_us, tokens_in, tokens_out, estimated, .. } => json!({
            "type": "attempt_ended",
            "task_id": task_id,
            "attempt": attempt,
            "elapsed_us": elapsed_us,
            "tokens_in": tokens_in,
            "tokens_out": tokens_out,
            "tokens_estimated": estimated,
        }),
        Event::Validated { passed, .. } => {
            let status = if *passed { "pass" } else { "fail" };
            json!({"type": "validated", "task_id": task_id, "validation_status": status})
        }
        Event::Retrying { because, .. } => {
            json!({"type": "retrying", "task_id": task_id, "failure": because})
        }
        Event::Completed { .. } => json!({"type": "completed", "task_id": task_id}),
        Event::Failed { failure, .. } => json!({"type": "failed", "task_id": task_id, "failure": failure}),
        Event::Skipped { reason, .. } => {
            json!({"type": "skipped", "task_id": task_id, "skip_reason": reason})
        }
        Event::Escalated { to, .. } => {
            json!({"type": "escalated", "task_id": task_id, "escalated_to": id(*to)})
        }
        _ => return None,
    })
}
