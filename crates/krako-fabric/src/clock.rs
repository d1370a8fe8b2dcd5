//! The time of day, for timestamps. Waiting is tokio's, and what a run means is no clock's (C6.1).

use std::fmt::Debug;
use std::time::SystemTime;

use krako_contract::Timestamp;

/// Tells the time of day.
pub trait WallClock: Debug + Send + Sync + 'static {
    /// Microseconds since the start of 1970, in UTC. May be set back.
    fn unix_us(&self) -> i64;

    /// Now, as events have it.
    fn now(&self) -> Timestamp;
}

/// This machine's clock.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SystemWallClock;

impl WallClock for SystemWallClock {
    fn unix_us(&self) -> i64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_unix_us(self.unix_us())
    }
}
