//! The local backend itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use backend_api::{
    BackendCapabilities, BackendMode, BackendStatus, ExecutionBackend, ExecutionContext, ExecutionMetadata,
    ExecutionResult, ExecutionStatus, Extension, InterfaceVersion, ModelCapability, Refusal, RunObserver,
    StreamingExecution,
};
use kora_ir::{CheckedGraph, TaskType};

use crate::driver::{self, End};
use crate::plan::{self, Plan};
use crate::{LocalConfig, TaskNote, health};

/// Runs task graphs on this machine (C1.1), within their budgets (C4.3), and reports all of it (C4.5).
#[derive(Clone, Debug)]
pub struct LocalBackend {
    config: Arc<LocalConfig>,
    active_runs: Arc<AtomicU64>,
}

impl LocalBackend {
    /// A backend with these operations, models and bounds.
    pub fn new(config: LocalConfig) -> Self {
        let config = LocalConfig { max_concurrency: config.max_concurrency.max(1), ..config };
        Self { config: Arc::new(config), active_runs: Arc::default() }
    }

    /// Whether the graph is within the capabilities, without running anything (C3.7).
    ///
    /// # Errors
    ///
    /// [`Refusal::BeyondCapabilities`] lists everything that is missing.
    pub fn admit(&self, graph: &CheckedGraph) -> Result<(), Refusal> {
        Plan::new(graph, &self.config).map(drop).map_err(Refusal::BeyondCapabilities)
    }

    /// What the graph's schemas leave open for the models that would answer, in canonical order of the tasks: what
    /// decoding cannot be held to, and what nothing but the token cap would end. A task that would be refused has none.
    pub fn notes(&self, graph: &CheckedGraph) -> Vec<TaskNote> {
        plan::notes(graph, &self.config)
    }

    async fn execute(
        &self,
        graph: &CheckedGraph,
        context: &ExecutionContext,
        observer: Option<Arc<dyn RunObserver>>,
    ) -> Result<ExecutionResult, Refusal> {
        context.interface_version.negotiate()?;
        match context.backend_mode {
            BackendMode::Local => {}
            asked @ BackendMode::Krako => {
                return Err(Refusal::WrongBackend { asked, this: BackendMode::Local });
            }
        }
        let _active = Active::enter(&self.active_runs);
        let end = driver::drive(graph.clone(), Arc::clone(&self.config), observer).await;
        let (outcome, duration_ms) = match end {
            End::Refused(unmet) => return Err(Refusal::BeyondCapabilities(unmet)),
            End::Done(outcome, duration_ms) => (*outcome, duration_ms),
        };
        Ok(ExecutionResult {
            status: if outcome.failure.is_none() {
                ExecutionStatus::Success
            } else {
                ExecutionStatus::Failed
            },
            final_output: outcome.final_output,
            failure: outcome.failure,
            telemetry_bundle: outcome.telemetry_bundle,
            execution_metadata: ExecutionMetadata {
                run_id: context.run_id.clone(),
                trace_id: context.trace_id.clone(),
                backend: BackendMode::Local,
                backend_version: VERSION.into(),
                interface_version: InterfaceVersion::CURRENT,
                graph_id: graph.graph_id().into(),
                graph_digest: *graph.digest(),
                semantic_digest: outcome.semantic_digest,
                duration_ms,
            },
        })
    }
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Default for LocalBackend {
    /// The backend of [`LocalConfig::default`].
    fn default() -> Self {
        Self::new(LocalConfig::default())
    }
}

#[async_trait]
impl ExecutionBackend for LocalBackend {
    async fn execute_taskgraph(
        &self,
        graph: &CheckedGraph,
        context: &ExecutionContext,
    ) -> Result<ExecutionResult, Refusal> {
        self.execute(graph, context, None).await
    }

    async fn health_check(&self) -> BackendStatus {
        health::check(&self.config, self.active_runs.load(Ordering::Relaxed), VERSION).await
    }

    /// Models that every task would be refused for are not offered; [`health_check`](ExecutionBackend::health_check)
    /// says what they lack and how to mend it.
    fn capability_descriptor(&self) -> BackendCapabilities {
        let offered = self.config.models.offered().map(|(adapter, model)| ModelCapability {
            model_id: model.id.to_string(),
            tier: model.tier.clone(),
            adapter: adapter.name.clone(),
            context_tokens: model.context_tokens,
            parameters: model.parameters,
        });
        let models: Vec<_> = offered.collect();
        let mut supported_task_types = vec![TaskType::Deterministic];
        if !models.is_empty() {
            supported_task_types.push(TaskType::Model);
        }
        supported_task_types.push(TaskType::Aggregation);
        BackendCapabilities {
            max_model_size: models.iter().filter_map(|model| model.parameters).max(),
            max_concurrency: self.config.max_concurrency,
            supported_task_types,
            supported_context_window: models.iter().filter_map(|model| model.context_tokens).max(),
            distributed: false,
            models,
            operations: self.config.operations.names().map(str::to_owned).collect(),
            extensions: vec![Extension::Streaming],
        }
    }
}

#[async_trait]
impl StreamingExecution for LocalBackend {
    async fn execute_streaming(
        &self,
        graph: &CheckedGraph,
        context: &ExecutionContext,
        observer: Arc<dyn RunObserver>,
    ) -> Result<ExecutionResult, Refusal> {
        self.execute(graph, context, Some(observer)).await
    }
}

/// Counts a run for as long as it is under way, however it ends.
struct Active<'a>(&'a AtomicU64);

impl<'a> Active<'a> {
    fn enter(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
