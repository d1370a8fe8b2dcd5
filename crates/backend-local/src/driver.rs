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

use backend_api::RunObserver;
use engine::RunOutcome;
use kora_ir::CheckedGraph;
use tokio::time::Instant;

use crate::LocalConfig;
use crate::plan::Plan;
use session::Session;

/// How often the supervisor looks at workers while operations run.
const TICK: Duration = Duration::from_millis(5);

/// Runs a graph to its end, and says how many milliseconds that took.
///
/// # Cancel safety
///
/// Dropping the future cancels the run (S13): no further task starts, model calls are dropped, operations are told to
/// stop.
pub(crate) async fn drive(
    graph: CheckedGraph,
    plan: Plan,
    config: Arc<LocalConfig>,
    observer: Option<Arc<dyn RunObserver>>,
) -> (RunOutcome, u64) {
    let started = Instant::now();
    let max_latency = graph.budgets().max_latency_ms().map(Duration::from_millis);
    let session = Arc::new(Session::new(graph, plan, config, observer, started));
    let cancel_on_drop = CancelOnDrop(Arc::clone(&session));
    session.pump(&mut session.lock());
    supervise(&session, max_latency.and_then(|max| started.checked_add(max))).await;
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let outcome = session.finish(duration_ms);
    drop(cancel_on_drop);
    (outcome, duration_ms)
}

async fn supervise(session: &Arc<Session>, deadline: Option<Instant>) {
    loop {
        let changed = session.changed();
        let busy = {
            let mut core = session.lock();
            session.check_latency(&mut core);
            session.look_after_workers(&mut core);
            if core.is_finished() {
                return;
            }
            core.has_busy_worker()
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
