//! One reply: the prompt read, then token after token that its schema allows, until it ends or may not go on.

use std::time::{Duration, Instant};

use schema_grammar::{Constraint, GrammarError, Vocabulary};
use thiserror::Error;

use crate::pace::Pace;
use crate::prefix::PrefixCache;
use crate::runtime::{Pass, Runtime, RuntimeError};
use crate::sampler::Sampler;
use crate::text::Pending;

/// What to generate, and how far.
pub(crate) struct Job<'a> {
    pub(crate) prompt: &'a [u32],
    pub(crate) constraint: Constraint,
    pub(crate) sampler: Sampler,
    pub(crate) max_tokens: u64,
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Finish {
    /// The reply is complete.
    Stop,
    /// The next token would be one too many (C7.2).
    #[default]
    Length,
    /// Whoever asked wants no more of it.
    Halted(Halt),
}

/// Why whoever asked wants no more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Halt {
    /// The time is over (C7.4).
    Deadline,
    /// The request was taken back.
    Cancelled,
}

/// What a generation came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Summary {
    pub(crate) finish: Finish,
    pub(crate) tokens_out: u64,
    pub(crate) cached_tokens: usize,
    pub(crate) prompt_time: Duration,
    pub(crate) decode_time: Duration,
    pub(crate) mask_time: Duration,
}

/// A generation that failed.
#[derive(Debug, Error)]
pub(crate) enum GenerationError {
    /// Prompt and cap exceed the context.
    #[error(
        "the prompt has {prompt_tokens} tokens and the reply may have {max_tokens}, together more than the context of \
         {context_tokens}; shorten the prompt or lower `max_tokens`"
    )]
    ContextOverflow {
        /// Tokens of the prompt, at least.
        prompt_tokens: usize,
        /// The cap.
        max_tokens: u64,
        /// What there is room for.
        context_tokens: usize,
    },
    /// The runtime failed.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The grammar cannot go on.
    #[error(transparent)]
    Grammar(#[from] GrammarError),
    /// Whoever listened is gone.
    #[error("nobody listens any more")]
    Unheard,
}

/// Whoever wants the reply.
pub(crate) trait Listener {
    /// Takes a piece of whole characters that is `tokens` tokens.
    ///
    /// # Errors
    ///
    /// [`GenerationError::Unheard`] if nobody can be told.
    fn piece(&mut self, text: String, tokens: u64) -> Result<(), GenerationError>;

    /// Whether to stop now. Asked between passes and within them.
    fn halt(&mut self) -> Option<Halt>;
}

/// Refuses what does not fit.
pub(crate) fn check_context(
    prompt_tokens: usize,
    max_tokens: u64,
    context_tokens: usize,
) -> Result<(), GenerationError> {
    let together = (prompt_tokens as u64).saturating_add(max_tokens);
    if together > context_tokens as u64 {
        return Err(GenerationError::ContextOverflow { prompt_tokens, max_tokens, context_tokens });
    }
    Ok(())
}

/// Generates one reply. Not one token more than [`Job::max_tokens`] is generated, forced ones included (C7.2).
pub(crate) fn generate<R: Runtime>(
    runtime: &mut R,
    pace: &mut Pace,
    cache: &mut PrefixCache<R::Kept>,
    vocabulary: &Vocabulary,
    job: Job<'_>,
    listener: &mut impl Listener,
) -> Result<Summary, GenerationError> {
    check_context(job.prompt.len(), job.max_tokens, runtime.context_tokens())?;
    let began = Instant::now();
    let cached_tokens = cache.begin(runtime, job.prompt);
    let mut summary = Summary { cached_tokens, ..Summary::default() };
    let unread = job.prompt.get(cached_tokens..).unwrap_or_default();
    if let Some(halt) = feed(runtime, pace, unread, listener)? {
        summary.finish = Finish::Halted(halt);
        summary.prompt_time = began.elapsed();
        return Ok(summary);
    }
    cache.remember(runtime, job.prompt);
    summary.prompt_time = began.elapsed();

    let began = Instant::now();
    let mut reply =
        Reply { job, vocabulary, pending: Pending::default(), untold: 0, allowed: Vec::new(), summary };
    reply.summary.finish = reply.run(runtime, pace, listener)?;
    reply.summary.decode_time = began.elapsed().saturating_sub(reply.summary.mask_time);
    Ok(reply.summary)
}

