//! Many callers at once: how many sessions and work units a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::caller::{Caller, succeeded};
use crate::fabric::Fabric;
use crate::figures::{Load, Spread};
use crate::graphs::{graph, submission};
use crate::keys::Keys;

/// Names of sessions of all loads.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Each of `clients`, on a connection of its own, submits the next session when the last has ended. Those that end within
/// `window` count; a fifth of it passes before, to warm up.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
pub(crate) async fn measure(
    keys: &Keys,
    fabric: &Fabric,
    clients: usize,
    units: usize,
    window: Duration,
) -> Load {
    let graph = Arc::new(graph(units));
    let mut callers = Vec::new();
    for _ in 0..clients {
        callers.push(Caller::connect(keys, fabric.port).await);
    }
    let from = Instant::now() + window / 5;
    let until = from + window;
    let mut tasks: JoinSet<Vec<Duration>> = JoinSet::new();
    for mut caller in callers {
        let graph = Arc::clone(&graph);
        tasks.spawn(async move {
            let mut spent = Vec::new();
            loop {
                let text = submission(&graph, &format!("load-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
                let began = Instant::now();
                let answer = caller.submit(text).await;
                let ended = Instant::now();
                succeeded(&answer);
                if ended >= until {
                    return spent;
                }
                if ended >= from {
                    spent.push(ended - began);
                }
            }
        });
    }
    let spent = tasks.join_all().await.concat();
    let sessions_a_second = spent.len() as f64 / window.as_secs_f64();
    Load {
        log: fabric.log,
        clients,
        units,
        sessions_a_second,
        units_a_second: sessions_a_second * units as f64,
        spread: Spread::of(spent),
    }
}
