//! What can go wrong between a schema, a vocabulary and a generation.

use kora_ir::SchemaError;
use thiserror::Error;

/// A schema that cannot be a grammar, or a generation that cannot go on.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum GrammarError {
    /// It is no schema that the gate could compile.
    #[error("the schema cannot be compiled")]
    Schema(#[source] SchemaError),
    /// No value satisfies the schema.
    #[error("no value satisfies the schema: {0}")]
    Unsatisfiable(String),
    /// Beyond what is compiled, or decided for one token, in bounded time and memory.
    #[error("the schema is too complex to decode by: {0}; make it smaller, or its repetitions fewer")]
    TooComplex(String),
    /// The token may not come next. Nothing changed.
    #[error("token {0} may not come next")]
    NotAllowed(u32),
    /// The end was accepted before, so nothing comes after it.
    #[error("the generation has ended")]
    Ended,
    /// The vocabulary has no token for what the grammar wants next.
    #[error("no token of the vocabulary can come next")]
    DeadEnd,
    /// A defect of the grammar engine. The constraint is of no further use.
    #[error("the grammar engine failed: {0}")]
    Engine(String),
}

/// Tokens that are no vocabulary.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum VocabularyError {
    /// There are none, or more than can be told apart.
    #[error("{0} tokens, where 1 to {max} can be", max = crate::vocabulary::MAX_TOKENS)]
    Count(usize),
    /// One token, or all of them together, are too long.
    #[error("token {token} is of {bytes} bytes, where {max} can be", max = crate::vocabulary::MAX_TOKEN_BYTES)]
    TokenTooLong {
        /// Its id.
        token: usize,
        /// Its length.
        bytes: usize,
    },
    /// All tokens together are too long.
    #[error("the tokens have {0} bytes together, where {max} can be", max = crate::vocabulary::MAX_BYTES)]
    TooLarge(usize),
    /// No token, or one that does not exist, ends a text.
    #[error("no token of the vocabulary ends a text")]
    NoEnd,
    /// This one is said to end a text and does not exist.
    #[error("token {0} is said to end a text and does not exist")]
    UnknownEnd(u32),
    /// A character that every JSON text needs cannot be written.
    #[error("no token is the single byte 0x{0:02x}, so JSON cannot be written")]
    MissingByte(u8),
    /// A defect of the grammar engine.
    #[error("the grammar engine failed: {0}")]
    Engine(String),
}
