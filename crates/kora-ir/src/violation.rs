//! What is wrong with a graph: which rule, where in the document, and how to mend it.

use std::fmt;

use serde::Serialize;
use thiserror::Error;

/// A graph that was refused, with everything that is wrong with it at once.
#[derive(Clone, Debug, Error, Serialize)]
#[error("{}", summary(.violations, *.omitted))]
pub struct InvalidGraph {
    /// In the order of the document, at least one.
    pub violations: Vec<Violation>,
    /// How many more there are beyond [`Limits::max_violations`](crate::Limits::max_violations).
    pub omitted: usize,
}

impl InvalidGraph {
    /// Whether the graph was refused for its version (C10.3), which has a word of its own on the wire.
    pub fn is_version_mismatch(&self) -> bool {
        self.violations.iter().any(|violation| violation.code == ViolationCode::VersionMismatch)
    }
}

fn summary(violations: &[Violation], omitted: usize) -> String {
    let more = violations.len().saturating_sub(1) + omitted;
    match violations.first() {
        Some(first) if more == 0 => first.to_string(),
        Some(first) => format!("{first} (and {more} more)"),
        None => String::from("invalid graph"),
    }
}

/// One rule broken in one place.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Violation {
    /// Which rule, stable across versions.
    pub code: ViolationCode,
    /// JSON pointer to the place in the document as KORA wrote it.
    pub pointer: String,
    /// The same place in the text. `None` if the graph did not come as text.
    pub span: Option<Span>,
    /// What is wrong, a lowercase fragment with names in backticks.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
    /// Other places that take part: the first of two equal ids, the edges of a cycle.
    pub related: Vec<(String, Option<Span>)>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() { "/" } else { &self.pointer };
        write!(f, "{place}")?;
        if let Some(span) = self.span {
            write!(f, " (line {}, column {})", span.line, span.column)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// A place in the text of a document.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Span {
    /// Bytes before it.
    pub offset: usize,
    /// Bytes of it.
    pub length: usize,
    /// Counted from 1.
    pub line: usize,
    /// Characters from the start of the line, counted from 1.
    pub column: usize,
}

/// The rules of a graph. Each has a clause or a published rule behind it.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ViolationCode {
    /// Not JSON.
    Syntax,
    /// An unknown or missing version (C10.3).
    VersionMismatch,
}