/// Feeds tokens until they are in, or the listener halts it.
fn feed<R: Runtime>(
    runtime: &mut R,
    pace: &mut Pace,
    tokens: &[u32],
    listener: &mut impl Listener,
) -> Result<Option<Halt>, GenerationError> {
    let mut halt = None;
    let mut stop = || {
        halt = listener.halt();
        halt.is_some()
    };
    let pass = pace.feed(runtime, tokens, &mut stop)?;
    Ok(halt.filter(|_| pass == Pass::Stopped))
}

struct Reply<'a> {
    job: Job<'a>,
    vocabulary: &'a Vocabulary,
    pending: Pending,
    /// Tokens accepted that the listener does not know of.
    untold: u64,
    /// The tokens that may come next, kept for its room.
    allowed: Vec<u32>,
    summary: Summary,
}

impl Reply<'_> {
    fn run<R: Runtime>(
        &mut self,
        runtime: &mut R,
        pace: &mut Pace,
        listener: &mut impl Listener,
    ) -> Result<Finish, GenerationError> {
        let mut unfed = Vec::new();
        loop {
            // What follows by itself goes with the token before it, in one pass.
            unfed.extend(self.forced()?);
            self.tell(listener)?;
            // No pass is made for a token that may not come, nor for an end that is certain.
            self.look()?;
            if self.allowed.is_empty() {
                return Err(GrammarError::DeadEnd.into());
            }
            if self.allowed.iter().all(|token| self.vocabulary.is_end(*token)) {
                return Ok(Finish::Stop);
            }
            if self.left() == 0 {
                return Ok(Finish::Length);
            }
            if let Some(halt) = feed(runtime, pace, &unfed, listener)? {
                return Ok(Finish::Halted(halt));
            }
            unfed.clear();
            if let Some(halt) = listener.halt() {
                return Ok(Finish::Halted(halt));
            }
            let scores = runtime.scores(&self.allowed)?;
            let chosen = self.job.sampler.choose(scores, self.summary.tokens_out);
            let Some(token) = chosen.and_then(|at| self.allowed.get(at)).copied() else {
                return Err(GrammarError::DeadEnd.into());
            };
            self.accept(token)?;
            if self.vocabulary.is_end(token) {
                self.tell(listener)?;
                return Ok(Finish::Stop);
            }
            unfed.push(token);
        }
    }

    /// Says what was accepted since this was last said.
    fn tell(&mut self, listener: &mut impl Listener) -> Result<(), GenerationError> {
        if self.untold > 0 {
            listener.piece(self.pending.take(), std::mem::take(&mut self.untold))?;
        }
        Ok(())
    }

    /// Tokens that may still be generated.
    fn left(&self) -> u64 {
        self.job.max_tokens.saturating_sub(self.summary.tokens_out)
    }

    /// Accepts what nothing else could be, as far as the cap allows.
    fn forced(&mut self) -> Result<Vec<u32>, GenerationError> {
        let began = Instant::now();
        let mut forced = self.job.constraint.forced();
        forced.truncate(usize::try_from(self.left()).unwrap_or(usize::MAX));
        for token in &forced {
            self.accept(*token)?;
        }
        self.summary.mask_time += began.elapsed();
        Ok(forced)
    }

    fn accept(&mut self, token: u32) -> Result<(), GenerationError> {
        self.job.constraint.accept(token)?;
        self.pending.push(self.vocabulary.bytes(token));
        self.summary.tokens_out += 1;
        self.untold += 1;
        Ok(())
    }

    /// Finds out what may come next.
    fn look(&mut self) -> Result<(), GenerationError> {
        let began = Instant::now();
        self.allowed.clear();
        self.allowed.extend(self.job.constraint.allowed()?.iter());
        self.summary.mask_time += began.elapsed();
        Ok(())
    }
}
