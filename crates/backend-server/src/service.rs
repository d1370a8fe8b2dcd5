//! The seam: a backend as documents, which is what every transport carries.

use std::fmt::Debug;

use async_trait::async_trait;
use backend_api::RefusalDocument;
use serde_json::Value;
use serde_json::value::RawValue;

/// A backend as documents (C3.1, C3.5, C3.6).
///
/// [`BackendService`](crate::BackendService) implements it for every
/// [`ExecutionBackend`](backend_api::ExecutionBackend).
#[async_trait]
pub trait Service: Debug + Send + Sync + 'static {
    /// Runs the graph of `request` to an outcome.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the run. Spent budget stays spent, and there is no answer (S13).
    async fn execute_taskgraph(&self, request: ExecuteRequest) -> Answer;

    /// The backend's `BackendStatus` document.
    async fn health_check(&self) -> Value;

    /// The backend's `BackendCapabilities` document.
    fn capability_descriptor(&self) -> Value;
}

/// What a caller wants run, not yet checked.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "contract §3.1 lists the two arguments")]
pub struct ExecuteRequest {
    /// The graph, in the very text that was sent: a key that stands there twice must be seen twice (I1).
    pub taskgraph: Box<RawValue>,
    /// `run_id`, `trace_id`, `backend_mode`, and optionally `user_id` and `interface_version` (C3.3).
    pub execution_context: Value,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a request is run or refused")]
pub enum Answer {
    /// An `ExecutionResult` document: the run started, and failed or did not (C3.4).
    Result(Value),
    /// Nothing ran.
    Refused(RefusalDocument),
}
