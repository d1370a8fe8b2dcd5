//! What everything in one run has in common.

use std::sync::Arc;
use std::time::Duration;

use kora_ir::CheckedGraph;
use operations::OperationLimits;
use tokio::time::Instant;

use super::budget::Caps;
use super::failure::{Breach, Failure};
use super::memory::Memory;
use super::record::millis;
use super::{Behaviour, Defect, Quirk};
use crate::model::ModelClient;

/// The graph, its caps, the model, the clock.
#[derive(Debug)]
pub(super) struct World {
    pub(super) does: Behaviour,
    pub(super) graph: CheckedGraph,
    pub(super) caps: Caps,
    pub(super) client: ModelClient,
    pub(super) limits: OperationLimits,
    pub(super) started: Instant,
    pub(super) memory: Arc<Memory>,
}

impl World {
    pub(super) fn has(&self, defect: Defect) -> bool {
        self.does.has(defect)
    }

    pub(super) fn is(&self, quirk: Quirk) -> bool {
        self.does.is(quirk)
    }

    /// The failure of a task that reached a cap.
    pub(super) fn breach(&self, task: &str, breach: Breach) -> Failure {
        Failure::breach(self.does, task, breach)
    }

    /// What the run may still take; without a `max_latency_ms`, longer than anything.
    pub(super) fn time_left(&self) -> Duration {
        match self.caps.latency_ms {
            Some(max) => Duration::from_millis(max).saturating_sub(self.started.elapsed()),
            None => Duration::MAX,
        }
    }

    /// The run's time as a breach, once it is over (C7.5).
    pub(super) fn late(&self) -> Option<Breach> {
        let declared = self.caps.latency_ms?;
        let used = millis(self.started.elapsed());
        (used >= declared).then_some(Breach { cap: "graph.max_latency_ms", declared, used })
    }
}
