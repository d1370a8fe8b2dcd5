//! The schema gate: a raw reply is closed, and only its schema opens it (C11.1, I2).

mod strict;

use std::fmt;

use kora_ir::{OutputSchema, SchemaMismatch, ValidatedOutput};
use serde::Serialize;
use thiserror::Error;

use crate::Usage;

/// What a model said, before its schema admitted it. Nobody can read it, print it or send it on.
///
/// The one thing to do with it is [`RawReply::admit`]. Its `Debug` output is its length. There is no `Display`, no
/// `Serialize`, no field and no method that gives the text:
///
/// ```compile_fail
/// fn read(reply: models::RawReply) -> String { reply.text }
/// ```
/// ```compile_fail
/// fn print(reply: models::RawReply) -> String { reply.to_string() }
/// ```
/// ```compile_fail
/// fn send(reply: models::RawReply) -> String { serde_json::to_string(&reply).unwrap() }
/// ```
/// ```compile_fail
/// fn forge() -> models::RawReply { models::RawReply { text: String::new() } }
/// ```
/// ```compile_fail
/// fn twice(reply: models::RawReply) -> (models::RawReply, models::RawReply) { (reply.clone(), reply) }
/// ```
///
/// What can be read is about the call, not the text:
///
/// ```
/// fn account(reply: &models::RawReply) -> models::Usage { reply.usage() }
/// ```
pub struct RawReply {
    // Invariant: read by `admit` alone.
    text: String,
    finish: FinishReason,
    usage: Usage,
}

impl RawReply {
    // Invariant: called by the sink alone, which held every token against the cap.
    pub(crate) fn new(text: String, finish: FinishReason, usage: Usage) -> Self {
        Self { text, finish, usage }
    }

    /// What the call spent.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// Why the generation ended.
    pub fn finish_reason(&self) -> FinishReason {
        self.finish
    }

    /// Opens the reply if it is one JSON value that `schema` admits.
    ///
    /// Strict: prose around the value, a code fence, a second value or a repeated key is a rejection.
    ///
    /// # Errors
    ///
    /// [`ReplyRejected`] says what is wrong and where, and holds nothing of the reply (I9). The reply is gone.
    pub fn admit(self, schema: &OutputSchema) -> Result<ValidatedOutput, ReplyRejected> {
        let value = strict::parse(&self.text)?;
        schema.admit(value).map_err(ReplyRejected::SchemaMismatch)
    }
}

impl fmt::Debug for RawReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawReply")
            .field("text", &format_args!("{} bytes (content withheld)", self.text.len()))
            .field("finish", &self.finish)
            .field("usage", &self.usage)
            .finish()
    }
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FinishReason {
    /// The model was done.
    Stop,
    /// A length limit was reached.
    Length,
    /// Nobody said, but the reply was complete as far as the protocol tells.
    Unstated,
}

/// A reply that is no output. A `VALIDATION_ERROR` if no attempt is left (C9.1).
#[derive(Clone, Debug, Eq, Error, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a reply is no JSON, or not the JSON that was asked for")]
pub enum ReplyRejected {
    /// It is not one JSON value.
    #[error("the reply is not one JSON value: {problem} at byte {byte} of {length}")]
    NotJson {
        /// Bytes before the place.
        byte: usize,
        /// Bytes of the whole reply.
        length: usize,
        /// What is wrong there, in words that are not the reply's.
        problem: String,
    },
    /// It is JSON, and the schema does not admit it.
    #[error("the reply does not match the task's schema: {0}")]
    SchemaMismatch(SchemaMismatch),
}
