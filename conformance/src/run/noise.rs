//! How busy the machine is: a verdict about time is worth nothing where timers come late.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// How often the canary looks.
const BEAT: Duration = Duration::from_millis(10);
/// Timers that come later than this make a failure doubtful. Cases about time leave margins of several times as much.
pub(super) const DOUBTFUL: Duration = Duration::from_millis(150);

/// Does `work`, and tells by how much a timer beside it came too late at worst.
///
/// Under virtual time nothing comes late, and the canary would only move the clock: use it on a real one.
pub(super) async fn beside<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let worst = Cell::new(Duration::ZERO);
    let canary = async {
        loop {
            let before = Instant::now();
            tokio::time::sleep(BEAT).await;
            worst.set(worst.get().max(before.elapsed().saturating_sub(BEAT)));
        }
    };
    let done = tokio::select! {
        biased;
        done = work => done,
        () = canary => unreachable!("the canary goes on until the work is done"),
    };
    (done, worst.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thread_that_is_held_up_is_noticed() {
        let hold_up = async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            std::thread::sleep(Duration::from_millis(200));
            tokio::time::sleep(Duration::from_millis(30)).await;
        };
        let ((), worst) = beside(hold_up).await;
        assert!(worst >= Duration::from_millis(150), "{worst:?}");
    }
}
