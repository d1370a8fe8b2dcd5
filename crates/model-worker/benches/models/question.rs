//! What is asked: the same of everybody, and never the same twice.

use kora_ir::{Message, Role};
use serde_json::{Value, json};

/// Words that are one token each, a space in front.
const WORDS: [&str; 16] = [
    "the", "house", "water", "of", "people", "and", "time", "a", "world", "in", "school", "city", "to",
    "book", "light", "music",
];

/// One question.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// Tokens of the prompt, about.
    pub(crate) prompt: usize,
    /// Tokens of the reply, at most.
    pub(crate) reply: u64,
    pub(crate) held_to: HeldTo,
    /// Milliseconds until nobody waits for the answer any more.
    pub(crate) deadline_ms: u64,
}

/// What the reply is held to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum HeldTo {
    /// As good as nothing: text that may not end before the cap.
    Length,
    /// A schema as tasks have them.
    Schema,
}

/// Longer than any answer takes.
pub(crate) const NO_DEADLINE: u64 = 3_600_000;

impl Question {
    pub(crate) fn new(prompt: usize, reply: u64, held_to: HeldTo) -> Self {
        Self { prompt, reply, held_to, deadline_ms: NO_DEADLINE }
    }

    /// The conversation. `salt` comes first, so that no prefix of an earlier one helps.
    pub(crate) fn messages(&self, salt: u64) -> Vec<Message<String>> {
        // The template's own tokens and those of the salt are about this many.
        let words = self.prompt.saturating_sub(26);
        let text: String = (0..words as u64)
            .map(|at| {
                let step = (at ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60;
                format!(" {}", WORDS[step as usize])
            })
            .collect();
        vec![
            Message { role: Role::System, content: format!("{:06} You answer.", salt % 1_000_000) },
            Message { role: Role::User, content: text },
        ]
    }

    /// The schema, for whoever always has one.
    pub(crate) fn schema(&self) -> Value {
        match self.held_to {
            HeldTo::Length => json!({"type": "string", "minLength": 8000}),
            HeldTo::Schema => schema(),
        }
    }
}

/// A schema with an enumeration, a bounded number, a pattern and a list, as extractions have them.
pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "city": {"enum": ["Paris", "London", "Lisbon", "Copenhagen", "Montevideo"]},
            "priority": {"type": "integer", "minimum": 1, "maximum": 5},
            "order": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{6}$"},
            "topics": {
                "type": "array", "minItems": 8, "maxItems": 8,
                "items": {"enum": ["refund", "delivery", "warranty", "invoice", "complaint", "praise"]},
            },
            "paid": {"type": "boolean"},
        },
        "required": ["city", "priority", "order", "topics", "paid"],
        "additionalProperties": false,
    })
}
