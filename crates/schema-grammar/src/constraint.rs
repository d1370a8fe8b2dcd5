//! One generation: which tokens may come next.

use std::fmt;

use llguidance::Matcher;
use toktrie::SimpleVob;

use crate::{GrammarError, Vocabulary, trial};

/// One generation held to a grammar.
///
/// Ask [`allowed`](Self::allowed), choose, [`accept`](Self::accept); between choices, [`forced`](Self::forced) says
/// what need not be asked. What was not accepted did not happen: a caller with a cap on tokens accepts as many forced
/// ones as still fit.
pub struct Constraint {
    matcher: Matcher,
    vocabulary: Vocabulary,
    mask: Option<SimpleVob>,
    complete: bool,
    ended: bool,
}

impl Constraint {
    pub(crate) fn new(matcher: Matcher, vocabulary: Vocabulary) -> Result<Self, GrammarError> {
        let mut constraint = Self { matcher, vocabulary, mask: None, complete: false, ended: false };
        constraint.look_again()?;
        Ok(constraint)
    }

    /// The tokens that may come next. An end of text is among them exactly if the text is complete; after an end,
    /// none is. The answer is kept until a token is accepted.
    ///
    /// # Errors
    ///
    /// [`GrammarError::TooComplex`] if it cannot be told within the bounds of one token, [`GrammarError::DeadEnd`] if
    /// the vocabulary has no token for what must come. The constraint is of no further use then.
    pub fn allowed(&mut self) -> Result<Allowed<'_>, GrammarError> {
        let mask = match self.mask.take() {
            Some(mask) => mask,
            None => self.mask()?,
        };
        let mask = self.mask.insert(mask);
        Ok(Allowed { mask, vocabulary: &self.vocabulary })
    }

    /// Takes `token` as the next one. An end of text ends the generation.
    ///
    /// # Errors
    ///
    /// [`GrammarError::NotAllowed`] if it may not come next: nothing changed then. [`GrammarError::Ended`] after an
    /// end. Others as [`allowed`](Self::allowed).
    pub fn accept(&mut self, token: u32) -> Result<(), GrammarError> {
        if self.ended {
            return Err(GrammarError::Ended);
        }
        if self.vocabulary.is_end(token) {
            if !self.complete {
                return Err(GrammarError::NotAllowed(token));
            }
            self.ended = true;
            self.mask = None;
            return Ok(());
        }
        if self.matcher.is_stopped() || self.vocabulary.bytes(token).is_empty() {
            self.healthy()?;
            return Err(GrammarError::NotAllowed(token));
        }
        let valid = self.matcher.validate_tokens(&[token]).map_err(words)?;
        if valid != 1 {
            return Err(GrammarError::NotAllowed(token));
        }
        self.matcher.consume_token(token).map_err(words)?;
        self.look_again()
    }

    /// Tokens that nothing else could be, written as the model would write them: to be accepted one by one, as many
    /// as fit, and fed as one batch. Empty where there is a choice, and once the text is complete.
    pub fn forced(&mut self) -> Vec<u32> {
        if self.ended || self.matcher.is_stopped() || self.must_come_and_cannot() {
            return Vec::new();
        }
        self.matcher.compute_ff_tokens()
    }

    /// Whether the text could end here: it is then a value that the grammar admits.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether an end of text was accepted.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    fn mask(&mut self) -> Result<SimpleVob, GrammarError> {
        if self.ended {
            return Ok(SimpleVob::alloc(self.vocabulary.size()));
        }
        self.healthy()?;
        if self.must_come_and_cannot() {
            return Err(GrammarError::DeadEnd);
        }
        self.matcher.compute_mask_or_eos().map_err(words)
    }

    /// Whether what follows by itself has a byte that no token has. The engine would write something else.
    fn must_come_and_cannot(&mut self) -> bool {
        self.vocabulary.lacks_any() && !self.matcher.is_stopped() && {
            let bytes = self.matcher.compute_ff_bytes();
            self.vocabulary.lacks(&bytes)
        }
    }

    fn look_again(&mut self) -> Result<(), GrammarError> {
        self.mask = None;
        self.healthy()?;
        self.complete = self.matcher.is_stopped() || self.matcher.is_accepting().map_err(words)?;
        Ok(())
    }

    fn healthy(&self) -> Result<(), GrammarError> {
        match self.matcher.get_error() {
            Some(error) => Err(trial::in_our_words(&error)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Constraint")
            .field("complete", &self.complete)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

fn words(error: impl fmt::Display) -> GrammarError {
    trial::in_our_words(&error.to_string())
}

/// The tokens that may come next.
#[derive(Clone, Copy)]
pub struct Allowed<'c> {
    mask: &'c SimpleVob,
    vocabulary: &'c Vocabulary,
}

impl<'c> Allowed<'c> {
    /// Their ids, from low to high.
    pub fn iter(&self) -> impl Iterator<Item = u32> + 'c {
        let words = self.mask.as_slice();
        let size = self.vocabulary.size();
        words
            .iter()
            .zip((0_u32..).step_by(32))
            .flat_map(|(&word, base)| Bits(word).map(move |bit| base + bit))
            .take_while(move |&id| (id as usize) < size)
    }

    /// Whether `token` is among them.
    pub fn contains(&self, token: u32) -> bool {
        (token as usize) < self.vocabulary.size() && self.mask.is_allowed(token)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.iter().count()
    }

    /// Whether the text can only end here.
    pub fn is_end_only(&self) -> bool {
        let mut ids = self.iter().peekable();
        ids.peek().is_some() && ids.all(|id| self.vocabulary.is_end(id))
    }
}

impl fmt::Debug for Allowed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Allowed").field("count", &self.count()).finish_non_exhaustive()
    }
}

