//! A schema as a grammar: what constrained decoding can hold a model to.

mod note;

pub use crate::note::{NoteKind, SchemaNote};
