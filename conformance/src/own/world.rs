//! What everything in one run has in common.

use std::time::Duration;

use kora_ir::CheckedGraph;
use operations::OperationLimits;
use tokio::time::Instant;

use super::failure::Breach;
use super::record::millis;
use crate::model::ModelClient;

/// The graph, the model, the clock.
#[derive(Debug)]
pub(super) struct World {
    pub(super) graph: CheckedGraph,
    pub(super) client: ModelClient,
    pub(super) limits: OperationLimits,
    pub(super) started: Instant,
}

impl World {
    /// What the run may still take; without a `max_latency_ms`, longer than anything.
    pub(super) fn time_left(&self) -> Duration {
        match self.graph.budgets().max_latency_ms() {
            Some(max) => Duration::from_millis(max).saturating_sub(self.started.elapsed()),
            None => Duration::MAX,
        }
    }

    /// The run's time as a breach, once it is over (C7.5).
    pub(super) fn late(&self) -> Option<Breach> {
        let declared = self.graph.budgets().max_latency_ms()?;
        let used = millis(self.started.elapsed());
        (used >= declared).then_some(Breach { cap: "graph.max_latency_ms", declared, used })
    }
}