/// The set bits of a word, from low to high.
struct Bits(u32);

impl Iterator for Bits {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let lowest = self.0.trailing_zeros();
        self.0 &= self.0.wrapping_sub(1);
        (lowest < 32).then_some(lowest)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::sample::{self, END};

    fn order() -> Value {
        json!({"type": "object", "required": ["name", "count"], "properties": {
            "name": {"enum": ["ab", "abc", "café"]},
            "count": {"type": "integer", "minimum": 1, "maximum": 10},
        }})
    }

    #[test]
    fn a_generation_follows_the_schema_to_its_end() {
        let grammar = sample::grammar(&order());
        for vocabulary in [sample::bytes(), sample::pieces()] {
            for seed in 0..40 {
                let (ended, text) = sample::walk(vocabulary, &grammar, seed, 200);
                assert!(ended, "{text}");
                let value: Value = serde_json::from_str(&text).unwrap();
                assert!(["ab", "abc", "café"].contains(&value["name"].as_str().unwrap()));
                assert!((1..=10).contains(&value["count"].as_i64().unwrap()));
            }
        }
    }

    #[test]
    fn what_may_not_come_next_changes_nothing() {
        let mut constraint = sample::bytes().constrain(&sample::grammar(&order())).unwrap();
        for refused in [u32::from(b'x'), END, 257, 258, u32::MAX] {
            assert_eq!(constraint.accept(refused), Err(GrammarError::NotAllowed(refused)));
        }
        for byte in br#"{"name":"ab","count":10}"# {
            assert!(!constraint.is_complete());
            assert!(constraint.allowed().unwrap().contains(u32::from(*byte)));
            constraint.accept(u32::from(*byte)).unwrap();
            assert_eq!(constraint.accept(257), Err(GrammarError::NotAllowed(257)));
        }
        assert!(constraint.is_complete());
        assert!(constraint.allowed().unwrap().is_end_only());
        assert_eq!(constraint.accept(u32::from(b' ')), Err(GrammarError::NotAllowed(u32::from(b' '))));
        assert!(constraint.forced().is_empty());
        constraint.accept(END).unwrap();
        assert_eq!(constraint.accept(END), Err(GrammarError::Ended));
        assert_eq!(constraint.allowed().unwrap().count(), 0);
        assert!(!constraint.allowed().unwrap().is_end_only());
    }

    #[test]
    fn what_nothing_else_could_be_comes_at_once_and_as_the_model_writes_it() {
        let vocabulary = sample::pieces();
        let mut constraint = vocabulary.constrain(&sample::grammar(&order())).unwrap();
        let forced = constraint.forced();
        let text: Vec<u8> = forced.iter().flat_map(|&token| vocabulary.bytes(token)).copied().collect();
        assert!(br#"{"name":""#.starts_with(&text) && text.len() >= 7, "{}", String::from_utf8_lossy(&text));
        assert!(forced.len() < text.len());
        // A caller whose cap is near takes fewer.
        constraint.accept(forced[0]).unwrap();
        assert_eq!(constraint.forced(), forced[1..]);
    }
}
