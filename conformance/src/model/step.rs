//! What the suite's model answers: one step per attempt of a task.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An adapter may well take what is longer for several tokens.
const MAX_TOKEN_BYTES: usize = 1000;
/// No answer is said to cost more than this.
const MAX_TOKENS: u64 = 1 << 20;

/// One answer of the scripted model.
///
/// The model obeys no cap: keeping to one is the backend's duty, so the suite must be able to see it failing to
/// (C7.2).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "cases write it as a literal")]
pub struct Step {
    /// What happens.
    pub act: Act,
    /// Milliseconds before the first token.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub delay_ms: u64,
    /// Milliseconds before each token.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ms_per_token: u64,
    /// What the prompt is said to cost.
    #[serde(default = "eight")]
    pub tokens_in: u64,
    /// What the answer costs. By default a token for each 4 bytes; in any case as much as [`Self::text`] says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_out: Option<u64>,
}

impl Step {
    /// A step that acts at once and costs what its bytes cost.
    pub fn new(act: Act) -> Self {
        Self { act, delay_ms: 0, ms_per_token: 0, tokens_in: eight(), tokens_out: None }
    }

    /// The text that is generated, and in how many tokens. `None`: this act generates no whole text.
    ///
    /// The same for whoever counts tokens, pieces or characters: no token is longer than 1000 bytes, none is empty,
    /// and where there are more of them than characters, spaces follow. There are 2²⁰ at most.
    pub fn text(&self) -> Option<(String, u64)> {
        let mut text = match &self.act {
            Act::Reply(value) => value.to_string(),
            Act::Text(text) | Act::CutOff(text) => text.clone(),
            Act::Overrun | Act::Fail(_) | Act::Hang => return None,
        };
        let least = u64::try_from(text.len().div_ceil(MAX_TOKEN_BYTES)).unwrap_or(u64::MAX);
        let tokens = self.tokens_out.unwrap_or_else(|| tokens_of(&text)).min(MAX_TOKENS).max(least);
        let characters = text.chars().count();
        let spaces = usize::try_from(tokens).unwrap_or(usize::MAX).saturating_sub(characters);
        text.extend(std::iter::repeat_n(' ', spaces));
        Some((text, tokens))
    }
}

/// What happens in a [`Step`].
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "the case format lists them")]
pub enum Act {
    /// Answers with this value as JSON.
    Reply(Value),
    /// Answers with this text, JSON or not.
    Text(String),
    /// Generates until somebody hangs up.
    Overrun,
    /// Generates this text, and then the connection breaks before the answer is finished.
    CutOff(String),
    /// Fails instead of answering.
    Fail(ModelFault),
    /// Takes the call and never says anything.
    Hang,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "worth another attempt or not")]
pub enum ModelFault {
    /// Over HTTP a 503: it may pass.
    Transient,
    /// Over HTTP a 400: it will not pass.
    Final,
}

fn eight() -> u64 {
    8
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(ms: &u64) -> bool {
    *ms == 0
}

/// A token for each 4 bytes, the last one begun.
pub fn tokens_of(text: &str) -> u64 {
    u64::try_from(text.len().div_ceil(4)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str, tokens_out: Option<u64>) -> (String, u64) {
        Step { tokens_out, ..Step::new(Act::Text(text.into())) }.text().unwrap()
    }

    #[test]
    fn an_answer_costs_what_its_step_says_as_far_as_that_can_be() {
        assert_eq!(text("abcde", None), ("abcde".into(), 2));
        assert_eq!(text("abcde", Some(5)), ("abcde".into(), 5));
        assert_eq!(text("{}", Some(4)), ("{}  ".into(), 4));
        assert_eq!(text("", None), (String::new(), 0));
        assert_eq!(text("abcde", Some(0)).1, 1);
        assert_eq!(text(&"a".repeat(2001), Some(1)).1, 3);
        assert_eq!(text("{}", Some(u64::MAX)).1, MAX_TOKENS);
    }
}
