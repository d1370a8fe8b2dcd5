//! Which nodes are there, and what they can do together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use krako_contract::{NodeId, WorkUnitKind};
use tokio::time::Instant;

use super::offer;
pub(super) use super::offer::Offered;
use crate::{Claim, NodeError, Offer, OrchestratorConfig};

/// The nodes that were heard of lately.
#[derive(Debug)]
pub(super) struct Nodes {
    config: Arc<OrchestratorConfig>,
    known: BTreeMap<NodeId, Node>,
    offered: Arc<Offered>,
}

#[derive(Debug)]
struct Node {
    pool: WorkUnitKind,
    offer: Offer,
    /// What an order may need to be given to it.
    names: Arc<BTreeSet<String>>,
    heard: Instant,
    /// Claims of it that wait now.
    waiting: u32,
    holds: u32,
    /// The most that it asked for and worked at at one time.
    capacity: u32,
}

impl Nodes {
    pub(super) fn new(config: Arc<OrchestratorConfig>) -> Self {
        let offered = Arc::new(Offered::nothing(&config));
        Self { config, known: BTreeMap::new(), offered }
    }

    pub(super) fn offered(&self) -> Arc<Offered> {
        Arc::clone(&self.offered)
    }

    /// A node asks for work, and says what it can do.
    pub(super) fn claims(&mut self, claim: &Claim, now: Instant) -> Result<(), NodeError> {
        if let Some(node) = self.known.get_mut(&claim.node_id) {
            if node.pool != claim.pool && node.holds + node.waiting > 0 {
                let pool = node.pool;
                return Err(NodeError::Refused(format!(
                    "node `{}` works in pool `{pool}` now; a node is of one pool, so give this one another name",
                    claim.node_id
                )));
            }
            if node.pool == claim.pool && node.offer == claim.offer {
                node.heard = now;
                node.waiting += 1;
                let capacity = node.capacity.max(capacity(claim, node.holds));
                let grown = capacity != node.capacity;
                node.capacity = capacity;
                return if grown { self.offer_anew() } else { Ok(()) };
            }
        } else if self.known.len() >= self.config.max_nodes {
            return Err(NodeError::Unavailable(format!(
                "there are {} nodes, as many as may be (`max_nodes`)",
                self.known.len()
            )));
        }
        let names = offer::names(claim, self.config.max_offers)?;
        let before = self.known.remove(&claim.node_id);
        let (holds, waiting) = before.as_ref().map_or((0, 0), |node| (node.holds, node.waiting));
        let node = Node {
            pool: claim.pool,
            offer: claim.offer.clone(),
            names: Arc::new(names),
            heard: now,
            waiting: waiting + 1,
            holds,
            capacity: capacity(claim, holds),
        };
        self.known.insert(claim.node_id.clone(), node);
        self.offer_anew().inspect_err(|_| {
            // Who contradicts the others is not taken in.
            self.known.remove(&claim.node_id);
            self.known.extend(before.map(|node| (claim.node_id.clone(), node)));
        })
    }

    /// What may be given to a node, and how much of it.
    pub(super) fn room(&self, node: &NodeId) -> Option<(Arc<BTreeSet<String>>, u32)> {
        let node = self.known.get(node)?;
        Some((Arc::clone(&node.names), self.config.max_orders_per_node.saturating_sub(node.holds)))
    }

    pub(super) fn heard(&mut self, node: &NodeId, now: Instant) {
        if let Some(node) = self.known.get_mut(node) {
            node.heard = now;
        }
    }

    pub(super) fn waits_no_more(&mut self, node: &NodeId, now: Instant) {
        if let Some(node) = self.known.get_mut(node) {
            node.waiting = node.waiting.saturating_sub(1);
            node.heard = now;
        }
    }

    pub(super) fn took(&mut self, node: &NodeId) {
        if let Some(node) = self.known.get_mut(node) {
            node.holds += 1;
        }
    }

    pub(super) fn left(&mut self, node: &NodeId) {
        if let Some(node) = self.known.get_mut(node) {
            node.holds = node.holds.saturating_sub(1);
        }
    }

    /// Forgets who was not heard of for long.
    pub(super) fn forget_silent(&mut self, now: Instant) {
        let before = self.known.len();
        let silence = self.config.silence;
        self.known.retain(|_, node| {
            node.waiting > 0 || node.holds > 0 || now.saturating_duration_since(node.heard) < silence
        });
        if self.known.len() != before {
            // Fewer contradict each other no more than all of them did.
            let _ = self.offer_anew();
        }
    }

    fn offer_anew(&mut self) -> Result<(), NodeError> {
        let nodes = self.known.values().map(|node| (node.pool, &node.offer, node.capacity));
        self.offered = Arc::new(Offered::of(nodes, &self.config).map_err(NodeError::Refused)?);
        Ok(())
    }
}

/// How much a node does at one time. Nobody works at more than was given.
fn capacity(claim: &Claim, holds: u32) -> u32 {
    claim.works_at.min(holds).saturating_add(claim.slots)
}
