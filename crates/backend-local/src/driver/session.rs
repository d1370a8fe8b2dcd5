//! What workers, model attempts and the supervisor of one run share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use backend_api::RunObserver;
use engine::{AttemptOutcome, AttemptReport, FactRefused, Next, Run, Start, StartWork, Usage};
use kora_ir::{CheckedGraph, TaskIndex, ValidatedOutput};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::worker::{self, Begin, Job};
use super::{End, attempt};
use crate::LocalConfig;
use crate::plan::Plan;

/// An operation that takes longer than this is worth a second worker beside it.
const SLOW: Duration = Duration::from_millis(1);

/// How long an operation may take to notice that it was told to stop. After that its worker is given up.
const GRACE: Duration = Duration::from_millis(50);

/// One run under way.
pub(super) struct Session {
    pub(super) graph: CheckedGraph,
    plan: OnceLock<Plan>,
    pub(super) config: Arc<LocalConfig>,
    observer: Option<Arc<dyn RunObserver>>,
    runtime: Handle,
    started: Instant,
    core: Mutex<Core>,
    changed: Notify,
}

/// What changes, behind one lock. Held for the engine's own work only, never while a task runs.
pub(super) struct Core {
    // `None` before the run is open and once it is over: whoever comes late has nothing to say.
    run: Option<Run>,
    end: Option<End>,
    cancelled: bool,
    // Few, and most often one: looking through them is the fastest way to find one.
    workers: Vec<Worker>,
    next_worker: u64,
    /// Dropping a sender stops the attempt.
    attempts: BTreeMap<TaskIndex, oneshot::Sender<()>>,
}

/// A thread that runs operations.
struct Worker {
    id: u64,
    stop: Arc<AtomicBool>,
    busy: Option<Busy>,
}

/// The operation that a worker is at.
#[derive(Clone, Copy)]
struct Busy {
    task: TaskIndex,
    attempt: u32,
    since: std::time::Instant,
    time_left: Duration,
}

impl Core {
    pub(super) fn take_end(&mut self) -> Option<End> {
        self.end.take()
    }

    pub(super) fn has_workers(&self) -> bool {
        !self.workers.is_empty()
    }

    fn leave(&mut self, worker: u64) {
        self.workers.retain(|known| known.id != worker);
    }

    /// Whether the worker may go on: the supervisor has not given it up.
    pub(super) fn owns(&self, worker: u64) -> bool {
        self.workers.iter().any(|known| known.id == worker)
    }
}

impl Session {
    pub(super) fn new(
        graph: CheckedGraph,
        config: Arc<LocalConfig>,
        observer: Option<Arc<dyn RunObserver>>,
        started: Instant,
    ) -> Self {
        let core = Core {
            run: None,
            end: None,
            cancelled: false,
            workers: Vec::new(),
            next_worker: 0,
            attempts: BTreeMap::new(),
        };
        Self {
            graph,
            plan: OnceLock::new(),
            config,
            observer,
            runtime: Handle::current(),
            started,
            core: Mutex::new(core),
            changed: Notify::new(),
        }
    }

    /// A panic under the lock is a bug in the engine, and leaves nothing to go on with: it spreads to the caller.
    pub(super) fn lock(&self) -> MutexGuard<'_, Core> {
        let poisoned = self.core.is_poisoned();
        assert!(!poisoned, "a bug in the engine ended this run");
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls the supervisor.
    pub(super) fn call(&self) {
        self.changed.notify_one();
    }

