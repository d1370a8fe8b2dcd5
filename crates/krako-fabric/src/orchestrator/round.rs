//! What one look at everything made of a session: to be written, then to be answered and given.

use std::time::Duration;

use kora_ir::TaskIndex;
use krako_contract::Event;
use tokio::sync::watch;
use tokio::time::Instant;

/// What is to be settled together.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// Events, one batch for each fact.
    pub(super) batches: Vec<Vec<Event>>,
    /// Who waits for the reports that are in it.
    pub(super) done: Vec<(TaskIndex, watch::Sender<Option<bool>>)>,
    /// What may be given to nodes then.
    pub(super) orders: Vec<TaskIndex>,
    /// How many of the batches only say who has an order, and since when the first of those waits.
    claims: usize,
    claimed: Option<Instant>,
}

impl Round {
    pub(super) fn add(&mut self, batch: Vec<Event>) {
        if !batch.is_empty() {
            self.batches.push(batch);
        }
    }

    /// Adds who has an order. That alone is not worth a write of its own, if something else comes soon.
    pub(super) fn add_claim(&mut self, batch: Vec<Event>) {
        if !batch.is_empty() {
            self.batches.push(batch);
            self.claims += 1;
            self.claimed.get_or_insert_with(Instant::now);
        }
    }

    /// Until when it may wait to be settled. Only claims may: nobody waits for them, and nothing follows from them.
    pub(super) fn may_wait(&self, linger: Duration) -> Option<Instant> {
        let only_claims = self.claims == self.batches.len() && self.done.is_empty() && self.orders.is_empty();
        self.claimed.filter(|_| only_claims).and_then(|claimed| claimed.checked_add(linger))
    }
}
