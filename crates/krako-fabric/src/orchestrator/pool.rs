//! Orders of one pool that wait for a node.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use kora_ir::TaskIndex;
use krako_contract::{SessionId, TenantId};
use tokio::time::Instant;

use super::order::Order;
use super::turns::{Queue, Turns};

/// Orders of one pool that wait: tenants in turn, of each what is urgent first, then its sessions in turn.
#[derive(Debug, Default)]
pub(super) struct Pool {
    tenants: Turns<TenantId, OfTenant>,
}

#[derive(Debug, Default)]
struct OfTenant {
    high: Turns<SessionId, VecDeque<Arc<Order>>>,
    normal: Turns<SessionId, VecDeque<Arc<Order>>>,
}

impl Queue for OfTenant {
    fn is_empty(&self) -> bool {
        self.high.is_empty() && self.normal.is_empty()
    }
}

impl Pool {
    pub(super) fn put(&mut self, order: Arc<Order>) {
        self.tenants.put(&order.tenant.clone(), |queues| {
            let queue = if order.high { &mut queues.high } else { &mut queues.normal };
            queue.put(&order.session.clone(), |queue| queue.push_back(order));
        });
    }

    /// The next order that a node with these offers can run.
    pub(super) fn take(&mut self, offers: &BTreeSet<String>) -> Option<Arc<Order>> {
        let fits = |queue: &mut VecDeque<Arc<Order>>| {
            let place = queue.iter().position(|order| offers.contains(order.needs()))?;
            queue.remove(place)
        };
        self.tenants.take(|queues| queues.high.take(fits).or_else(|| queues.normal.take(fits)))
    }

    /// Takes an order back. `None` if it does not wait.
    pub(super) fn withdraw(
        &mut self,
        tenant: &TenantId,
        session: &SessionId,
        task: TaskIndex,
    ) -> Option<Arc<Order>> {
        let of_task = |queue: &mut VecDeque<Arc<Order>>| {
            let place = queue.iter().position(|order| order.task == task)?;
            queue.remove(place)
        };
        self.tenants.take_of(tenant, |queues| {
            let urgent = queues.high.take_of(session, of_task);
            urgent.or_else(|| queues.normal.take_of(session, of_task))
        })
    }

    /// Takes out everything that waits since before `since`.
    pub(super) fn stale(&mut self, since: Instant) -> Vec<Arc<Order>> {
        let mut stale = Vec::new();
        self.tenants.each(|queues| {
            for turns in [&mut queues.high, &mut queues.normal] {
                turns.each(|queue| {
                    queue.retain(|order| {
                        let old = order.queued < since;
                        if old {
                            stale.push(Arc::clone(order));
                        }
                        !old
                    });
                });
            }
        });
        stale
    }

    /// How many orders wait.
    pub(super) fn count(&mut self) -> usize {
        let mut count = 0;
        self.tenants.each(|queues| {
            queues.high.each(|queue| count += queue.len());
            queues.normal.each(|queue| count += queue.len());
        });
        count
    }

    /// Takes out everything of one session.
    pub(super) fn forget(&mut self, tenant: &TenantId, session: &SessionId) {
        self.tenants.take_of(tenant, |queues| {
            for turns in [&mut queues.high, &mut queues.normal] {
                turns.take_of(session, |queue| {
                    queue.clear();
                    Some(())
                });
            }
            Some(())
        });
    }
}
