//! A schema as a grammar: what constrained decoding can hold a model to.
//!
//! [`Grammar::compile`] takes the schema of a task, closes it as the gate does, and keeps of it what a decoder can be
//! held to. What it cannot hold it to is left out of the grammar's own copy, which only widens it, and reported as a
//! [`SchemaNote`]; the gate ([`kora_ir::OutputSchema::admit`]) still checks the whole schema (C11.1).
//!
//! [`Vocabulary`] is the tokens of one model, and [`Constraint`] one generation: which tokens may come next.
//! Nothing here knows a model runtime.

mod bounded;
mod constraint;
mod error;
mod grammar;
mod held;
mod note;
mod place;
#[cfg(test)]
mod proof;
#[cfg(test)]
mod sample;
mod trial;
mod vocabulary;

pub use crate::constraint::{Allowed, Constraint};
pub use crate::error::{GrammarError, VocabularyError};
pub use crate::grammar::Grammar;
pub use crate::note::{NoteKind, SchemaNote};
pub use crate::vocabulary::{Encode, Token, Vocabulary};
