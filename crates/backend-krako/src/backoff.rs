//! Waits between tries: longer each time, and not all callers at once.

use std::time::Duration;

use crate::KrakoLimits;

/// Numbers that look like chance and are the same for the same seed (SplitMix64). For jitter; nothing secret is made of it.
#[derive(Clone, Debug)]
pub(crate) struct Jitter(u64);

impl Jitter {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// At least half of `ms`, at most all of it.
    pub(crate) fn of(&mut self, ms: u64) -> u64 {
        let half = ms / 2;
        half + self.next() % (ms - half + 1)
    }
}

/// The waits of one caller.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    jitter: Jitter,
    first_ms: u64,
    max_ms: u64,
    in_a_row: u32,
}

impl Backoff {
    pub(crate) fn new(limits: &KrakoLimits, seed: u64) -> Self {
        Self {
            jitter: Jitter::new(seed),
            first_ms: limits.first_backoff_ms.max(1),
            max_ms: limits.max_backoff_ms.max(1),
            in_a_row: 0,
        }
    }

    /// Failures since the last success.
    pub(crate) fn in_a_row(&self) -> u32 {
        self.in_a_row
    }

    /// It went well: the next wait is the first again.
    pub(crate) fn reset(&mut self) {
        self.in_a_row = 0;
    }

    /// The wait after one more failure; at least `asked`, if the other end asked for one.
    pub(crate) fn failed(&mut self, asked: Option<Duration>) -> Duration {
        let doubled = self.first_ms.saturating_mul(1 << self.in_a_row.min(30));
        self.in_a_row = self.in_a_row.saturating_add(1);
        let own = Duration::from_millis(self.jitter.of(doubled.min(self.max_ms)));
        match asked {
            // Not at the very moment that everybody else was told.
            Some(asked) => asked + own.min(Duration::from_secs(1)),
            None => own,
        }
    }

    /// A wait that is no failure's.
    pub(crate) fn pause(&mut self, ms: u64) -> Duration {
        Duration::from_millis(self.jitter.of(ms.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_limit_and_begin_anew() {
        let limits = KrakoLimits { first_backoff_ms: 100, max_backoff_ms: 1_000, ..KrakoLimits::default() };
        for seed in 0..200 {
            let mut backoff = Backoff::new(&limits, seed);
            for expected in [100, 200, 400, 800, 1_000, 1_000] {
                let wait = backoff.failed(None).as_millis();
                assert!((expected / 2..=expected).contains(&wait), "seed {seed}: {wait} of {expected}");
            }
            for _ in 0..100 {
                assert!(backoff.failed(None).as_millis() <= 1_000);
            }
            backoff.reset();
            assert!(backoff.failed(None).as_millis() <= 100);
        }
    }

    #[test]
    fn what_the_fabric_asks_for_is_waited_out() {
        let mut backoff = Backoff::new(&KrakoLimits::default(), 7);
        let wait = backoff.failed(Some(Duration::from_secs(9)));
        assert!((Duration::from_secs(9)..=Duration::from_secs(10)).contains(&wait));
    }

    #[test]
    fn the_same_seed_waits_alike_and_another_does_not() {
        let waits = |seed| {
            let mut backoff = Backoff::new(&KrakoLimits::default(), seed);
            std::iter::repeat_with(|| backoff.failed(None)).take(8).collect::<Vec<_>>()
        };
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
    }
}
