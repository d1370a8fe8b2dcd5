//! Through which all generated text passes: it counts, and cuts off at the cap (C7.2).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;

use crate::{AdapterError, FinishReason, ModelRequest, RawReply, TokenCount, Usage};

/// Bytes of a reply, whatever its token cap says (I8).
const MAX_REPLY_BYTES: usize = 16 << 20;

/// Takes a reply as it is generated, for one call.
///
/// It is the only way to make a [`RawReply`], so there is no reply whose tokens were not held against the cap. The
/// text can be put in and not be read back.
#[derive(Debug)]
pub struct TokenSink {
    reply: RawText,
    max_tokens: u64,
    max_bytes: usize,
    usage: Usage,
    counted: Arc<AtomicU64>,
    // Invariant: once set it stays, so that what was counted beside it is not taken for the whole.
    uncounted: bool,
    // Invariant: once set it stays, so no reply can be made after a cut-off, whatever the adapter does.
    cut_off: Option<CutOff>,
}

/// Text on its way to the gate. Its `Debug` output is its length.
struct RawText(String);

impl std::fmt::Debug for RawText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes (content withheld)", self.0.len())
    }
}

impl TokenSink {
    /// A sink that takes at most `max_tokens` tokens in at most `max_bytes` bytes.
    pub fn new(max_tokens: u64, max_bytes: usize) -> Self {
        Self {
            reply: RawText(String::new()),
            max_tokens,
            max_bytes,
            usage: Usage::NOTHING,
            counted: Arc::default(),
            uncounted: false,
            cut_off: None,
        }
    }

    /// A sink for this request's cap, and 16 MiB.
    pub fn for_request(request: &ModelRequest) -> Self {
        Self::new(request.max_output_tokens, MAX_REPLY_BYTES)
    }

    /// The most that may be generated.
    pub fn max_tokens(&self) -> u64 {
        self.max_tokens
    }

    /// Says that the request is on its way: from now on, what is spent is unknown until it is counted or told.
    pub fn sent(&mut self) {
        self.usage = Usage::UNKNOWN;
    }

    /// Says that the model's side turned the request down before it generated anything. Ignored once something came.
    pub fn turned_down(&mut self) {
        if self.counted() == 0 && !self.uncounted {
            self.usage = Usage::NOTHING;
        }
    }

    /// Says how many tokens the prompt was, as the model's side tells once it has read it.
    pub fn prompted(&mut self, tokens_in: u64) {
        self.usage.tokens_in = TokenCount::Reported(tokens_in);
    }

    /// Says that the reply comes token by token, so that from now on the count is what was generated.
    pub fn streaming(&mut self) {
        self.usage.tokens_out = self.count();
    }

    /// Takes the next piece of the reply, which is `tokens` tokens. Both counts at once: hidden tokens, such as those
    /// of a reasoning trace, are a piece without text.
    ///
    /// # Errors
    ///
    /// [`CutOff`] if that is more than the cap allows. Stop generating, and return it; everything after is refused.
    pub fn push(&mut self, piece: &str, tokens: u64) -> Result<(), CutOff> {
        let counted = self.counted().saturating_add(tokens);
        self.counted.store(counted, Ordering::Relaxed);
        self.usage.tokens_out = self.count();
        if counted > self.max_tokens {
            self.cut(CutOff::TokenCap { cap: self.max_tokens, counted });
        }
        self.append(piece)
    }

    /// Takes a reply, or a part of it, whose tokens nobody counted.
    ///
    /// # Errors
    ///
    /// [`CutOff`] if it is longer than any reply may be.
    pub fn push_uncounted(&mut self, piece: &str) -> Result<(), CutOff> {
        self.uncounted = true;
        self.usage.tokens_out = self.count();
        self.append(piece)
    }

    fn count(&self) -> TokenCount {
        if self.uncounted { TokenCount::Unknown } else { TokenCount::Counted(self.counted()) }
    }

    fn append(&mut self, piece: &str) -> Result<(), CutOff> {
        if self.reply.0.len().saturating_add(piece.len()) > self.max_bytes {
            self.cut(CutOff::ByteLimit { max_bytes: self.max_bytes });
        }
        if let Some(cut_off) = self.cut_off {
            return Err(cut_off);
        }
        self.reply.0.push_str(piece);
        Ok(())
    }

    fn cut(&mut self, cut_off: CutOff) {
        // The first reason is the one that counts, and what was taken so far is of no use to anyone.
        self.cut_off.get_or_insert(cut_off);
        self.reply.0 = String::new();
    }

    /// What was spent so far. Also after the call was dropped.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// Tokens counted so far.
    pub fn counted(&self) -> u64 {
        self.counted.load(Ordering::Relaxed)
    }

    /// Reads the count from elsewhere while the call runs, for progress.
    pub fn meter(&self) -> TokenMeter {
        TokenMeter(Arc::clone(&self.counted))
    }

