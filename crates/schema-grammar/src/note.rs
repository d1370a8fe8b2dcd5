//! What decoding cannot promise about a schema, said before anything runs.

use std::fmt;

use serde::Serialize;

/// A place in a schema that constrained decoding does not settle. The schema gate checks it all the same (C11.1).
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "a plain record of a finding, written as a literal")]
pub struct SchemaNote {
    /// Where in the schema, as a JSON pointer.
    pub pointer: String,
    /// The keyword, or the type, that the note is about.
    pub keyword: String,
    /// What is the matter.
    pub kind: NoteKind,
    /// How to mend it, as a lowercase fragment.
    pub help: String,
}

/// What is the matter with a place in a schema.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a keyword is held and ends, or it does not")]
pub enum NoteKind {
    /// Decoding is not held to the keyword, so a finished reply may break it.
    NotHeld,
    /// Nothing but the token cap ends what stands here.
    Unbounded,
}

impl fmt::Display for SchemaNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            NoteKind::NotHeld => "decoding is not held to",
            NoteKind::Unbounded => "nothing but the token cap bounds",
        };
        write!(f, "{what} `{}` at {}; {}", self.keyword, place(&self.pointer), self.help)
    }
}

/// The root of a schema has an empty pointer, which nobody can read.
fn place(pointer: &str) -> &str {
    if pointer.is_empty() { "the root of the schema" } else { pointer }
}
