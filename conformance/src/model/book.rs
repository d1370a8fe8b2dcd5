//! What the suite's model answers in the runs that are under way, and what it was asked in each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;
use tokio::sync::watch;

use crate::model::marker::last_marker;
use crate::model::run_log::RunLog;
use crate::model::{OpenCall, SeenCall, Step};

/// How many runs that are over are remembered, so that a late call of theirs is not held against another.
const REMEMBERED_RUNS: usize = 4096;

/// One call to the model, as it arrives.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "whoever calls fills all of it")]
pub struct Asked {
    /// The model that is asked for.
    pub model: String,
    /// The cap that comes with the call, if one does.
    pub max_tokens: Option<u64>,
    /// The whole conversation as text.
    pub prompt: String,
}

/// The model's lines for all runs that are under way, and the log of each run.
///
/// Whatever the model is reached by, the calls come here, so one book tells the whole truth about a run.
#[derive(Debug, Default)]
pub struct ModelBook {
    shelf: Mutex<Shelf>,
    arriving: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Shelf {
    runs: BTreeMap<String, Arc<RunLog>>,
    // Invariant: the same endings in both, at most `REMEMBERED_RUNS`.
    over: BTreeSet<String>,
    over_in_order: VecDeque<String>,
    late: u32,
}

impl ModelBook {
    /// A book without any run.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Arms the tasks of a run, each with a step per attempt; further attempts repeat the last.
    ///
    /// A run with the same ending that is still under way loses its place to this one.
    pub fn begin(self: &Arc<Self>, ending: &str, steps: BTreeMap<String, Vec<Step>>) -> BookRun {
        let log = RunLog::new(steps);
        let mut shelf = self.shelf();
        shelf.over.remove(ending);
        shelf.over_in_order.retain(|over| over != ending);
        shelf.runs.insert(ending.to_owned(), Arc::clone(&log));
        BookRun { book: Arc::clone(self), ending: ending.to_owned(), log }
    }

    /// Takes a call: notes its start, and hands over what is to be played.
    ///
    /// A call for a model that is not served is noted as well, and fails for good.
    ///
    /// # Errors
    ///
    /// [`Stray`] if it belongs to no task of a run that is under way. It is counted, and fails for good.
    pub fn call(&self, asked: Asked) -> Result<OpenCall, Stray> {
        let marker = last_marker(&asked.prompt);
        let marker = marker.map(|(ending, behind)| (ending.to_owned(), behind.to_owned()));
        let log = self.log_of(marker.as_ref().map(|(ending, _)| ending.as_str()))?;
        RunLog::open(&log, marker.map(|(_, behind)| behind).unwrap_or_default().as_str(), asked)
    }

    /// How many calls came for runs that were over, or while none was under way.
    pub fn late_calls(&self) -> u32 {
        self.shelf().late
    }

    /// Something has come that may become a call. To be dropped when it has, or when it cannot any more.
    pub(super) fn arrival(self: &Arc<Self>) -> Arrival {
        self.arriving.send_modify(|arriving| *arriving += 1);
        Arrival(Arc::clone(self))
    }

    /// Waits until nothing is arriving: whatever came before is a call now, or none.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(super) async fn has_arrived(&self) {
        // Fails only without a sender, and that one is here.
        drop(self.arriving.subscribe().wait_for(|arriving| *arriving == 0).await);
    }

    fn log_of(&self, ending: Option<&str>) -> Result<Arc<RunLog>, Stray> {
        let mut shelf = self.shelf();
        if let Some(log) = ending.and_then(|ending| shelf.runs.get(ending)) {
            return Ok(Arc::clone(log));
        }
        let is_over = ending.is_some_and(|ending| shelf.over.contains(ending));
        if is_over || shelf.runs.is_empty() {
            shelf.late = shelf.late.saturating_add(1);
        } else {
            // Nobody knows whose it is, so it counts for everybody: one of them did it.
            shelf.runs.values().for_each(|log| log.stray());
        }
        Err(match ending {
            None => Stray::NoMarker,
            Some(_) if is_over => Stray::RunIsOver,
            Some(_) => Stray::UnknownRun,
        })
    }

