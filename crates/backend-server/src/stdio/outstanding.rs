//! Requests that are under way or wait for their turn, at most as many as are allowed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use backend_api::RefusalDocument;
use tokio::sync::Semaphore;
use tokio::task::{self, AbortHandle, JoinSet};

use super::message::{self, Body};
use super::{StdioLimits, busy};
use crate::{Answer, ExecuteRequest, Service};

/// What has been asked and not yet answered.
#[derive(Debug)]
pub(super) struct Outstanding {
    limits: StdioLimits,
    // Each ends in its answer as a line.
    tasks: JoinSet<Vec<u8>>,
    // Invariant: these two hold the same requests, those of `tasks`.
    by_id: BTreeMap<u64, Kind>,
    ids: HashMap<task::Id, u64>,
    turns: Arc<Semaphore>,
    runs: usize,
    bytes: usize,
    health_checks: usize,
}

#[derive(Debug)]
enum Kind {
    Run { stop: AbortHandle, bytes: usize },
    HealthCheck { stop: AbortHandle },
}

impl Outstanding {
    pub(super) fn new(limits: StdioLimits) -> Self {
        Self {
            limits,
            tasks: JoinSet::new(),
            by_id: BTreeMap::new(),
            ids: HashMap::new(),
            turns: Arc::new(Semaphore::new(limits.max_runs.clamp(1, Semaphore::MAX_PERMITS))),
            runs: 0,
            bytes: 0,
            health_checks: 0,
        }
    }

    /// Whether request `id` is not answered yet.
    pub(super) fn has(&self, id: u64) -> bool {
        self.by_id.contains_key(&id)
    }

    /// Starts a run, or lets it wait for its turn.
    ///
    /// # Errors
    ///
    /// The answer, if there is no room to wait.
    pub(super) fn start_run(
        &mut self,
        id: u64,
        service: Arc<dyn Service>,
        request: ExecuteRequest,
    ) -> Result<(), Body> {
        let bytes = request.taskgraph.get().len();
        if self.runs >= self.limits.max_runs.saturating_add(self.limits.max_queued) {
            let message = format!("runs under way or waiting: {}; ask again when one is answered", self.runs);
            return Err(Body::Refused(busy(message)));
        }
        // One that is alone is let in whatever its size: its line was not too long.
        if self.runs > 0 && self.bytes.saturating_add(bytes) > self.limits.max_pending_bytes {
            let message = format!(
                "the graphs of the runs that are under way or wait have {} bytes; ask again when one is answered",
                self.bytes
            );
            return Err(Body::Refused(busy(message)));
        }
        let turns = Arc::clone(&self.turns);
        let stop = self.tasks.spawn(async move {
            // It is closed by nobody; if it were, there would be no bound to keep.
            let _turn = turns.acquire().await;
            let answer = service.execute_taskgraph(request).await;
            let body = match answer {
                Answer::Result(result) => Body::Ok(result),
                Answer::Refused(refusal) => Body::Refused(refusal),
            };
            message::line(Some(id), &body)
        });
        self.runs += 1;
        self.bytes += bytes;
        self.ids.insert(stop.id(), id);
        self.by_id.insert(id, Kind::Run { stop, bytes });
        Ok(())
    }

    /// Starts a health check. It waits for no run.
    ///
    /// # Errors
    ///
    /// The answer, if too many are under way.
    pub(super) fn start_health_check(&mut self, id: u64, service: Arc<dyn Service>) -> Result<(), Body> {
        if self.health_checks >= self.limits.max_health_checks.max(1) {
            let message = format!("{} health checks are under way; wait for an answer", self.health_checks);
            return Err(Body::Error { message });
        }
        let stop = self.tasks.spawn(async move {
            let status = service.health_check().await;
            message::line(Some(id), &Body::Ok(status))
        });
        self.health_checks += 1;
        self.ids.insert(stop.id(), id);
        self.by_id.insert(id, Kind::HealthCheck { stop });
        Ok(())
    }

    /// Cancels request `id`, if it is not done: its answer says which.
    pub(super) fn cancel(&mut self, id: u64) {
        match self.by_id.get(&id) {
            Some(Kind::Run { stop, .. } | Kind::HealthCheck { stop }) => stop.abort(),
            None => {}
        }
    }

    pub(super) fn cancel_all(&mut self) {
        self.tasks.abort_all();
    }

    /// Cancels everything and waits until it has stopped.
    pub(super) async fn stop(&mut self) {
        self.tasks.shutdown().await;
    }

    /// The next answer, as a line. None if nothing is under way.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no answer.
    pub(super) async fn next(&mut self) -> Option<Vec<u8>> {
        let ended = self.tasks.join_next_with_id().await?;
        let (task, line) = match ended {
            Ok((task, line)) => (task, Ok(line)),
            Err(error) => (error.id(), Err(error)),
        };
        let id = self.ids.remove(&task);
        match id.and_then(|id| self.by_id.remove(&id)) {
            Some(Kind::Run { bytes, .. }) => {
                self.runs -= 1;
                self.bytes -= bytes;
            }
            Some(Kind::HealthCheck { .. }) => self.health_checks -= 1,
            None => {}
        }
        Some(line.unwrap_or_else(|error| {
            let body = if error.is_cancelled() {
                Body::Cancelled {}
            } else {
                Body::Refused(RefusalDocument::internal("the backend panicked; this is a bug of its own"))
            };
            message::line(id, &body)
        }))
    }
}