    /// Calls the supervisor when dropped: whoever may panic under the lock holds one, so that a bug is not a hang.
    pub(super) fn call_on_drop(&self) -> impl Drop + use<'_> {
        CallOnDrop(&self.changed)
    }

    /// Resolves after the next change that the supervisor should look at.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Sends the first worker, which opens the run.
    pub(super) fn open(self: &Arc<Self>) {
        self.spawn_worker(&mut self.lock(), Begin::Open);
    }

    /// Finds who does what, and makes the run. The worker's part of [`open`](Self::open).
    pub(super) fn make_run(&self) {
        match Plan::new(&self.graph, &self.config) {
            Ok(plan) => {
                let run = Run::new(self.graph.clone());
                let run = if self.observer.is_some() { run.observed() } else { run };
                // Nobody else sets it: there is one opening worker.
                let _ = self.plan.set(plan);
                let mut core = self.lock();
                // Whoever asked may have gone meanwhile.
                core.run = Some(run).filter(|_| !core.cancelled);
            }
            Err(unmet) => self.lock().end = Some(End::Refused(unmet)),
        }
    }

    pub(super) fn plan(&self) -> Option<&Plan> {
        self.plan.get()
    }

    /// Starts whatever may start, or sends a worker to end the run, unless one is there to do it.
    pub(super) fn pump(self: &Arc<Self>, core: &mut Core) {
        if !core.workers.is_empty() {
            return;
        }
        if let Some(job) = self.next_job(core) {
            self.spawn_worker(core, Begin::With(job));
        } else if core.run.as_ref().is_some_and(Run::is_finished) {
            self.spawn_worker(core, Begin::Looking);
        }
    }

    /// The next operation to run. Model attempts that may start meanwhile are started here.
    pub(super) fn next_job(self: &Arc<Self>, core: &mut Core) -> Option<Job> {
        let room = self.config.max_concurrency as usize;
        loop {
            let run = core.run.as_mut().filter(|run| run.running() < room)?;
            let start = run.next_start();
            // The start is an event itself.
            self.tell(core);
            match start? {
                Start { work: StartWork::Operation { input, args }, task, attempt, time_left_us, .. } => {
                    let time_left = Duration::from_micros(time_left_us);
                    return Some(Job { task, attempt, input, args, time_left });
                }
                Start {
                    work: StartWork::Model { messages },
                    task,
                    attempt,
                    tokens_left,
                    time_left_us,
                    ..
                } => {
                    let (stop, stopped) = oneshot::channel();
                    core.attempts.insert(task, stop);
                    let ask = attempt::Ask {
                        task,
                        attempt,
                        messages,
                        tokens_left,
                        time_left: Duration::from_micros(time_left_us),
                    };
                    self.runtime.spawn(attempt::run(Arc::clone(self), ask, stopped));
                }
            }
        }
    }

    /// Notes that a worker begins with `job`.
    pub(super) fn begin(&self, core: &mut Core, worker: u64, job: &Job, since: std::time::Instant) {
        if let Some(worker) = core.workers.iter_mut().find(|known| known.id == worker) {
            worker.busy =
                Some(Busy { task: job.task, attempt: job.attempt, since, time_left: job.time_left });
        }
    }

    /// Tells the engine how an attempt ended. `None` if the run is over.
    pub(super) fn report(&self, core: &mut Core, report: AttemptReport) -> Option<Next> {
        self.check_latency(core);
        let task = report.task;
        let next = core.run.as_mut()?.report(report).unwrap_or_else(|refused| bug(&refused));
        self.tell(core);
        self.stop_unwanted(core);
        if next == Next::Settled && !core.attempts.is_empty() {
            core.attempts.remove(&task);
        }
        Some(next)
    }

    /// Tells the engine that a wait is over. `None` if the run is.
    pub(super) fn resume(&self, core: &mut Core, task: TaskIndex, waited: Duration) -> Option<Next> {
        let next = core.run.as_mut()?.resume(task, micros(waited)).unwrap_or_else(|refused| bug(&refused));
        self.tell(core);
        self.stop_unwanted(core);
        Some(next)
    }

    /// Adds a worker if operations are waiting while others are slow.
    pub(super) fn add_worker_if_slow(self: &Arc<Self>, core: &mut Core, elapsed: Duration) {
        let waiting = core.run.as_ref().is_some_and(|run| run.ready_operations() > 0);
        if elapsed >= SLOW && waiting && core.workers.len() < self.config.max_concurrency as usize {
            self.spawn_worker(core, Begin::Looking);
        }
    }

    /// A worker has nothing to do and goes; the last one ends the run. Returns what is left to be dropped, which takes
    /// its time and should keep nobody waiting.
    pub(super) fn retire(&self, core: &mut Core, worker: u64) -> Vec<Option<ValidatedOutput>> {
        core.leave(worker);
        if core.run.as_mut().is_none_or(|run| run.close().is_err()) {
            return Vec::new();
        }
        self.tell(core);
        let Some(run) = core.run.take() else { return Vec::new() };
        let total_latency_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        match run.finish(total_latency_ms) {
            Ok(mut outcome) => {
                let outputs = std::mem::take(&mut outcome.outputs);
                core.end = Some(End::Done(Box::new(outcome), total_latency_ms));
                outputs
            }
            Err(unfinished) => unreachable!("the run is finished: {unfinished}"),
        }
    }

    /// Keeps the time of operations: tells those that are over to stop, gives up workers that do not.
    pub(super) fn look_after_workers(self: &Arc<Self>, core: &mut Core) {
        let now = std::time::Instant::now();
        let mut slowest = Duration::ZERO;
        let mut lost = Vec::new();
        for worker in &core.workers {
            let Some(busy) = worker.busy else { continue };
            let elapsed = now.saturating_duration_since(busy.since);
            slowest = slowest.max(elapsed);
            if elapsed > busy.time_left {
                worker.stop.store(true, Ordering::Relaxed);
            }
            if elapsed > busy.time_left.saturating_add(GRACE) {
                lost.push((worker.id, busy, elapsed));
            }
        }
        for (id, busy, elapsed) in lost {
            core.leave(id);
            let outcome = AttemptOutcome::TimedOut;
            self.report(core, operation_report(busy.task, busy.attempt, elapsed, outcome));
            self.pump(core);
        }
        self.add_worker_if_slow(core, slowest);
    }

    /// Tells the engine when the run's own time is over (C7.4).
    pub(super) fn check_latency(&self, core: &mut Core) {
        let Some(max) = self.graph.budgets().max_latency_ms() else { return };
        let elapsed = self.started.elapsed();
        if elapsed < Duration::from_millis(max) {
            return;
        }
        if let Some(run) = core.run.as_mut().filter(|run| !run.is_finished()) {
            let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
            run.latency_exceeded(elapsed_ms).unwrap_or_else(|refused| bug(&refused));
            self.stop_unwanted(core);
        }
    }

    /// Nobody wants the run any more (S13).
    pub(super) fn cancel(&self) {
        if let Ok(mut core) = self.core.lock() {
            core.cancelled = true;
            if let Some(run) = core.run.as_mut() {
                run.cancel();
            }
            for worker in &core.workers {
                worker.stop.store(true, Ordering::Relaxed);
            }
            core.attempts.clear();
        }
    }

    fn spawn_worker(self: &Arc<Self>, core: &mut Core, begin: Begin) {
        let id = core.next_worker;
        core.next_worker += 1;
        let stop = Arc::new(AtomicBool::new(false));
        core.workers.push(Worker { id, stop: Arc::clone(&stop), busy: None });
        let session = Arc::clone(self);
        self.runtime.spawn_blocking(move || worker::work(&session, id, &stop, begin));
        self.changed.notify_one();
    }

    fn stop_unwanted(&self, core: &mut Core) {
        let Some(run) = core.run.as_mut() else { return };
        if !run.has_unwanted() {
            return;
        }
        for task in run.take_unwanted() {
            core.attempts.remove(&task);
            let at_it = |worker: &&Worker| worker.busy.is_some_and(|busy| busy.task == task);
            for worker in core.workers.iter().filter(at_it) {
                worker.stop.store(true, Ordering::Relaxed);
            }
        }
    }

    #[inline]
    fn tell(&self, core: &mut Core) {
        if let (Some(observer), Some(run)) = (&self.observer, &mut core.run) {
            for event in run.drain_events() {
                observer.observe(&self.graph, &event);
            }
        }
    }
}

struct CallOnDrop<'a>(&'a Notify);

impl Drop for CallOnDrop<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// The driver reports what it started and nothing else, so the engine has nothing to refuse.
fn bug(refused: &FactRefused) -> ! {
    unreachable!("the driver told the engine what cannot be: {refused}")
}

/// The report of an operation, which spends time and nothing else.
pub(super) fn operation_report(
    task: TaskIndex,
    attempt: u32,
    elapsed: Duration,
    outcome: AttemptOutcome,
) -> AttemptReport {
    AttemptReport { task, attempt, elapsed_us: micros(elapsed), usage: Usage::default(), outcome }
}

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