    fn end(&self, ending: &str, log: &Arc<RunLog>) {
        let mut shelf = self.shelf();
        if !shelf.runs.get(ending).is_some_and(|there| Arc::ptr_eq(there, log)) {
            return;
        }
        shelf.runs.remove(ending);
        if shelf.over.insert(ending.to_owned()) {
            shelf.over_in_order.push_back(ending.to_owned());
        }
        if shelf.over_in_order.len() > REMEMBERED_RUNS
            && let Some(oldest) = shelf.over_in_order.pop_front()
        {
            shelf.over.remove(&oldest);
        }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // Nothing inside of the lock panics halfway.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something on its way that may become a call.
#[derive(Debug)]
pub(super) struct Arrival(Arc<ModelBook>);

impl Drop for Arrival {
    fn drop(&mut self) {
        self.0.arriving.send_modify(|arriving| *arriving -= 1);
    }
}

/// A run that is under way. Dropping it ends it, and forgets what was seen.
#[derive(Debug)]
pub struct BookRun {
    book: Arc<ModelBook>,
    ending: String,
    log: Arc<RunLog>,
}

impl BookRun {
    /// Waits until `n` calls of this run's tasks have begun.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn called(&self, n: u32) {
        self.log.called(n).await;
    }

    /// Whether no call of this run is under way.
    pub fn is_quiet(&self) -> bool {
        self.log.is_quiet()
    }

    /// Ends the run: what was seen in it, in the order in which calls began, and how many calls were stray.
    ///
    /// Calls that are still open go on, unseen: they are under way here.
    pub fn finish(self) -> (Vec<SeenCall>, u32) {
        self.book.end(&self.ending, &self.log);
        self.log.close()
    }
}

impl Drop for BookRun {
    fn drop(&mut self) {
        self.book.end(&self.ending, &self.log);
    }
}

/// Why a call belongs to no task.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum Stray {
    /// Its prompt has no marker.
    #[error("the prompt holds no `[ref:…]`; send the whole prompt of the task")]
    NoMarker,
    /// Its marker is of a run that nobody began.
    #[error("the prompt's `[ref:…]` is of no run; send the prompt as the task declares it")]
    UnknownRun,
    /// Its marker is of a run that has been answered, or cancelled.
    #[error("the run of the prompt's `[ref:…]` is over; make no call after a run's end")]
    RunIsOver,
    /// Its marker is of a task that shall not be called, or is in no graph.
    #[error("the task of the prompt's `[ref:…]` has nothing to ask in this run")]
    UnknownTask,
    /// The run has made too many calls already.
    #[error("the run has made {limit} calls already")]
    TooMany {
        /// How many are allowed.
        limit: usize,
    },
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{Act, CallEnd, marker};

    fn lines(tasks: &[&str]) -> BTreeMap<String, Vec<Step>> {
        let steps = || vec![Step::new(Act::Text("no".into())), Step::new(Act::Reply(json!({"ok": true})))];
        tasks.iter().map(|&task| (task.to_owned(), steps())).collect()
    }

    fn ask(book: &ModelBook, ending: &str, task: &str) -> Result<OpenCall, Stray> {
        let prompt = format!("Say yes. {}", marker(ending, task));
        book.call(Asked { model: "suite-small".into(), max_tokens: Some(9), prompt })
    }

