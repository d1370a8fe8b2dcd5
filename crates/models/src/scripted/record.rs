//! What a scripted adapter was asked, in order, with the caps it was told.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kora_ir::{Message, Privacy};
use tokio::time::Instant;

use crate::{AdapterErrorKind, ModelId, ModelRequest};

/// One call, as a [`ScriptedAdapter`](crate::ScriptedAdapter) saw it.
///
/// Unlike everything else here it keeps the prompt: a test asks what was sent.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ScriptedCall {
    /// Whose attempt it was.
    pub task_id: String,
    /// Counted from 0.
    pub attempt: u32,
    /// What was asked for.
    pub model: ModelId,
    /// The token cap that the call was told.
    pub max_output_tokens: u64,
    /// The time that the call was told.
    pub deadline: Duration,
    /// Where the prompt was allowed to go.
    pub privacy: Privacy,
    /// The prompt.
    pub messages: Vec<Message<String>>,
    /// When the call started, since the first call, on tokio's clock.
    pub started: Duration,
    /// When it ended, on the same clock, and how. `None` while it is under way.
    pub ended: Option<(Duration, CallEnd)>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a call replies, fails, is dropped or panics")]
pub enum CallEnd {
    /// With a reply.
    Replied,
    /// With an error.
    Failed(AdapterErrorKind),
    /// Whoever called it dropped it.
    Dropped,
    /// The script panicked.
    Panicked,
}

#[derive(Debug, Default)]
pub(super) struct Recorder(Mutex<Log>);

#[derive(Debug, Default)]
struct Log {
    epoch: Option<Instant>,
    calls: Vec<ScriptedCall>,
    under_way: usize,
    peak: usize,
}

impl Recorder {
    pub(super) fn calls(&self) -> Vec<ScriptedCall> {
        self.log().calls.clone()
    }

    pub(super) fn peak(&self) -> usize {
        self.log().peak
    }

    pub(super) fn start(this: &Arc<Self>, request: &ModelRequest) -> CallGuard {
        let mut log = this.log();
        let epoch = *log.epoch.get_or_insert_with(Instant::now);
        log.calls.push(ScriptedCall {
            task_id: request.task_id.to_string(),
            attempt: request.attempt,
            model: request.model.clone(),
            max_output_tokens: request.max_output_tokens,
            deadline: request.deadline,
            privacy: request.privacy,
            messages: request.messages.clone(),
            started: epoch.elapsed(),
            ended: None,
        });
        log.under_way += 1;
        log.peak = log.peak.max(log.under_way);
        CallGuard { recorder: Arc::clone(this), place: log.calls.len() - 1, ended: false }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        // A panic of the script happens outside of the lock, so what is inside is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes the end of a call, also when its future is dropped.
pub(super) struct CallGuard {
    recorder: Arc<Recorder>,
    place: usize,
    ended: bool,
}

impl CallGuard {
    pub(super) fn end(mut self, end: CallEnd) {
        self.note(end);
    }

    fn note(&mut self, end: CallEnd) {
        self.ended = true;
        let mut log = self.recorder.log();
        let at = log.epoch.map_or(Duration::ZERO, |epoch| epoch.elapsed());
        log.under_way -= 1;
        if let Some(call) = log.calls.get_mut(self.place) {
            call.ended = Some((at, end));
        }
    }
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        if !self.ended {
            self.note(if std::thread::panicking() { CallEnd::Panicked } else { CallEnd::Dropped });
        }
    }
}
