//! What each tenant has under way here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use krako_contract::{ErrorType, TenantId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::GatewayConfig;
use super::rate::Rate;
use crate::listen::Problem;

/// What every tenant has under way. Only who has a token is in it, so it is as long as the list of tenants at most.
#[derive(Debug, Default)]
pub(super) struct Entries(Mutex<BTreeMap<TenantId, Arc<Entry>>>);

/// What one tenant has under way.
#[derive(Debug)]
pub(super) struct Entry {
    rate: Rate,
    requests: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl Entries {
    /// A tenant's.
    pub(super) fn of(&self, tenant: &TenantId, config: &GatewayConfig) -> Arc<Entry> {
        let permits = |count: usize| Arc::new(Semaphore::new(count.clamp(1, Semaphore::MAX_PERMITS)));
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.entry(tenant.clone()).or_insert_with(|| {
            Arc::new(Entry {
                rate: Rate::new(config.requests_per_second, config.burst),
                requests: permits(config.max_requests_per_tenant),
                streams: permits(config.max_streams_per_tenant),
            })
        });
        Arc::clone(entry)
    }
}

impl Entry {
    /// Lets one request in.
    ///
    /// # Errors
    ///
    /// The answer to it, with when to come back.
    pub(super) fn request(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.rate.take(Instant::now()).map_err(|wait| {
            too_many("this tenant asks more often than it may; wait as long as `Retry-After` says", wait)
        })?;
        Arc::clone(&self.requests).try_acquire_owned().map_err(|_| {
            let message = "this tenant has as many requests under way as it may; ask again when one is over";
            too_many(message, Duration::from_secs(1))
        })
    }

    /// Lets one stream begin.
    ///
    /// # Errors
    ///
    /// As of [`Self::request`].
    pub(super) fn stream(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.streams).try_acquire_owned().map_err(|_| {
            let message = "this tenant follows as many sessions as it may; ask for the session's report instead, or close \
                           a stream";
            too_many(message, Duration::from_secs(5))
        })
    }
}

fn too_many(message: &str, wait: Duration) -> Problem {
    // Whole seconds, and none too few.
    let seconds = u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
    Problem::later(ErrorType::TooManyRequests, message, seconds)
}
