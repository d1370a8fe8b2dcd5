//! The life of a node: it claims, says that it is alive, and reports, until it is told to stop.

use std::fmt::Debug;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use krako_contract::{NodeId, WorkUnitKind};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::held::{Held, Progress};
use super::reporting::report;
use crate::{Claim, Heartbeat, LeaseId, NodeConfig, NodeDesk, NodeError, Offer, OrderReport, WorkOrder};

/// What a node of one pool can do.
#[async_trait]
pub(super) trait Hands: Debug + Send + Sync + 'static {
    fn pool(&self) -> WorkUnitKind;

    fn offer(&self) -> Offer;

    /// Runs an order to its end. `stopped` says when nobody wants it any more. Never panics on what an order says.
    async fn run(
        &self,
        node_id: &NodeId,
        order: WorkOrder,
        progress: Arc<Progress>,
        stopped: watch::Receiver<bool>,
    ) -> OrderReport;
}

/// A claim that waits.
type Claiming<'n> = Pin<Box<dyn Future<Output = Result<Vec<WorkOrder>, NodeError>> + Send + 'n>>;

/// A node of either pool.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) desk: Arc<dyn NodeDesk>,
    pub(super) hands: Arc<dyn Hands>,
    pub(super) slots: u32,
    pub(super) config: NodeConfig,
}

impl Node {
    /// Works until `stop` resolves and what is held is reported, or its time is over.
    pub(super) async fn run(self, stop: impl Future<Output = ()> + Send) -> Result<(), NodeError> {
        let held = Held::default();
        let (alive, period) = (held.clone(), watch::Sender::new(self.config.heartbeat));
        let beats = self.heartbeats(&alive, period.subscribe());
        tokio::select! {
            biased;
            ended = self.work(stop, &held, &period) => ended,
            () = beats => Ok(()),
        }
    }

    async fn work(
        &self,
        stop: impl Future<Output = ()> + Send,
        held: &Held,
        period: &watch::Sender<Duration>,
    ) -> Result<(), NodeError> {
        let mut stop = pin!(stop);
        let mut orders: JoinSet<(LeaseId, OrderReport)> = JoinSet::new();
        // What is done waits for the orchestrator's disk, and not in a slot.
        let mut reports: JoinSet<()> = JoinSet::new();
        let mut claim: Option<Claiming<'_>> = None;
        let mut wait = Duration::ZERO;
        loop {
            let free = self.slots.saturating_sub(u32::try_from(orders.len()).unwrap_or(u32::MAX));
            if claim.is_none() && free > 0 && reports.len() <= self.config.max_unheard {
                claim = Some(Box::pin(self.claim(free, wait)));
            }
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(done) = orders.join_next(), if !orders.is_empty() => self.tell(done, held, &mut reports),
                Some(heard) = reports.join_next(), if !reports.is_empty() => drop(heard),
                claimed = next(&mut claim), if claim.is_some() => {
                    claim = None;
                    match claimed {
                        Ok(claimed) => {
                            wait = Duration::ZERO;
                            // Whoever gives more than was asked for gets no more done for it.
                            for order in claimed.into_iter().take(free as usize) {
                                self.take(order, held, period, &mut orders);
                            }
                        }
                        Err(NodeError::Refused(why)) => return Err(NodeError::Refused(why)),
                        Err(NodeError::LeaseOver | NodeError::Unavailable(_)) => {
                            wait = wait.saturating_mul(2).clamp(self.config.retry, self.config.max_retry);
                        }
                    }
                }
            }
        }
        drop(claim);
        let mut all = async || {
            while let Some(done) = orders.join_next().await {
                self.tell(done, held, &mut reports);
            }
            while reports.join_next().await.is_some() {}
        };
        if tokio::time::timeout(self.config.drain, all()).await.is_err() {
            held.stop_all();
            let _ = tokio::time::timeout(self.config.drain, all()).await;
        }
        Ok(())
    }

    /// Reports what is done, until it is heard.
    fn tell(&self, done: Result<(LeaseId, OrderReport), JoinError>, held: &Held, reports: &mut JoinSet<()>) {
        // Hands do not panic; an order that was lost is given again when its lease is over.
        let Ok((lease, done)) = done else { return };
        let (desk, config, held) = (Arc::clone(&self.desk), self.config.clone(), held.clone());
        reports.spawn(async move {
            report(&*desk, done, &config).await;
            held.leave(&lease);
        });
    }

    async fn claim(&self, slots: u32, wait: Duration) -> Result<Vec<WorkOrder>, NodeError> {
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let claim = Claim {
            node_id: self.id.clone(),
            pool: self.hands.pool(),
            offer: self.hands.offer(),
            slots,
            works_at: self.slots.saturating_sub(slots),
            wait_ms: u64::try_from(self.config.claim_wait.as_millis()).unwrap_or(u64::MAX),
        };
        self.desk.claim(claim).await
    }

    fn take(
        &self,
        order: WorkOrder,
        held: &Held,
        period: &watch::Sender<Duration>,
        orders: &mut JoinSet<(LeaseId, OrderReport)>,
    ) {
        let third = Duration::from_millis((order.lease_ms / 3).max(1));
        period.send_if_modified(|period| {
            let sooner = third < *period;
            *period = third.min(*period);
            sooner
        });
        let (lease, progress) = (order.lease.clone(), Arc::new(Progress::default()));
        let stopped = held.take(lease.clone(), Arc::clone(&progress));
        let (hands, id) = (Arc::clone(&self.hands), self.id.clone());
        orders.spawn(async move {
            let done = hands.run(&id, order, progress, stopped).await;
            (lease, done)
        });
    }

    /// Says that the node is alive for as long as this is polled.
    async fn heartbeats(&self, held: &Held, mut period: watch::Receiver<Duration>) {
        let mut last = Instant::now();
        loop {
            let next = last + *period.borrow_and_update();
            tokio::select! {
                biased;
                changed = period.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
                () = tokio::time::sleep_until(next) => {}
            }
            last = Instant::now();
            let leases = held.progress();
            if leases.is_empty() {
                continue;
            }
            // What was not heard is said again, in time as long as it is not missed three times.
            if let Ok(answer) = self.desk.heartbeat(Heartbeat { node_id: self.id.clone(), leases }).await {
                answer.stop.iter().for_each(|lease| held.stop(lease));
            }
        }
    }
}

/// The claim that is under way.
async fn next<F: Future + Unpin>(claim: &mut Option<F>) -> F::Output {
    match claim {
        Some(claim) => claim.await,
        None => std::future::pending().await,
    }
}
