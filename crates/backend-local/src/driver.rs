//! Drives the engine on this machine: who runs where, when to wait, when to stop.
//!
//! Operations run on *workers*: threads that report a result to the engine and take the next operation at once, so
//! that a chain of small tasks costs no thread switch. One worker is enough while operations are quick; more are added
//! as soon as one is slow. Model calls are tokio tasks. A *supervisor*, the caller's own future, keeps the time.

mod attempt;
mod session;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use backend_api::{RunObserver, UnmetCapability};
use engine::RunOutcome;
use kora_ir::CheckedGraph;
use tokio::time::Instant;

use crate::LocalConfig;
use session::Session;

/// How often the supervisor looks at workers while operations run.
const TICK: Duration = Duration::from_millis(5);

/// How a run that was asked for ended: not begun, or done in so many milliseconds.
pub(crate) enum End {
    Refused(Vec<UnmetCapability>),
    Done(Box<RunOutcome>, u64),
}

/// Runs a graph to its end. All that takes time with the size of the graph is done by workers: finding who does what,
/// the engine's own work, the digest of the result.
///
/// # Cancel safety
///
/// Dropping the future cancels the run (S13): no further task starts, model calls are dropped, operations are told to
/// stop.
pub(crate) async fn drive(
    graph: CheckedGraph,
    config: Arc<LocalConfig>,
    observer: Option<Arc<dyn RunObserver>>,
) -> End {
    let started = Instant::now();
    let max_latency = graph.budgets().max_latency_ms().map(Duration::from_millis);
    let session = Arc::new(Session::new(graph, config, observer, started));
    let _cancel = CancelOnDrop(Arc::clone(&session));
    session.open();
    supervise(&session, max_latency.and_then(|max| started.checked_add(max))).await
}

async fn supervise(session: &Arc<Session>, deadline: Option<Instant>) -> End {
    loop {
        let changed = session.changed();
        let busy = {
            let mut core = session.lock();
            session.check_latency(&mut core);
            session.look_after_workers(&mut core);
            session.pump(&mut core);
            if let Some(end) = core.take_end() {
                return end;
            }
            core.has_workers()
        };
        let tick = busy.then(|| Instant::now() + TICK);
        let wake = [tick, deadline].into_iter().flatten().min();
        tokio::select! {
            () = changed => {}
            () = sleep_until(wake) => {}
        }
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

struct CancelOnDrop(Arc<Session>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