    #[test]
    fn calls_go_to_their_task_and_their_run() {
        let book = ModelBook::new();
        let (one, two) = (book.begin("aaaaa", lines(&["x", "x]y"])), book.begin("bbbbb", lines(&["x"])));
        let first = ask(&book, "aaaaa", "x").unwrap();
        let other = ask(&book, "bbbbb", "x").unwrap();
        drop(first);
        for task in ["x", "x]y", "x"] {
            drop(ask(&book, "aaaaa", task).unwrap());
        }
        let (calls, stray) = one.finish();
        let seen: Vec<_> =
            calls.iter().map(|call| (call.task.as_str(), call.attempt, call.started)).collect();
        assert_eq!(seen, [("x", 0, 0), ("x", 1, 2), ("x]y", 0, 4), ("x", 2, 6)]);
        assert_eq!((calls[0].ended, calls[0].end, stray), (Some(1), CallEnd::HungUp, 0));
        assert_eq!((calls[0].max_tokens, calls[0].model.as_str()), (Some(9), "suite-small"));
        let (calls, stray) = two.finish();
        assert_eq!((calls.len(), calls[0].end, calls[0].ended, stray), (1, CallEnd::UnderWay, None, 0));
        drop(other);
    }

    #[test]
    fn further_attempts_repeat_the_last_step() {
        let book = ModelBook::new();
        let _run = book.begin("aaaaa", lines(&["x"]));
        let said: Vec<_> = (0..4).map(|_| ask(&book, "aaaaa", "x").unwrap().step().act.clone()).collect();
        assert_eq!(said[0], Act::Text("no".into()));
        assert!(said[1..].iter().all(|act| *act == Act::Reply(json!({"ok": true}))));
    }

    #[test]
    fn a_stray_call_counts_where_it_belongs_and_for_everybody_if_nobody_knows() {
        let book = ModelBook::new();
        let silent = BTreeMap::from([("mute".to_owned(), Vec::new())]);
        let (one, two) = (book.begin("aaaaa", silent), book.begin("bbbbb", lines(&["x"])));
        assert_eq!(ask(&book, "aaaaa", "x").unwrap_err(), Stray::UnknownTask);
        assert_eq!(ask(&book, "aaaaa", "mute").unwrap_err(), Stray::UnknownTask);
        assert_eq!(ask(&book, "zzzzz", "x").unwrap_err(), Stray::UnknownRun);
        let bare = Asked { model: "suite-small".into(), max_tokens: None, prompt: "hello".into() };
        assert_eq!(book.call(bare.clone()).unwrap_err(), Stray::NoMarker);
        assert_eq!(one.finish(), (Vec::new(), 4));
        assert_eq!(ask(&book, "aaaaa", "x").unwrap_err(), Stray::RunIsOver);
        assert_eq!(two.finish(), (Vec::new(), 2));
        assert_eq!(book.call(bare).unwrap_err(), Stray::NoMarker);
        assert_eq!(book.late_calls(), 2);
    }

    #[test]
    fn a_model_that_is_not_served_is_seen_and_fails() {
        let book = ModelBook::new();
        let run = book.begin("aaaaa", lines(&["x"]));
        let prompt = marker("aaaaa", "x");
        let call = book.call(Asked { model: "huge".into(), max_tokens: None, prompt }).unwrap();
        assert!(!call.is_served());
        drop(call);
        assert_eq!(run.finish().0[0].model, "huge");
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancellation_can_wait_for_the_nth_call() {
        let book = ModelBook::new();
        let run = book.begin("aaaaa", lines(&["x"]));
        run.called(0).await;
        let second = tokio::time::timeout(std::time::Duration::from_millis(50), run.called(2));
        let calls = async {
            for _ in 0..2 {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                drop(ask(&book, "aaaaa", "x").unwrap());
            }
        };
        assert!(tokio::join!(second, calls).0.is_ok());
        let never = tokio::time::timeout(std::time::Duration::from_millis(50), run.called(3)).await;
        assert!(never.is_err());
    }

    #[test]
    fn a_run_that_is_dropped_takes_no_more_calls() {
        let book = ModelBook::new();
        let older = book.begin("aaaaa", lines(&["x"]));
        let newer = book.begin("aaaaa", lines(&["x"]));
        drop(older);
        assert!(ask(&book, "aaaaa", "x").is_ok(), "the newer one has the place");
        drop(newer);
        assert_eq!(ask(&book, "aaaaa", "x").unwrap_err(), Stray::RunIsOver);
    }
}
