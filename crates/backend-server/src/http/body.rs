//! The body of a request: no longer than allowed, and no slower.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::EXPECT;
use hyper::http::request::Parts;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time;

use super::HttpLimits;
use super::problem::{self, Problem};

/// How long a body that nobody wants may take.
const UNWANTED: Duration = Duration::from_millis(500);
/// Bytes that are counted as one.
const UNIT: usize = 1 << 10;

/// The room for all bodies together.
#[derive(Debug)]
pub(super) struct Room {
    limits: HttpLimits,
    units: Arc<Semaphore>,
}

/// A body, and its part of the room for as long as it is held.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) bytes: Vec<u8>,
    _units: OwnedSemaphorePermit,
}

impl Room {
    pub(super) fn new(limits: HttpLimits) -> Self {
        let units = units(limits.max_pending_bytes).max(units(limits.max_body_bytes));
        Self { limits, units: Arc::new(Semaphore::new((units as usize).min(Semaphore::MAX_PERMITS))) }
    }

    /// Reads a body to its end.
    ///
    /// # Errors
    ///
    /// The answer, if it is too long, too slow or broken, or if there is no room for it.
    pub(super) async fn read(&self, body: &mut Incoming) -> Result<Held, Problem> {
        let max = self.limits.max_body_bytes;
        let declared = body.size_hint().exact().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        if declared.is_some_and(|length| length > max) {
            return Err(problem::too_large(max));
        }
        let units = Arc::clone(&self.units).try_acquire_many_owned(units(declared.unwrap_or(max)));
        let units = units.map_err(|_| problem::no_memory())?;
        let mut bytes = Vec::new();
        let whole = time::timeout(self.limits.body_timeout, async {
            while let Some(frame) = body.frame().await {
                // Trailers say nothing that is asked for.
                let Ok(data) = frame.map_err(|_| problem::broken_body())?.into_data() else { continue };
                if bytes.len() + data.len() > max {
                    return Err(problem::too_large(max));
                }
                bytes.extend_from_slice(&data);
            }
            Ok(())
        });
        whole.await.map_err(|_| problem::body_too_slow(self.limits.body_timeout.as_secs()))??;
        Ok(Held { bytes, _units: units })
    }

    /// Reads what is left of a body that is not wanted, for a while: a caller that is still writing would not read
    /// the answer. One that asked whether to send it is not made to.
    pub(super) async fn pass_over(&self, head: &Parts, mut body: Incoming) {
        if head.headers.contains_key(EXPECT) {
            return;
        }
        let _ = time::timeout(UNWANTED, async {
            let mut passed = 0;
            while let Some(Ok(frame)) = body.frame().await {
                passed += frame.data_ref().map_or(0, |data| data.len());
                if passed > self.limits.max_body_bytes {
                    break;
                }
            }
        })
        .await;
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}
