//! The workers that there are: started when needed, kept while useful, never more than agreed on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::EmbeddedLimits;
use super::process::{Launch, Order};
use super::worker::{Trouble, Worker};
use crate::{AdapterError, AdapterErrorKind, ModelId};

/// The longest wait for a restart that a call sits through. What takes longer is an answer of its own.
const PATIENCE: Duration = Duration::from_secs(1);

/// The workers of one adapter.
#[derive(Debug)]
pub(super) struct Pool {
    limits: EmbeddedLimits,
    launcher: Box<dyn Launch>,
    /// One for each reply that may be generated at once, handed out in the order of asking.
    turns: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The one that is idle longest first.
    idle: Vec<Worker>,
    /// Workers that are at work, starting or stopping.
    busy: u32,
    /// By model, since the last reply.
    failures: BTreeMap<ModelId, Failures>,
    janitor: Option<JoinHandle<()>>,
}

/// Failures of a model's workers in a row.
#[derive(Clone, Debug)]
struct Failures {
    count: u32,
    not_before: Instant,
    last: AdapterError,
}

impl Pool {
    pub(super) fn new(workers: u32, limits: EmbeddedLimits, launcher: Box<dyn Launch>) -> Self {
        let turns = Arc::new(Semaphore::new(workers as usize));
        Self { limits, launcher, turns, state: Mutex::default() }
    }

