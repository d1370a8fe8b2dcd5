//! Runs every session through the engine, gives work to nodes, and answers for what came of it (decision 0020).
//!
//! One task owns each session and is the only one that writes its events. What it finds is durable before anybody is told and
//! before any work of it is given to a node, so whatever ends this process ends it between two facts: what the log shows is
//! taken up again, and means what it would have meant (C2.6, C6.1).

mod answers;
mod desk;
mod index;
mod load;
mod names;
mod nodes;
mod offer;
mod open;
mod order;
mod pool;
mod post;
mod remembered;
mod round;
mod session;
mod turns;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use krako_contract::{Event, SessionId, SessionReport, TenantId};
use tokio::task::JoinSet;

use self::desk::Desk;
use self::index::Index;
pub use self::load::Load;
pub use self::open::NotOpened;
use self::post::Stage;
use crate::ledger::Ledger;
use crate::log::EventLog;
use crate::{
    Claim, Heartbeat, HeartbeatAnswer, NodeDesk, NodeError, OrchestratorConfig, OrderReport, WallClock,
    WorkOrder,
};

/// The fabric's middle: [`Sessions`](crate::Sessions) for whoever submits, [`NodeDesk`] for whoever works.
///
/// Dropping it is the end of its work at once, as a crash is. [`drain`](Self::drain) first.
#[derive(Debug)]
pub struct Orchestrator {
    inner: Arc<Inner>,
    tasks: Mutex<JoinSet<()>>,
}

/// What sessions and callers share.
#[derive(Debug)]
struct Inner {
    config: Arc<OrchestratorConfig>,
    desk: Desk,
    log: EventLog,
    clock: Arc<dyn WallClock>,
    index: Mutex<Index>,
    ledger: Mutex<Ledger>,
}

impl Inner {
    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A submission that could not be made durable was never there.
    fn not_accepted(&self, session: &SessionId) {
        self.index().forget(session);
    }

    /// A session has ended, durably.
    fn ended(&self, session: &SessionId, report: &SessionReport) {
        self.index().end(session, report.clone());
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Events are durable: what they bill is billed.
    fn account(&self, tenant: &TenantId, events: &[Event]) {
        let mut ledger = self.ledger();
        for event in events {
            // They are told in order, so there is no gap; and a gap would be mended by the next opening of the log.
            let _ = ledger.take(tenant, event);
        }
    }
}

impl Orchestrator {
    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks();
        // Those that ended are forgotten, so that there are never more than run.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Takes no new session and waits until those under way have ended, at most `limit`. Then it stops: what has not ended
    /// goes on when the log is opened again.
    ///
    /// Returns how many had not ended.
    pub async fn drain(&self, limit: Duration) -> usize {
        self.inner.index().draining = true;
        let all = async {
            let open = self.inner.index().all_open();
            for post in open {
                // Whoever is gone has ended as well.
                let _ = post.seen.subscribe().wait_for(|seen| seen.has_stopped()).await;
            }
        };
        let _ = tokio::time::timeout(limit, all).await;
        let left = self.inner.index().open();
        self.inner.desk.close();
        // Ended and gone: nothing holds the log any more, so that it can be opened again.
        let mut tasks = std::mem::take(&mut *self.tasks());
        tasks.shutdown().await;
        for post in self.inner.index().all_open() {
            let why =
                String::from("the orchestrator was shut down; the session goes on when it is opened again");
            post.seen.send_modify(|seen| seen.stage = Stage::Stuck { why, is_bug: false });
        }
        self.inner.log.close().await;
        left
    }
}

#[async_trait]
impl NodeDesk for Orchestrator {
    async fn claim(&self, claim: Claim) -> Result<Vec<WorkOrder>, NodeError> {
        self.inner.desk.claim(claim).await
    }

    async fn heartbeat(&self, heartbeat: Heartbeat) -> Result<HeartbeatAnswer, NodeError> {
        self.inner.desk.heartbeat(heartbeat)
    }

    async fn report(&self, report: OrderReport) -> Result<(), NodeError> {
        self.inner.desk.report(report).await
    }
}
