//! Who works for the fabric, what waits for them, and what they have: one lock, held for moments.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kora_ir::TaskIndex;
use krako_contract::{NodeId, SessionId, TenantId, WorkUnitKind};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::nodes::{Nodes, Offered};
use super::order::{Lease, Order};
use super::pool::Pool;
use super::post::Note;
use crate::{
    Claim, Heartbeat, HeartbeatAnswer, LeaseId, NodeError, OrchestratorConfig, OrderOutcome, OrderReport,
    WorkOrder,
};

/// The most that a count on the wire may be: beyond it JSON numbers lose their last digits.
const MAX_COUNT: u64 = (1 << 53) - 1;

/// Pools, nodes and leases.
#[derive(Debug)]
pub(super) struct Desk {
    config: Arc<OrchestratorConfig>,
    epoch: u64,
    state: Mutex<State>,
    /// Wakes claims that wait.
    cpu_work: Notify,
    pod_work: Notify,
}

#[derive(Debug)]
struct State {
    nodes: Nodes,
    cpu: Pool,
    pod: Pool,
    leases: BTreeMap<LeaseId, Lease>,
    /// Which lease an attempt has.
    leased: BTreeMap<(SessionId, TaskIndex), LeaseId>,
    next_lease: u64,
    closed: bool,
}

impl State {
    fn pool(&mut self, kind: WorkUnitKind) -> &mut Pool {
        match kind {
            WorkUnitKind::Cpu => &mut self.cpu,
            WorkUnitKind::LlmPod => &mut self.pod,
        }
    }

    fn end(&mut self, lease: &LeaseId) -> Option<Lease> {
        let ended = self.leases.remove(lease)?;
        self.leased.remove(&(ended.order.session.clone(), ended.order.task));
        self.nodes.left(&ended.node);
        Some(ended)
    }
}

/// What became of an order that is not wanted any more.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Withdrawn {
    /// No node has it: nothing more will be told of it. It may have spent this long.
    Free { elapsed_us: u64 },
    /// A node has it, and will say what it spent.
    AtWork,
}

impl Desk {
    pub(super) fn new(config: Arc<OrchestratorConfig>, epoch: u64) -> Self {
        let state = State {
            nodes: Nodes::new(Arc::clone(&config)),
            cpu: Pool::default(),
            pod: Pool::default(),
            leases: BTreeMap::new(),
            leased: BTreeMap::new(),
            next_lease: 1,
            closed: false,
        };
        Self { config, epoch, state: Mutex::new(state), cpu_work: Notify::new(), pod_work: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, kind: WorkUnitKind) -> &Notify {
        match kind {
            WorkUnitKind::Cpu => &self.cpu_work,
            WorkUnitKind::LlmPod => &self.pod_work,
        }
    }

    /// What the nodes offer together.
    pub(super) fn offered(&self) -> Arc<Offered> {
        self.lock().nodes.offered()
    }

    /// Orders that nodes have, and orders that wait for one.
    pub(super) fn counts(&self) -> (usize, usize) {
        let mut state = self.lock();
        let queued = state.cpu.count() + state.pod.count();
        (state.leases.len(), queued)
    }

    /// Gives nothing any more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.cpu_work.notify_waiters();
        self.pod_work.notify_waiters();
    }

    /// Lets an order be claimed.
    pub(super) fn offer(&self, order: Order) {
        let kind = order.body.pool();
        self.lock().pool(kind).put(Arc::new(order));
        self.work(kind).notify_waiters();
    }

    /// Takes back an order that nobody wants any more. A model is asked what it spent; of an operation there is nothing to
    /// be asked.
    pub(super) fn withdraw(&self, tenant: &TenantId, session: &SessionId, task: TaskIndex) -> Withdrawn {
        let mut state = self.lock();
        for kind in [WorkUnitKind::Cpu, WorkUnitKind::LlmPod] {
            if state.pool(kind).withdraw(tenant, session, task).is_some() {
                return Withdrawn::Free { elapsed_us: 0 };
            }
        }
        let Some(id) = state.leased.get(&(session.clone(), task)).cloned() else {
            return Withdrawn::Free { elapsed_us: 0 };
        };
        let soon = Instant::now() + self.config.stop_grace;
        let Some(lease) = state.leases.get_mut(&id) else { return Withdrawn::Free { elapsed_us: 0 } };
        if lease.reported.is_some() {
            return Withdrawn::AtWork;
        }
        if lease.order.body.pool() == WorkUnitKind::Cpu {
            let elapsed_us = state.end(&id).map_or(0, |lease| lease.elapsed_us);
            return Withdrawn::Free { elapsed_us };
        }
        lease.unwanted = true;
        lease.at_most_until = lease.at_most_until.min(soon);
        Withdrawn::AtWork
    }

