//! What a node was told of its reports: an attempt is reported once, whoever reports it (C11.1).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use krako_contract::{SessionId, WorkUnitId};
use krako_fabric::{
    Claim, Heartbeat, HeartbeatAnswer, LeaseId, NodeDesk, NodeError, OrderOutcome, OrderReport, WorkOrder,
};

/// One attempt of a session.
pub(crate) type Attempt = (SessionId, WorkUnitId, u32);

/// By attempt, the claims whose reports were accepted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accepted {
    pub(crate) reports: Arc<Mutex<BTreeMap<Attempt, BTreeSet<LeaseId>>>>,
    given: Arc<Mutex<BTreeMap<Attempt, usize>>>,
}

impl Accepted {
    /// How often work was given that had been given before.
    pub(crate) fn given_again(&self) -> usize {
        self.given.lock().unwrap().values().map(|times| times - 1).sum()
    }
}

/// Notes what the desk behind it accepts.
#[derive(Debug)]
pub(crate) struct WatchedDesk<D> {
    desk: D,
    given: Mutex<BTreeMap<LeaseId, Attempt>>,
    accepted: Accepted,
}

impl<D> WatchedDesk<D> {
    pub(crate) fn new(desk: D, accepted: Accepted) -> Self {
        Self { desk, given: Mutex::default(), accepted }
    }
}

/// What an order is an attempt of.
pub(crate) fn attempt(order: &WorkOrder) -> Attempt {
    (order.execution_session_id.clone(), order.work_unit_id.clone(), order.attempt_index)
}

#[async_trait]
impl<D: NodeDesk> NodeDesk for WatchedDesk<D> {
    async fn claim(&self, claim: Claim) -> Result<Vec<WorkOrder>, NodeError> {
        let orders = self.desk.claim(claim).await?;
        for order in &orders {
            *self.accepted.given.lock().unwrap().entry(attempt(order)).or_default() += 1;
        }
        self.given.lock().unwrap().extend(orders.iter().map(|order| (order.lease.clone(), attempt(order))));
        Ok(orders)
    }

    async fn heartbeat(&self, heartbeat: Heartbeat) -> Result<HeartbeatAnswer, NodeError> {
        self.desk.heartbeat(heartbeat).await
    }

    async fn report(&self, report: OrderReport) -> Result<(), NodeError> {
        let lease = report.lease.clone();
        let gives_back = report.outcome == OrderOutcome::Cancelled;
        self.desk.report(report).await?;
        let attempt = self.given.lock().unwrap().get(&lease).cloned();
        // Work that was given back is given to another.
        if let Some(attempt) = attempt.filter(|_| !gives_back) {
            self.accepted.reports.lock().unwrap().entry(attempt).or_default().insert(lease);
        }
        Ok(())
    }
}