    /// Closes the reply. `reported_in` and `reported_out` are the model's side's own counts, if it gave any.
    ///
    /// # Errors
    ///
    /// [`AdapterError`] of kind `TokensExhausted` if the reply stopped because of its length, or if more was
    /// generated than the cap allows; the cut-off that was ignored, if one was.
    pub fn finish(
        &mut self,
        finish: FinishReason,
        reported_in: Option<u64>,
        reported_out: Option<u64>,
    ) -> Result<RawReply, AdapterError> {
        self.usage = Usage {
            tokens_in: TokenCount::reconcile(reported_in, self.usage.tokens_in),
            tokens_out: TokenCount::reconcile(reported_out, self.usage.tokens_out),
        };
        if let TokenCount::Reported(reported) = self.usage.tokens_out
            && reported > self.max_tokens
        {
            self.cut(CutOff::TokenCapReported { cap: self.max_tokens, reported });
        }
        if finish == FinishReason::Length {
            self.cut(CutOff::StoppedAtLength);
        }
        match self.cut_off {
            Some(cut_off) => Err(AdapterError::from(cut_off).with_usage(self.usage)),
            None => Ok(RawReply::new(std::mem::take(&mut self.reply.0), finish, self.usage)),
        }
    }
}

/// Reads a [`TokenSink`]'s count from elsewhere.
#[derive(Clone, Debug)]
pub struct TokenMeter(Arc<AtomicU64>);

impl TokenMeter {
    /// Tokens counted so far.
    pub fn counted(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Why a reply was cut off.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "each maps to an error kind; a new one must not compile unmapped"
)]
pub enum CutOff {
    /// More tokens came than the cap allows.
    #[error("cut off at token {counted}: the cap for this call is {cap}")]
    TokenCap {
        /// The most that was allowed.
        cap: u64,
        /// How many came.
        counted: u64,
    },
    /// More tokens were generated than the cap allows, as the model's side says afterwards.
    #[error("{reported} tokens were generated: the cap for this call is {cap}")]
    TokenCapReported {
        /// The most that was allowed.
        cap: u64,
        /// How many there were.
        reported: u64,
    },
    /// The model's side stopped before the reply was complete.
    #[error("the reply was not complete when its length limit was reached")]
    StoppedAtLength,
    /// More bytes came than any reply may have.
    #[error("the reply is longer than {max_bytes} bytes")]
    ByteLimit {
        /// The most that is allowed.
        max_bytes: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AdapterErrorKind;

    #[test]
    fn the_cap_holds_during_generation() {
        let mut sink = TokenSink::new(2, 100);
        sink.sent();
        sink.streaming();
        sink.push("a", 1).unwrap();
        sink.push("b", 1).unwrap();
        assert_eq!(sink.push("c", 1), Err(CutOff::TokenCap { cap: 2, counted: 3 }));
        assert_eq!(sink.usage().tokens_out, TokenCount::Counted(3));
    }

    #[test]
    fn after_a_cut_off_there_is_no_reply_whatever_the_adapter_does() {
        let mut sink = TokenSink::new(1, 100);
        assert!(sink.push("ab", 2).is_err());
        assert!(sink.push("", 0).is_err());
        let error = sink.finish(FinishReason::Stop, None, Some(1)).unwrap_err();
        assert_eq!(error.kind, AdapterErrorKind::TokensExhausted);
        assert_eq!(error.usage.tokens_out, TokenCount::Counted(2));
    }

    #[test]
    fn an_overrun_that_is_only_told_afterwards_is_a_breach_too() {
        let mut sink = TokenSink::new(10, 100);
        sink.sent();
        sink.push_uncounted("{}").unwrap();
        let error = sink.finish(FinishReason::Stop, Some(5), Some(11)).unwrap_err();
        assert_eq!(error.kind, AdapterErrorKind::TokensExhausted);
        assert_eq!(error.usage.tokens_out, TokenCount::Reported(11));
        assert_eq!(error.usage.tokens_in, TokenCount::Reported(5));
    }

    #[test]
    fn stopping_at_the_length_is_a_breach_and_no_reply() {
        let mut sink = TokenSink::new(10, 100);
        sink.push("{\"a\":", 5).unwrap();
        let error = sink.finish(FinishReason::Length, None, None).unwrap_err();
        assert_eq!(error.kind, AdapterErrorKind::TokensExhausted);
        assert!(!error.transient);
    }

    #[test]
    fn bytes_are_bounded_without_any_token_counted() {
        let mut sink = TokenSink::new(10, 4);
        assert_eq!(sink.push_uncounted("12345"), Err(CutOff::ByteLimit { max_bytes: 4 }));
        assert_eq!(sink.push("", 0), Err(CutOff::ByteLimit { max_bytes: 4 }));
    }

    #[test]
    fn what_was_sent_and_not_answered_is_unknown() {
        let mut sink = TokenSink::new(10, 100);
        assert_eq!(sink.usage(), Usage::NOTHING);
        sink.sent();
        assert_eq!(sink.usage(), Usage::UNKNOWN);
        sink.streaming();
        assert_eq!(sink.usage().tokens_out, TokenCount::Counted(0));
        let meter = sink.meter();
        sink.push("x", 1).unwrap();
        assert_eq!(meter.counted(), 1);
    }

    #[test]
    fn debug_output_withholds_the_text() {
        let mut sink = TokenSink::new(10, 100);
        sink.push("secret", 1).unwrap();
        assert!(!format!("{sink:?}").contains("secret"));
        let reply = sink.finish(FinishReason::Stop, None, None).unwrap();
        assert!(!format!("{reply:?}").contains("secret"));
    }
}