    /// Forgets everything of a session that goes no further.
    pub(super) fn forget(&self, tenant: &TenantId, session: &SessionId) {
        let mut state = self.lock();
        state.cpu.forget(tenant, session);
        state.pod.forget(tenant, session);
        let of_session: Vec<LeaseId> = state
            .leases
            .iter()
            .filter(|(_, lease)| lease.order.session == *session)
            .map(|(id, _)| id.clone())
            .collect();
        for id in of_session {
            state.end(&id);
        }
    }

    /// A reported lease is over: its report is durable, or never will be.
    pub(super) fn settled(&self, session: &SessionId, task: TaskIndex) {
        let mut state = self.lock();
        let Some(id) = state.leased.get(&(session.clone(), task)).cloned() else { return };
        let Some(ended) = state.end(&id) else { return };
        // A claim of a node that had no room waits for this.
        if state.nodes.room(&ended.node).is_some_and(|(_, room)| room == 1) {
            self.work(ended.order.body.pool()).notify_waiters();
        }
    }

    pub(super) async fn claim(&self, claim: Claim) -> Result<Vec<WorkOrder>, NodeError> {
        let wait = Duration::from_millis(claim.wait_ms).min(self.config.max_claim_wait);
        let deadline = Instant::now() + wait;
        let waits = self.waits(&claim)?;
        loop {
            let mut told = std::pin::pin!(self.work(claim.pool).notified());
            // From here on nothing that is offered is missed.
            told.as_mut().enable();
            let orders = self.give(&claim)?;
            if !orders.is_empty() {
                return Ok(orders);
            }
            tokio::select! {
                biased;
                () = told => {}
                () = tokio::time::sleep_until(deadline) => {
                    drop(waits);
                    return self.give(&claim);
                }
            }
        }
    }

