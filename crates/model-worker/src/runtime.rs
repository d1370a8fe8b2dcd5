//! What a generation needs of whatever runs the model.

use thiserror::Error;

/// Runs one model, one sequence at a time.
///
/// Nothing here is bounded by time: a caller feeds few tokens at once and looks at its clock in between.
pub(crate) trait Runtime: Send {
    /// Positions of a sequence that were computed, to be gone on from.
    type Kept: Send;

    /// Tokens of prompt and reply together.
    fn context_tokens(&self) -> usize;

    /// Weights there are.
    fn parameters(&self) -> u64;

    /// Begins a new sequence.
    fn clear(&mut self);

    /// Begins a new sequence with the first `tokens` of what was kept, and says how many of them it has: all or none.
    fn resume(&mut self, kept: &Self::Kept, tokens: usize) -> usize;

    /// Keeps the first `tokens` of this sequence.
    fn keep(&self, tokens: usize) -> Self::Kept;

    /// How many tokens may be fed at once.
    fn batch(&self) -> Batch;

    /// Appends tokens to the sequence, all of them or none. `stop` is asked within the pass, as often as this runtime
    /// can look up, and ends it.
    ///
    /// # Errors
    ///
    /// [`RuntimeError`]; the sequence is of no use then.
    fn feed(&mut self, tokens: &[u32], stop: &mut dyn FnMut() -> bool) -> Result<Pass, RuntimeError>;

    /// How likely each of `tokens` is to come next, as unnormalised logarithms in the same order.
    ///
    /// # Errors
    ///
    /// [`RuntimeError`] if nothing was fed, or a token does not exist.
    fn scores(&mut self, tokens: &[u32]) -> Result<&[f32], RuntimeError>;
}

/// How many tokens a runtime may be fed at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Batch {
    /// Any number, and from pass to pass another: no bit of what is computed depends on it.
    Any,
    /// Always so many at most, counted from the sequence's first: others would be added up in another order.
    #[cfg_attr(
        not(any(test, feature = "llamacpp")),
        expect(dead_code, reason = "to our own forward pass it does not matter")
    )]
    Fixed(usize),
}

/// What became of tokens that were fed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub(crate) enum Pass {
    /// They are part of the sequence.
    Whole,
    /// The caller stopped it: they are not.
    Stopped,
}

/// A pass that gave no result.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub(crate) enum RuntimeError {
    /// The sequence is full.
    #[error("the context of {context_tokens} tokens is full")]
    Full {
        /// How many it holds.
        context_tokens: usize,
    },
    /// There is no such token.
    #[error("token {0} does not exist in this model")]
    UnknownToken(u32),
    /// The model computes something that is no number.
    #[error("the model computes values that are no numbers: its weights are damaged")]
    NotANumber,
    /// llama.cpp says so.
    #[cfg(feature = "llamacpp")]
    #[error("llama.cpp could not compute it: {0}")]
    LlamaCpp(String),
}
