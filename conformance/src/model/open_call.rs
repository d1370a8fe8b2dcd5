//! One call under way: plays its step, beat by beat, for whatever carries it to the backend.

use std::time::Duration;

use crate::model::pieces::Pieces;
use crate::model::run_log::Noting;
use crate::model::{Act, CallEnd, ModelFault, Step};

/// How many tokens an overrun goes on for beyond the cap that came with the call. Enough to see that nobody keeps
/// the cap, and an end to it.
pub(super) const OVERRUN_TOKENS: u64 = 4096;
/// No cap is taken for more than this.
const MAX_CAP: u64 = 1 << 16;
/// What each token beyond the cap takes, so that who hangs up at the cap is seen to.
const OVERRUN_PACE: Duration = Duration::from_millis(1);
/// What an overrun consists of.
const OVERRUN_PIECE: &str = "x";

/// One call. Dropping it before its end is the peer's hanging up.
#[derive(Debug)]
pub struct OpenCall {
    noting: Noting,
    step: Step,
    cap: u64,
    is_served: bool,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Before,
    Saying { pieces: Pieces, tokens: u64 },
    Overrunning { said: u64 },
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
        Self { noting, step, cap: max_tokens.unwrap_or(0).min(MAX_CAP), is_served, stage: Stage::Before }
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
        match &mut self.stage {
            Stage::Before => {
                pause(Duration::from_millis(self.step.delay_ms)).await;
                self.begin().await
            }
            Stage::Saying { pieces, tokens } => {
                if pieces.is_empty() {
                    let tokens_out = *tokens;
                    return self.said(tokens_out);
                }
                pause(Duration::from_millis(self.step.ms_per_token)).await;
                self.noting.token();
                Beat::Piece(pieces.take().to_owned())
            }
            Stage::Overrunning { said } => {
                let said = *said;
                if said >= self.cap + OVERRUN_TOKENS {
                    return self.said(said);
                }
                let wait = Duration::from_millis(self.step.ms_per_token);
                pause(if said < self.cap { wait } else { wait.max(OVERRUN_PACE) }).await;
                self.stage = Stage::Overrunning { said: said + 1 };
                self.noting.token();
                Beat::Piece(OVERRUN_PIECE.to_owned())
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
            (Act::Overrun, _) => self.stage = Stage::Overrunning { said: 0 },
            (Act::Hang, _) | (_, None) => std::future::pending().await,
            (_, Some((text, tokens))) => {
                self.stage = Stage::Saying { pieces: Pieces::new(text, tokens), tokens };
            }
        }
        Beat::Begun
    }

    fn said(&mut self, tokens_out: u64) -> Beat {
        if matches!(self.step.act, Act::CutOff(_)) {
            self.over(CallEnd::Failed);
            return Beat::Broken;
        }
        self.over(CallEnd::Said);
        Beat::Done { tokens_in: self.step.tokens_in, tokens_out }
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
