//! The suite's own backends: one that is plainly right, and what becomes of it with one defect or one oddity.
//!
//! [`Plain`] is as naive as can be: it runs one task after the other in canonical order, and shares no code with the
//! engine behind the other backends. Where the two disagree, one of them is wrong, which is how the suite's own
//! judgement is checked (C2.6). It speaks documents, because lies do not fit into the contract's types.

mod admission;
mod attempt;
mod budget;
mod failure;
mod json;
mod offer;
mod record;
mod run;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use backend_server::{Answer, ExecuteRequest, RefusalDocument, Service};
use kora_ir::CheckedGraph;
use serde_json::{Value, json};
use tokio::time::Instant;

use self::admission::Context;
use self::offer::Offer;
use self::record::millis;
use self::run::{Outcome, Run};
use self::world::World;
use crate::model::{ModelClient, ModelEndpoint};

/// A whole backend in a few hundred lines: the suite's second opinion.
#[derive(Debug)]
pub struct Plain {
    client: ModelClient,
    offer: Offer,
    active_runs: AtomicU64,
}

impl Plain {
    /// A backend whose model tasks are answered at `endpoint`.
    pub fn new(endpoint: &ModelEndpoint) -> Self {
        let offer = Offer::default();
        Self { client: ModelClient::of(endpoint), offer, active_runs: AtomicU64::new(0) }
    }

    async fn run(&self, request: ExecuteRequest) -> Result<Value, RefusalDocument> {
        let context = admission::context(&request.execution_context)?;
        let graph = admission::graph(request.taskgraph.get())?;
        let doers = self.offer.doers(&graph)?;
        let started = Instant::now();
        let _active = Active::enter(&self.active_runs);
        let limits = self.offer.operations.limits().clone();
        let world = Arc::new(World { graph: graph.clone(), client: self.client.clone(), limits, started });
        let outcome = Run::new(world, doers).one_by_one().await;
        Ok(result(&graph, &context, &outcome, started))
    }
}

/// The `ExecutionResult` document.
fn result(graph: &CheckedGraph, context: &Context, outcome: &Outcome, started: Instant) -> Value {
    let total = started.elapsed();
    let mut result = json!({
        "status": if outcome.failure.is_none() { "success" } else { "failed" },
        "final_output": outcome.final_output,
        "telemetry_bundle": record::bundle(&outcome.records, total),
        "execution_metadata": {
            "run_id": context.run_id,
            "trace_id": context.trace_id,
            "backend": "local",
            "backend_version": VERSION,
            "interface_version": "1.0.0",
            "graph_id": graph.graph_id(),
            "graph_digest": graph.digest(),
            "duration_ms": millis(total),
        },
    });
    if let Some(failure) = &outcome.failure {
        result["failure"] = failure.document();
    }
    result
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[async_trait]
impl Service for Plain {
    async fn execute_taskgraph(&self, request: ExecuteRequest) -> Answer {
        match self.run(request).await {
            Ok(result) => Answer::Result(result),
            Err(refusal) => Answer::Refused(refusal),
        }
    }

    async fn health_check(&self) -> Value {
        json!({
            "status": "healthy",
            "capacity_summary": {
                "active_runs": self.active_runs.load(Ordering::Relaxed),
                "max_concurrency": self.offer.max_concurrency,
            },
            "backend_version": VERSION,
        })
    }

    fn capability_descriptor(&self) -> Value {
        self.offer.descriptor()
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
