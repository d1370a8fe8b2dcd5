//! The interface itself (contract §3).

use std::fmt::Debug;

use async_trait::async_trait;
use kora_ir::CheckedGraph;

use crate::{BackendCapabilities, BackendStatus, ExecutionContext, ExecutionResult, Refusal};

/// Something that runs task graphs: this machine, or a fleet (C1.3).
///
/// Backends differ in scale, not in meaning (C2.6): given the same graph, context and capabilities, every
/// implementation takes the same stages in the same order (C6.1).
///
/// # Invariants
///
/// Implementations uphold these:
///
/// - The graph is read, never changed (C3.2, C5.5). [`CheckedGraph`] has no method that could.
/// - What is spent stays within the declared budget (C2.2, C7.1).
/// - Every task has a telemetry record, whatever the outcome (C2.5, C8.1).
/// - No model output leaves without passing its schema (C2.4, C11.1).
///
/// # Implementing
///
/// Every method is required: a default body would be semantics that no backend chose.
#[async_trait]
pub trait ExecutionBackend: Debug + Send + Sync + 'static {
    /// Runs `graph` to an outcome (C3.1).
    ///
    /// A task that fails makes an [`ExecutionResult`] with a failure and the telemetry of every task. It is not an
    /// `Err`.
    ///
    /// # Errors
    ///
    /// Returns a [`Refusal`] if nothing ran: the interface versions are incompatible (C10.3), or the graph needs
    /// more than [`Self::capability_descriptor`] offers (C3.7).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future starts no further task and stops what is in flight. Spent budget stays spent, and no
    /// result is returned.
    async fn execute_taskgraph(
        &self,
        graph: &CheckedGraph,
        context: &ExecutionContext,
    ) -> Result<ExecutionResult, Refusal>;

    /// Reports whether a run would be accepted now (C3.5).
    async fn health_check(&self) -> BackendStatus;

    /// Describes what this backend can run (C3.6).
    ///
    /// The value is a snapshot: equal snapshots promise equal stages (C6.1).
    fn capability_descriptor(&self) -> BackendCapabilities;
}
