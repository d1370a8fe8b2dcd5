//! Everything that the process is told, read while it computes.

use std::collections::{BTreeMap, VecDeque};
use std::io::BufRead;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use models::protocol::{GenerateRequest, ToWorker};

/// Requests that may wait. The other side sends one after the other; more is a defect of its own (I8).
const MAX_WAITING: usize = 16;

/// Requests in the order in which they came, and which of them were taken back.
pub(super) struct Inbox(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Request>,
    /// Every request that is not closed, and whether it was taken back.
    open: BTreeMap<u64, bool>,
    end: Option<Result<(), String>>,
}

/// A request, and until when somebody waits for its answer.
pub(super) struct Request {
    pub(super) generate: GenerateRequest,
    // `None`: longer than a clock can tell.
    deadline: Option<Instant>,
}

impl Request {
    /// Whether nobody waits for the answer any more (C7.4).
    pub(super) fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

impl Inbox {
    /// Reads from a thread of its own. `at_end` is called when the input ends, from there.
    pub(super) fn listen(
        mut input: impl BufRead + Send + 'static,
        at_end: impl FnOnce() + Send + 'static,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let ours = Arc::clone(&shared);
        thread::spawn(move || {
            let end = loop {
                match ToWorker::read(&mut input) {
                    Ok(None) => break Ok(()),
                    Ok(Some(message)) => {
                        if let Err(fault) = shared.take(message) {
                            break Err(fault);
                        }
                    }
                    Err(error) => break Err(format!("cannot follow what the worker is told: {error}")),
                }
            };
            let ended = end.is_ok();
            shared.lock().end = Some(end);
            shared.changed.notify_all();
            if ended {
                at_end();
            }
        });
        Self(ours)
    }

    /// The next request. Waits for it; `None` if there will be none.
    ///
    /// # Errors
    ///
    /// Says what is wrong with what came.
    pub(super) fn next(&self) -> Result<Option<Request>, String> {
        let mut state = self.0.lock();
        loop {
            if let Some(request) = state.waiting.pop_front() {
                return Ok(Some(request));
            }
            if let Some(end) = state.end.clone() {
                return end.map(|()| None);
            }
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether the request was taken back, or nobody is left to hear its answer.
    pub(super) fn is_cancelled(&self, id: u64) -> bool {
        self.0.lock().open.get(&id).copied().unwrap_or(false)
    }

    /// Forgets a request that was answered.
    pub(super) fn close(&self, id: u64) {
        self.0.lock().open.remove(&id);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, message: ToWorker) -> Result<(), String> {
        let mut state = self.lock();
        match message {
            ToWorker::Generate(generate) => {
                if state.waiting.len() >= MAX_WAITING {
                    return Err(format!("more than {MAX_WAITING} requests wait: send one after the other"));
                }
                if state.open.insert(generate.id, false).is_some() {
                    return Err(format!("request {} was sent twice", generate.id));
                }
                let deadline = Instant::now().checked_add(Duration::from_millis(generate.deadline_ms));
                state.waiting.push_back(Request { generate, deadline });
                self.changed.notify_all();
            }
            ToWorker::Cancel { id } => {
                // One that is done, or never came, is nothing to remember.
                if let Some(cancelled) = state.open.get_mut(&id) {
                    *cancelled = true;
                }
            }
        }
        Ok(())
    }
}
