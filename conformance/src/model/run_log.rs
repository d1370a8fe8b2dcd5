//! The log of one run: who was called when, with what, and how it ended.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::model::{Act, Asked, CallEnd, MODELS, ModelFault, OpenCall, SeenCall, Step, Stray};

/// Calls of one run.
const MAX_CALLS: usize = 1 << 16;
/// Bytes that are kept of one prompt.
const MAX_PROMPT_BYTES: usize = 256 << 10;
/// Bytes that are kept of all prompts of one run.
const MAX_PROMPTS_BYTES: usize = 64 << 20;

#[derive(Debug)]
pub(super) struct RunLog {
    log: Mutex<Log>,
    began: watch::Sender<u32>,
}

#[derive(Debug)]
struct Log {
    tasks: BTreeMap<String, Lines>,
    calls: Vec<SeenCall>,
    stray: u32,
    // The next place among all starts and ends.
    place: u64,
    prompt_bytes_left: usize,
    is_over: bool,
}

#[derive(Debug)]
struct Lines {
    // Invariant: not empty.
    steps: Vec<Step>,
    called: u32,
}

impl RunLog {
    pub(super) fn new(steps: BTreeMap<String, Vec<Step>>) -> Arc<Self> {
        let lines = steps.into_iter().filter(|(_, steps)| !steps.is_empty());
        let log = Log {
            tasks: lines.map(|(task, steps)| (task, Lines { steps, called: 0 })).collect(),
            calls: Vec::new(),
            stray: 0,
            place: 0,
            prompt_bytes_left: MAX_PROMPTS_BYTES,
            is_over: false,
        };
        Arc::new(Self { log: Mutex::new(log), began: watch::Sender::new(0) })
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.log().calls.iter().all(|call| call.ended.is_some())
    }

    /// Notes the start of a call for the task whose name `behind` begins with.
    pub(super) fn open(this: &Arc<Self>, behind: &str, asked: Asked) -> Result<OpenCall, Stray> {
        let mut log = this.log();
        let stray = if log.is_over {
            Some(Stray::RunIsOver)
        } else if log.calls.len() >= MAX_CALLS {
            Some(Stray::TooMany { limit: MAX_CALLS })
        } else {
            None
        };
        let named = log
            .tasks
            .keys()
            .filter(|task| behind.strip_prefix(task.as_str()).is_some_and(|rest| rest.starts_with(']')));
        // Of `a` and `a]b` the longer one is meant.
        let task = named.max_by_key(|task| task.len()).cloned().ok_or(Stray::UnknownTask);
        let task = match stray.map_or(task, Err) {
            Ok(task) => task,
            Err(stray) => {
                log.stray = log.stray.saturating_add(1);
                return Err(stray);
            }
        };
        let is_served = MODELS.iter().any(|model| model.id == asked.model);
        let Some((attempt, step)) = log.tasks.get_mut(&task).and_then(Lines::next) else {
            return Err(Stray::UnknownTask);
        };
        let step = if is_served { step } else { Step::new(Act::Fail(ModelFault::Final)) };
        let prompt = log.kept(asked.prompt);
        let started = log.next_place();
        let max_tokens = asked.max_tokens;
        log.calls.push(SeenCall {
            task,
            attempt,
            model: asked.model,
            max_tokens,
            prompt,
            tokens_out: 0,
            started,
            ended: None,
            end: CallEnd::UnderWay,
        });
        let index = log.calls.len() - 1;
        drop(log);
        this.began.send_modify(|began| *began = began.saturating_add(1));
        Ok(OpenCall::new(Noting { log: Arc::clone(this), index }, step, max_tokens, is_served))
    }

    pub(super) fn stray(&self) {
        let mut log = self.log();
        log.stray = log.stray.saturating_add(1);
    }

    pub(super) async fn called(&self, n: u32) {
        // Fails only without a sender, and that one is here.
        drop(self.began.subscribe().wait_for(|began| *began >= n).await);
    }

    pub(super) fn close(&self) -> (Vec<SeenCall>, u32) {
        let mut log = self.log();
        log.is_over = true;
        (std::mem::take(&mut log.calls), log.stray)
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        // Nothing inside of the lock panics halfway.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn next_place(&mut self) -> u64 {
        let place = self.place;
        self.place += 1;
        place
    }

    /// As much of a prompt as there is room for, and a word about the rest.
    fn kept(&mut self, prompt: String) -> String {
        let room = MAX_PROMPT_BYTES.min(self.prompt_bytes_left);
        let kept = if prompt.len() <= room {
            prompt
        } else {
            let end = (0..=room).rev().find(|&at| prompt.is_char_boundary(at)).unwrap_or(0);
            format!("{}… ({} bytes more)", &prompt[..end], prompt.len() - end)
        };
        self.prompt_bytes_left = self.prompt_bytes_left.saturating_sub(kept.len());
        kept
    }
}

impl Lines {
    fn next(&mut self) -> Option<(u32, Step)> {
        let attempt = self.called;
        self.called = attempt.saturating_add(1);
        let place = usize::try_from(attempt).unwrap_or(usize::MAX);
        self.steps.get(place).or(self.steps.last()).map(|step| (attempt, step.clone()))
    }
}

/// Where the notes on one call go.
#[derive(Debug)]
pub(super) struct Noting {
    log: Arc<RunLog>,
    index: usize,
}

impl Noting {
    pub(super) fn token(&self) {
        // After the run's end there is no call to note it at.
        if let Some(call) = self.log.log().calls.get_mut(self.index) {
            call.tokens_out = call.tokens_out.saturating_add(1);
        }
    }

    pub(super) fn end(&self, end: CallEnd) {
        let mut log = self.log.log();
        if log.is_over {
            return;
        }
        let place = log.next_place();
        if let Some(call) = log.calls.get_mut(self.index) {
            call.ended = Some(place);
            call.end = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(log: &Arc<RunLog>, prompt: String) -> Result<OpenCall, Stray> {
        RunLog::open(log, "x]", Asked { model: "suite-small".into(), max_tokens: None, prompt })
    }

    fn log() -> Arc<RunLog> {
        RunLog::new(BTreeMap::from([("x".to_owned(), vec![Step::new(Act::Hang)])]))
    }

    #[test]
    fn prompts_are_kept_within_bounds() {
        let log = log();
        for _ in 0..300 {
            drop(ask(&log, "é".repeat(MAX_PROMPT_BYTES)).unwrap());
        }
        let (calls, _) = log.close();
        assert!(calls[0].prompt.ends_with("… (262144 bytes more)"), "{}", calls[0].prompt.len());
        let all: usize = calls.iter().map(|call| call.prompt.len()).sum();
        assert!(all < MAX_PROMPTS_BYTES + 300 * 64, "{all}");
    }

    #[test]
    fn calls_are_bounded() {
        let log = log();
        for _ in 0..MAX_CALLS {
            drop(ask(&log, String::new()).unwrap());
        }
        assert_eq!(ask(&log, String::new()).unwrap_err(), Stray::TooMany { limit: MAX_CALLS });
        assert_eq!(log.close().1, 1);
    }
}
