//! One call under way: plays its step, beat by beat, for whatever carries it to the backend.

use std::time::Duration;

use crate::model::pieces::Pieces;
use crate::model::run_log::Noting;
use crate::model::{Act, CallEnd, ModelFault, Step};

/// How many tokens an overrun goes on for beyond the cap that came with the call. Enough to see that nobody keeps
/// the cap, and an end to it.
const OVERRUN_TOKENS: u64 = 4096;
/// How many tokens of any other answer are slowed down beyond the cap.
const SLOW_TOKENS: u64 = 256;
/// What each of them takes, so that who hangs up at the cap is seen to.
const SLOW_PACE: Duration = Duration::from_millis(1);
/// Before the end of an answer that is beyond the cap: who hangs up at its last token must not come too late.
const LATE_END: Duration = Duration::from_millis(50);
/// No cap is taken for more than this.
const MAX_CAP: u64 = 1 << 16;
/// What an overrun consists of.
const OVERRUN_PIECE: &str = "x";

/// One call. Dropping it before its end is the peer's hanging up.
#[derive(Debug)]
pub struct OpenCall {
    noting: Noting,
    step: Step,
    cap: Option<u64>,
    is_served: bool,
    is_at_once: bool,
    stage: Stage,
    said: u64,
}

#[derive(Debug)]
enum Stage {
    Before,
    Saying(Pieces),
    Overrunning,
    Over,
}

/// What happens next in a call.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "whoever carries a call carries all of it")]
pub enum Beat {
    /// The answer begins. Over HTTP its head is sent.
    Begun,
    /// The next token of the answer, as text.
    Piece(String),
    /// The answer is complete.
    Done {
        /// What the prompt is said to have cost.
        tokens_in: u64,
        /// What the answer cost.
        tokens_out: u64,
    },
    /// The call fails before an answer begins.
    Failed(ModelFault),
    /// The connection breaks in the middle of the answer.
    Broken,
}

impl OpenCall {
    pub(super) fn new(noting: Noting, step: Step, max_tokens: Option<u64>, is_served: bool) -> Self {
        let cap = max_tokens.map(|cap| cap.min(MAX_CAP));
        Self { noting, step, cap, is_served, is_at_once: false, stage: Stage::Before, said: 0 }
    }

    /// Says that nothing is heard of the answer before its end, so that nobody can hang up at the cap. An overrun then
    /// is four times the cap.
    pub(super) fn at_once(&mut self) {
        self.is_at_once = true;
    }

    /// What is played.
    pub fn step(&self) -> &Step {
        &self.step
    }

    /// Whether the model that was asked for is served. If not, the call fails for good.
    pub fn is_served(&self) -> bool {
        self.is_served
    }

    /// Waits for what happens next: [`Beat::Begun`] and pieces, or a fault. After the last beat it waits for ever, as
    /// it does for a step that hangs.
    ///
    /// # Cancel safety
    ///
    /// No piece is lost when the future is dropped; a wait begins anew.
    pub async fn next(&mut self) -> Beat {
        match self.stage {
            Stage::Before => {
                pause(Duration::from_millis(self.step.delay_ms)).await;
                self.begin().await
            }
            Stage::Saying(_) | Stage::Overrunning => {
                pause(self.wait()).await;
                self.go_on()
            }
            Stage::Over => std::future::pending().await,
        }
    }

    async fn begin(&mut self) -> Beat {
        match (&self.step.act, self.step.text()) {
            (Act::Fail(fault), _) => {
                let fault = *fault;
                self.over(CallEnd::Failed);
                return Beat::Failed(fault);
            }
            (Act::Overrun, _) => self.stage = Stage::Overrunning,
            (Act::Hang, _) | (_, None) => std::future::pending().await,
            (_, Some((text, tokens))) => self.stage = Stage::Saying(Pieces::new(text, tokens)),
        }
        Beat::Begun
    }

    /// Before the next token, or before the end.
    fn wait(&self) -> Duration {
        let is_beyond = |cap| self.said > cap && !self.is_at_once;
        match &self.stage {
            Stage::Before | Stage::Over => Duration::ZERO,
            Stage::Saying(pieces) if pieces.is_empty() => {
                if self.cap.is_some_and(is_beyond) {
                    LATE_END
                } else {
                    Duration::ZERO
                }
            }
            Stage::Saying(_) | Stage::Overrunning => {
                let pace = if self.is_slow() { SLOW_PACE } else { Duration::ZERO };
                pace.max(Duration::from_millis(self.step.ms_per_token))
            }
        }
    }

    /// Whether the next token is one that nobody should wait for.
    fn is_slow(&self) -> bool {
        let is_overrun = matches!(self.stage, Stage::Overrunning);
        let is_slow = match self.cap {
            Some(cap) => self.said >= cap && (is_overrun || self.said - cap < SLOW_TOKENS),
            None => is_overrun,
        };
        is_slow && !self.is_at_once
    }

    fn go_on(&mut self) -> Beat {
        let cap = self.cap.unwrap_or(0);
        let overrun = match self.is_at_once {
            true if cap > 0 => 4 * cap,
            true | false => cap + OVERRUN_TOKENS,
        };
        let piece = match &mut self.stage {
            Stage::Saying(pieces) if !pieces.is_empty() => pieces.take().to_owned(),
            Stage::Overrunning if self.said < overrun => OVERRUN_PIECE.to_owned(),
            Stage::Saying(_) | Stage::Overrunning | Stage::Before | Stage::Over => return self.end(),
        };
        self.said += 1;
        self.noting.token();
        Beat::Piece(piece)
    }

    fn end(&mut self) -> Beat {
        if matches!(self.step.act, Act::CutOff(_)) {
            self.over(CallEnd::Failed);
            return Beat::Broken;
        }
        self.over(CallEnd::Said);
        Beat::Done { tokens_in: self.step.tokens_in, tokens_out: self.said }
    }

    fn over(&mut self, end: CallEnd) {
        self.stage = Stage::Over;
        self.noting.end(end);
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if !matches!(self.stage, Stage::Over) {
            self.noting.end(CallEnd::HungUp);
        }
    }
}

async fn pause(wait: Duration) {
    if wait.is_zero() {
        // Whoever reads must get its turn between two tokens.
        tokio::task::yield_now().await;
    } else {
        tokio::time::sleep(wait).await;
    }
}
