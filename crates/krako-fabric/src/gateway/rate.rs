//! How often somebody may ask: a burst, then so many a second (the generic cell rate algorithm).
//!
//! Written here and not taken from a crate: those read a clock of their own, and a simulation has another.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How often one tenant may ask.
#[derive(Debug)]
pub(super) struct Rate {
    interval: Duration,
    tolerance: Duration,
    // When a request that keeps to the rate would come next.
    next: Mutex<Option<Instant>>,
}

impl Rate {
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self { interval, tolerance: interval * burst.max(1).saturating_sub(1), next: Mutex::default() }
    }

    /// Takes one request in, at `now`.
    ///
    /// # Errors
    ///
    /// How long to wait before there is room for it. Nothing is taken then.
    pub(super) fn take(&self, now: Instant) -> Result<(), Duration> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let due = next.map_or(now, |next| next.max(now));
        let early = due - now;
        if early > self.tolerance {
            return Err(early - self.tolerance);
        }
        *next = Some(due + self.interval);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_and_then_the_rate() {
        let rate = Rate::new(10, 3);
        let start = Instant::now();
        let at = |ms| rate.take(start + Duration::from_millis(ms)).map_err(|wait| wait.as_millis());
        assert_eq!([at(0), at(0), at(0), at(0)], [Ok(()), Ok(()), Ok(()), Err(100)]);
        assert_eq!([at(99), at(100), at(100)], [Err(1), Ok(()), Err(100)]);
        assert_eq!([at(10_000), at(10_000), at(10_000), at(10_000)], [Ok(()), Ok(()), Ok(()), Err(100)]);
    }

    proptest! {
        #[test]
        fn whoever_waits_as_told_is_taken_in(per_second in 1_u32..1000, burst in 1_u32..20, gaps in prop::collection::vec(0_u64..50, 0..60)) {
            let rate = Rate::new(per_second, burst);
            let start = Instant::now();
            let (mut now, mut taken) = (start, 0_u32);
            for gap in gaps {
                now += Duration::from_millis(gap);
                if let Err(wait) = rate.take(now) {
                    now += wait;
                    prop_assert_eq!(rate.take(now), Ok(()));
                }
                taken += 1;
                let allowed = f64::from(burst) + (now - start).as_secs_f64() * f64::from(per_second);
                prop_assert!(f64::from(taken) <= allowed + 1e-3);
            }
        }
    }
}
