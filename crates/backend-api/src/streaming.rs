//! The streaming extension: run events as they happen (C12.1).

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use kora_ir::CheckedGraph;
use telemetry::Event;

use crate::{ExecutionBackend, ExecutionContext, ExecutionResult, Refusal};

/// Told of a run's events as they happen. It can look and nothing else, so it changes no result (C12.4).
pub trait RunObserver: Debug + Send + Sync + 'static {
    /// One event. Called in the order of the run, from whichever thread runs it: return at once.
    fn observe(&self, graph: &CheckedGraph, event: &Event);
}

/// A backend that declares [`Extension::Streaming`](crate::Extension::Streaming).
#[async_trait]
pub trait StreamingExecution: ExecutionBackend {
    /// [`execute_taskgraph`](ExecutionBackend::execute_taskgraph), with an observer.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    async fn execute_streaming(
        &self,
        graph: &CheckedGraph,
        context: &ExecutionContext,
        observer: Arc<dyn RunObserver>,
    ) -> Result<ExecutionResult, Refusal>;
}
