//! What a node is at, and how far.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use backend_local::attempt::Spending;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::{LeaseId, LeaseProgress};

/// How far one order is, for heartbeats.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// When an operation began.
    pub(super) began: OnceLock<Instant>,
    /// What a model has spent.
    pub(super) spending: Spending,
}

impl Progress {
    fn told(&self, lease: &LeaseId, now: Instant) -> LeaseProgress {
        let began = self.began.get().copied().or(self.spending.began());
        let elapsed = began.map_or(Duration::ZERO, |began| now.saturating_duration_since(began));
        LeaseProgress {
            lease: lease.clone(),
            tokens_out: self.spending.tokens_out(),
            elapsed_us: micros(elapsed),
        }
    }
}

/// One order under way.
#[derive(Debug)]
struct Order {
    progress: Arc<Progress>,
    stop: watch::Sender<bool>,
}

/// Everything that a node is at.
#[derive(Clone, Debug, Default)]
pub(super) struct Held(Arc<Mutex<BTreeMap<LeaseId, Order>>>);

impl Held {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<LeaseId, Order>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an order on. The receiver says when nobody wants it any more.
    pub(super) fn take(&self, lease: LeaseId, progress: Arc<Progress>) -> watch::Receiver<bool> {
        let (stop, stopped) = watch::channel(false);
        self.lock().insert(lease, Order { progress, stop });
        stopped
    }

    /// It is reported, or given up.
    pub(super) fn leave(&self, lease: &LeaseId) {
        self.lock().remove(lease);
    }

    /// Tells one to stop.
    pub(super) fn stop(&self, lease: &LeaseId) {
        if let Some(order) = self.lock().get(lease) {
            order.stop.send_replace(true);
        }
    }

    /// Tells all to stop.
    pub(super) fn stop_all(&self) {
        for order in self.lock().values() {
            order.stop.send_replace(true);
        }
    }

    /// How far each is.
    pub(super) fn progress(&self) -> Vec<LeaseProgress> {
        let now = Instant::now();
        self.lock().iter().map(|(lease, order)| order.progress.told(lease, now)).collect()
    }
}

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Resolves when the order is not wanted any more, and never if nobody is left to say so.
pub(super) async fn stopped(mut told: watch::Receiver<bool>) {
    if told.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}