    /// A worker of this model, for whoever asked first: one that is idle, or a new one.
    ///
    /// # Errors
    ///
    /// [`AdapterError`] if it cannot be started, or failed so often that it is not started again yet.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no worker: one that is starting starts on, for the next call.
    pub(super) async fn lease(
        self: &Arc<Self>,
        model: &ModelId,
        order: Order,
    ) -> Result<Lease, AdapterError> {
        let stopped = || AdapterError::new(AdapterErrorKind::Internal, "the adapter is being shut down");
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| stopped())?;
        let mut lease = Lease::new(Arc::clone(self), turn);
        if let Some(worker) = self.take_idle(model) {
            lease.worker = Some(worker);
            return Ok(lease);
        }
        self.sit_through(model).await?;
        let model = model.clone();
        tokio::spawn(async move { lease.start(model, order).await }).await.unwrap_or_else(|_| Err(stopped()))
    }

    /// What is known to be wrong with this model's workers now.
    pub(super) fn trouble(&self, model: &ModelId) -> Option<String> {
        self.lock().failures.get(model).map(|failures| failures.last.message.clone())
    }

    /// Processes that there are, starting and stopping ones included.
    pub(super) fn processes(&self) -> usize {
        let state = self.lock();
        state.idle.len() + state.busy as usize
    }

    fn take_idle(&self, model: &ModelId) -> Option<Worker> {
        let mut state = self.lock();
        while let Some(place) = state.idle.iter().rposition(|worker| worker.model == *model) {
            let mut worker = state.idle.remove(place);
            // One that died in its sleep, or talks in it, costs nobody a reply: another is started.
            if worker.is_sound() {
                return Some(worker);
            }
        }
        None
    }

    /// Waits until the model may be started again, if that is soon.
    async fn sit_through(&self, model: &ModelId) -> Result<(), AdapterError> {
        let Some(failures) = self.lock().failures.get(model).cloned() else { return Ok(()) };
        let wait = failures.not_before.saturating_duration_since(Instant::now());
        if wait > PATIENCE {
            let Failures { count, last, .. } = failures;
            let message = format!(
                "{}; that was failure {count} in a row, and it is not started again for {} ms",
                last.message,
                wait.as_millis()
            );
            let again = last.transient.then_some(wait);
            return Err(AdapterError { message, ..last }.with_retry_after(again));
        }
        tokio::time::sleep_until(failures.not_before).await;
        Ok(())
    }

    /// Makes room for one more process, of which the caller has the right.
    fn make_room(&self) {
        let most = self.limits.max_processes.get() as usize;
        let mut state = self.lock();
        // `busy` counts the caller's own.
        while !state.idle.is_empty() && state.idle.len() + state.busy as usize > most {
            state.idle.remove(0);
        }
    }

    /// Notes that a worker of this model failed.
    pub(super) fn failed(&self, model: &ModelId, trouble: &Trouble) -> AdapterError {
        let error = trouble.error(model);
        let mut state = self.lock();
        let count = state.failures.get(model).map_or(0, |failures| failures.count).saturating_add(1);
        let not_before = Instant::now() + self.limits.restart_delay(count);
        state.failures.insert(model.clone(), Failures { count, not_before, last: error.clone() });
        error
    }

    /// Notes that a worker of this model did its work.
    pub(super) fn succeeded(&self, model: &ModelId) {
        self.lock().failures.remove(model);
    }

    fn put_back(self: &Arc<Self>, mut worker: Worker) {
        worker.idle_since = Instant::now();
        let mut state = self.lock();
        state.idle.push(worker);
        // It ends with the runtime that it was started on, which need not be the only one.
        if state.janitor.as_ref().is_none_or(JoinHandle::is_finished)
            && let Ok(runtime) = Handle::try_current()
        {
            state.janitor = Some(runtime.spawn(sweep(Arc::downgrade(self), self.limits.idle_timeout())));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends workers that have been idle too long, until there are no idle ones.
async fn sweep(pool: Weak<Pool>, idle_timeout: Duration) {
    loop {
        let next = {
            let Some(pool) = pool.upgrade() else { return };
            let mut state = pool.lock();
            let now = Instant::now();
            state.idle.retain(|worker| now.saturating_duration_since(worker.idle_since) < idle_timeout);
            let Some(oldest) = state.idle.first() else {
                state.janitor = None;
                return;
            };
            oldest.idle_since + idle_timeout
        };
        tokio::time::sleep_until(next).await;
    }
}

/// The right to one worker. Dropping it gives the worker back, if need be after making it stop.
#[derive(Debug)]
pub(super) struct Lease {
    pool: Arc<Pool>,
    // Invariant: there, but for the time in which it starts, and after it failed.
    worker: Option<Worker>,
    at_work: Option<u64>,
    turn: Option<OwnedSemaphorePermit>,
}

impl Lease {
    fn new(pool: Arc<Pool>, turn: OwnedSemaphorePermit) -> Self {
        pool.lock().busy += 1;
        Self { pool, worker: None, at_work: None, turn: Some(turn) }
    }

    async fn start(mut self, model: ModelId, order: Order) -> Result<Self, AdapterError> {
        self.pool.make_room();
        let started = Worker::start(&*self.pool.launcher, &order, model.clone(), &self.pool.limits).await;
        self.worker = Some(started.map_err(|trouble| self.pool.failed(&model, &trouble))?);
        Ok(self)
    }

    /// The worker. `None` once it was taken.
    pub(super) fn worker(&mut self) -> Option<&mut Worker> {
        self.worker.as_mut()
    }

    /// From now on the worker is at work for request `id`.
    pub(super) fn begin(&mut self, id: u64) {
        self.at_work = Some(id);
    }

    /// The worker did its work and is free.
    pub(super) fn over(&mut self) {
        self.at_work = None;
    }

    /// Takes the worker out for good.
    pub(super) fn take(&mut self) -> Option<Worker> {
        self.at_work = None;
        self.worker.take()
    }

    /// Makes the worker stop, and gives it back or ends it.
    async fn stop(mut self, mut worker: Worker, id: u64) {
        match worker.stop(id, self.pool.limits.cancel_grace()).await {
            Ok(()) => self.worker = Some(worker),
            Err(trouble) => {
                self.pool.failed(&worker.model, &trouble);
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let worker = self.worker.take();
        match (self.at_work.take(), worker, Handle::try_current()) {
            // Whoever wanted the reply is gone. The turn goes along: the next call waits until the worker is free.
            (Some(id), Some(worker), Ok(runtime)) => {
                if let Some(turn) = self.turn.take() {
                    let lease = Self::new(Arc::clone(&self.pool), turn);
                    runtime.spawn(lease.stop(worker, id));
                }
            }
            // One that is at work and cannot be told to stop is killed by being dropped.
            (Some(_), _, _) | (None, None, _) => {}
            (None, Some(worker), _) => self.pool.put_back(worker),
        }
        self.pool.lock().busy -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::super::stand_in::{Manner, Stage};
    use super::*;
    use crate::{ModelAdapter as _, TokenSink};

    async fn ask(stage: &Stage, model: u32) -> Result<(), AdapterError> {
        let request = stage.request(model, 8, Duration::from_secs(20));
        stage.adapter.generate(&request, &mut TokenSink::for_request(&request)).await.map(drop)
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_nobody_needs_goes() {
        let stage = Stage::of(Manner::Good);
        ask(&stage, 0).await.unwrap();
        tokio::time::sleep(ms(200_000)).await;
        ask(&stage, 0).await.unwrap();
        tokio::time::sleep(ms(299_000)).await;
        assert_eq!((stage.living(), stage.launched()), (1, 1));
        tokio::time::sleep(ms(2_000)).await;
        assert_eq!(stage.living(), 0);
        ask(&stage, 0).await.unwrap();
        tokio::time::sleep(ms(301_000)).await;
        assert_eq!((stage.living(), stage.launched()), (0, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_that_was_idle_longest_makes_room() {
        let stage = Stage::of(Manner::Good);
        for (model, launched) in [(0, 1), (1, 2), (0, 2), (2, 3), (0, 3), (1, 4), (2, 5)] {
            ask(&stage, model).await.unwrap();
            assert_eq!(stage.launched(), launched, "after model {model}");
            tokio::time::sleep(ms(1)).await;
            assert!(stage.living() <= 2);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn as_many_replies_at_once_as_agreed_on_and_in_the_order_of_asking() {
        let limits =
            EmbeddedLimits { max_processes: NonZeroU32::new(2).unwrap(), ..EmbeddedLimits::default() };
        let stage = Stage::with(&[Manner::Slow], 2, limits);
        let began = Instant::now();
        let asked = (0..6).map(|_| async {
            ask(&stage, 0).await.unwrap();
            assert!(stage.living() <= 2);
            began.elapsed().as_secs()
        });
        let mut asked: Vec<_> = asked.map(Box::pin).collect();
        let mut took = Vec::new();
        // All at once, in one task: a join without a library for it.
        std::future::poll_fn(|cx| {
            asked.retain_mut(|call| match call.as_mut().poll(cx) {
                std::task::Poll::Ready(seconds) => {
                    took.push(seconds);
                    false
                }
                std::task::Poll::Pending => true,
            });
            if asked.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        assert_eq!(took, [4, 4, 8, 8, 12, 12]);
        assert_eq!(stage.launched(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_crash_loop_backs_off_and_then_fails_fast_and_says_why() {
        let stage = Stage::of(Manner::CrashesMidPiece);
        let mut waits = Vec::new();
        for _ in 0..5 {
            let began = Instant::now();
            ask(&stage, 0).await.unwrap_err();
            waits.push(began.elapsed().as_millis());
        }
        // The wait before each start, and a moment for the process to end.
        assert_eq!(waits.iter().map(|wait| wait / 10 * 10).collect::<Vec<_>>(), [0, 100, 200, 400, 800]);
        let began = Instant::now();
        let error = ask(&stage, 0).await.unwrap_err();
        assert_eq!((began.elapsed(), stage.launched()), (Duration::ZERO, 5));
        assert!(error.transient);
        assert_eq!(error.retry_after, Some(ms(1600)));
        assert_eq!(
            error.message,
            "the worker of model `m0`: it closed its output, and it ended by itself; that was failure 5 in a row, and \
             it is not started again for 1600 ms"
        );
        let health = stage.adapter.health().await;
        assert!(matches!(health, crate::AdapterHealth::Degraded { .. }), "{health:?}");
        tokio::time::sleep(ms(1600)).await;
        ask(&stage, 0).await.unwrap_err();
        assert_eq!(stage.launched(), 6, "it is given another chance");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reply_ends_the_backing_off_and_another_model_never_waits() {
        let manners = [Manner::Garbage, Manner::Garbage, Manner::Good, Manner::Good];
        let stage = Stage::with(&manners, 1, EmbeddedLimits::default());
        ask(&stage, 0).await.unwrap_err();
        ask(&stage, 0).await.unwrap_err();
        let began = Instant::now();
        ask(&stage, 1).await.unwrap();
        assert_eq!(began.elapsed(), Duration::ZERO);
        ask(&stage, 0).await.unwrap();
        assert_eq!(began.elapsed(), ms(200));
        assert_eq!(stage.adapter.health().await, crate::AdapterHealth::Healthy);
    }

    #[tokio::test(start_paused = true)]
    async fn a_model_that_is_loading_loads_on_though_its_caller_is_gone() {
        let stage = Stage::of(Manner::Late(3_000));
        for _ in 0..2 {
            let request = stage.request(0, 8, ms(1_000));
            let error =
                stage.adapter.generate(&request, &mut TokenSink::for_request(&request)).await.unwrap_err();
            assert_eq!(error.kind, AdapterErrorKind::DeadlineExceeded);
            assert_eq!(error.usage, crate::Usage::NOTHING);
        }
        ask(&stage, 0).await.unwrap();
        assert_eq!((stage.living(), stage.launched()), (1, 1));
    }

    #[test]
    fn an_adapter_outlives_the_runtime_that_it_began_on() {
        let stage = Stage::of(Manner::Good);
        for launched in 1..=2 {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(ask(&stage, 0)).unwrap();
            runtime.block_on(ask(&stage, 0)).unwrap();
            assert_eq!(stage.launched(), launched);
        }
        assert_eq!(stage.living(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_drops_the_adapter_ends_its_workers() {
        let stage = Stage::of(Manner::Good);
        ask(&stage, 0).await.unwrap();
        let Stage { adapter, troupe, .. } = stage;
        drop(adapter);
        tokio::time::sleep(ms(1)).await;
        assert_eq!(troupe.living(), 0);
    }
}