    /// Notes who asks, who is there for as long as it waits.
    fn waits(&self, claim: &Claim) -> Result<Waits<'_>, NodeError> {
        if claim.slots == 0 {
            return Err(NodeError::Refused(String::from("`slots` is 0; ask for one order at least")));
        }
        self.lock().nodes.claims(claim, Instant::now())?;
        Ok(Waits { desk: self, node: claim.node_id.clone() })
    }

    fn give(&self, claim: &Claim) -> Result<Vec<WorkOrder>, NodeError> {
        let mut state = self.lock();
        if state.closed {
            return Err(NodeError::Unavailable(String::from("the orchestrator is being shut down")));
        }
        let now = Instant::now();
        let Some((offers, room)) = state.nodes.room(&claim.node_id) else {
            return Err(NodeError::Unavailable(String::from(
                "the node was not heard of for long; claim again",
            )));
        };
        let mut orders = Vec::new();
        for _ in 0..claim.slots.min(room) {
            let Some(order) = state.pool(claim.pool).take(&offers) else { break };
            let id = LeaseId(format!("{}.{}", self.epoch, state.next_lease));
            state.next_lease += 1;
            let lease_ms = u64::try_from(self.config.lease.as_millis()).unwrap_or(u64::MAX);
            orders.push(order.leased(id.clone(), lease_ms));
            let preparation = match claim.pool {
                WorkUnitKind::Cpu => Duration::ZERO,
                WorkUnitKind::LlmPod => self.config.max_preparation,
            };
            let most = Duration::from_micros(order.time_left_us)
                .saturating_add(preparation)
                .saturating_add(self.config.grace)
                .saturating_add(self.config.lease);
            order.post.tell(Note::Claimed {
                task: order.task,
                attempt: order.attempt,
                node: claim.node_id.clone(),
            });
            state.leased.insert((order.session.clone(), order.task), id.clone());
            state.nodes.took(&claim.node_id);
            let lease = Lease {
                node: claim.node_id.clone(),
                since: now,
                until: now + self.config.lease,
                at_most_until: now.checked_add(most).unwrap_or(now + self.config.max_queued),
                tokens_out: 0,
                elapsed_us: 0,
                unwanted: false,
                reported: None,
                order,
            };
            state.leases.insert(id, lease);
        }
        Ok(orders)
    }

    pub(super) fn heartbeat(&self, heartbeat: Heartbeat) -> Result<HeartbeatAnswer, NodeError> {
        let most = self.config.max_orders_per_node as usize;
        if heartbeat.leases.len() > most {
            let told = heartbeat.leases.len();
            return Err(NodeError::Refused(format!("{told} leases, and a node holds {most} at most")));
        }
        let now = Instant::now();
        let mut state = self.lock();
        state.nodes.heard(&heartbeat.node_id, now);
        let mut stop = Vec::new();
        for told in heartbeat.leases {
            let known = state.leases.get_mut(&told.lease).filter(|lease| lease.node == heartbeat.node_id);
            let Some(lease) = known else {
                stop.push(told.lease);
                continue;
            };
            lease.until = now + self.config.lease;
            // Nothing that was told once is taken back, and nobody has worked for longer than the claim is old.
            let age = micros(now.saturating_duration_since(lease.since));
            lease.elapsed_us = lease.elapsed_us.max(told.elapsed_us.min(age));
            if lease.order.body.pool() == WorkUnitKind::LlmPod {
                lease.tokens_out = lease.tokens_out.max(told.tokens_out.min(MAX_COUNT));
            }
            if lease.unwanted {
                stop.push(told.lease);
            }
        }
        Ok(HeartbeatAnswer { stop })
    }

    pub(super) async fn report(&self, report: OrderReport) -> Result<(), NodeError> {
        let mut done = self.take_report(report)?;
        let heard = tokio::time::timeout(self.config.max_wait, done.wait_for(Option::is_some)).await;
        match heard {
            Ok(Ok(settled)) if *settled == Some(true) => Ok(()),
            Ok(Ok(_)) => Err(NodeError::LeaseOver),
            Ok(Err(_)) => Err(NodeError::Unavailable(String::from("the orchestrator is being shut down"))),
            Err(_) => Err(NodeError::Unavailable(String::from("the event log is not written; try again"))),
        }
    }

    fn take_report(&self, report: OrderReport) -> Result<watch::Receiver<Option<bool>>, NodeError> {
        let now = Instant::now();
        let mut state = self.lock();
        state.nodes.heard(&report.node_id, now);
        let known = state.leases.get_mut(&report.lease).filter(|lease| lease.node == report.node_id);
        let lease = known.ok_or(NodeError::LeaseOver)?;
        if let Some(reported) = &lease.reported {
            return Ok(reported.clone());
        }
        let mut report = report;
        possible(&report, lease.order.body.pool())?;
        // Nobody has worked for longer than the claim is old.
        report.elapsed_us = report.elapsed_us.min(micros(now.saturating_duration_since(lease.since)));
        if report.outcome == OrderOutcome::Cancelled && report.tokens_estimated && !lease.unwanted {
            // Given back, as by a node that is lost: what is not known of it is what its last heartbeat told.
            report.tokens_out = lease.tokens_out;
        }
        let (done, receiver) = watch::channel(None);
        lease.reported = Some(receiver.clone());
        let (task, attempt) = (lease.order.task, lease.order.attempt);
        lease.order.post.tell(Note::Reported { task, attempt, report: Box::new(report), done });
        Ok(receiver)
    }

    /// Ends what was not heard of, or takes too long.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        let mut state = self.lock();
        let over: Vec<LeaseId> = state
            .leases
            .iter()
            .filter(|(_, lease)| lease.reported.is_none())
            .filter(|(_, lease)| now >= lease.until || now >= lease.at_most_until || self.is_overdue(lease))
            .map(|(id, _)| id.clone())
            .collect();
        for id in over {
            let Some(lease) = state.end(&id) else { continue };
            let (task, attempt) = (lease.order.task, lease.order.attempt);
            let (tokens_out, elapsed_us) = (lease.tokens_out, lease.elapsed_us);
            lease.order.post.tell(if self.is_overdue(&lease) {
                Note::Overdue { task, attempt, tokens_out, elapsed_us }
            } else {
                Note::Lost { task, attempt, tokens_out, elapsed_us }
            });
        }
        if let Some(since) = now.checked_sub(self.config.max_queued) {
            for kind in [WorkUnitKind::Cpu, WorkUnitKind::LlmPod] {
                for order in state.pool(kind).stale(since) {
                    order.post.tell(Note::NotTaken { task: order.task, attempt: order.attempt });
                }
            }
        }
        state.nodes.forget_silent(now);
    }

    /// Whether the node itself says that it is beyond the time of the attempt.
    fn is_overdue(&self, lease: &Lease) -> bool {
        lease.elapsed_us > lease.order.time_left_us.saturating_add(micros(self.config.grace))
    }
}

/// What no order of a pool can have come to.
fn possible(report: &OrderReport, pool: WorkUnitKind) -> Result<(), NodeError> {
    let refused = |why: &str| Err(NodeError::Refused(why.to_owned()));
    if report.tokens_in > MAX_COUNT || report.tokens_out > MAX_COUNT {
        return refused("more tokens than any model generates; tell what was counted");
    }
    let is_cpu = pool == WorkUnitKind::Cpu;
    if is_cpu && (report.tokens_in > 0 || report.tokens_out > 0 || report.tokens_estimated) {
        return refused("work of the `cpu` pool calls no model and spends no tokens (C11.2)");
    }
    if is_cpu && report.outcome == OrderOutcome::TokensExhausted {
        return refused("work of the `cpu` pool has no tokens that could be exhausted (C11.2)");
    }
    Ok(())
}

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A claim that waits: its node is there.
struct Waits<'d> {
    desk: &'d Desk,
    node: NodeId,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.desk.lock().nodes.waits_no_more(&self.node, Instant::now());
    }
}
