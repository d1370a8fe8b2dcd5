//! Reads a document of the other end: bounded, its version first, and with a place for whatever is wrong (I8).

use std::fmt::Debug;

use backend_api::{Fault, RefusalDocument};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};
use thiserror::Error;

use crate::objects::Objects;
use crate::version::{Declared, Declares};
use crate::{VersionMismatch, WireLimits};

/// A document of the wire that is read whole. [`Event`](crate::Event) and [`Submission`](crate::Submission), which
/// hold other documents, have readers of their own.
///
/// Sealed: the wire is what this crate says it is.
pub trait Document: Serialize + DeserializeOwned + Debug + sealed::Sealed {
    /// What it is called in errors, and what its schema's file is called.
    const NAME: &'static str;

    /// Bytes that it may have.
    fn max_bytes(limits: &WireLimits) -> usize;
}

pub(crate) mod sealed {
    /// Only documents of this crate are documents of the wire.
    pub trait Sealed {}
}

/// Names a document of the wire and bounds it.
macro_rules! document {
    ($type:ty, $name:literal, $limit:ident) => {
        impl crate::reading::sealed::Sealed for $type {}

        impl crate::Document for $type {
            const NAME: &'static str = $name;

            fn max_bytes(limits: &crate::WireLimits) -> usize {
                limits.$limit
            }
        }
    };
}

pub(crate) use document;

/// Reads an answer. Fields that this version does not know are accepted (S12).
///
/// # Errors
///
/// [`InvalidDocument`] says what is wrong, where, and how to mend it.
pub fn read<D: Document>(bytes: &[u8], limits: &WireLimits) -> Result<D, InvalidDocument> {
    let text = text(bytes, D::NAME, D::max_bytes(limits))?;
    negotiate(text, D::NAME, Declares::IfPresent)?;
    fields(text, D::NAME)
}

/// Writes a document as one line of JSON.
pub fn write<D: Document>(document: &D) -> String {
    // Names, numbers and words: nothing in them fails to be written.
    serde_json::to_string(document).unwrap_or_default()
}

/// A document that cannot be read. Nothing in it is quoted at length.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the steps of reading, each with its own way to fail")]
pub enum InvalidDocument {
    /// Refused before it was read.
    #[error("`{document}` has {bytes} bytes, more than the {max} that it may have; send less")]
    TooLarge {
        /// Which document.
        document: &'static str,
        /// Bytes of it.
        bytes: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// Not UTF-8.
    #[error("`{document}` is not UTF-8 from byte {offset} on; send UTF-8")]
    NotUtf8 {
        /// Which document.
        document: &'static str,
        /// Bytes before the first that is wrong.
        offset: usize,
    },
    /// Not JSON.
    #[error("`{document}` is no JSON at line {line}, column {column}: {message}; send one JSON object")]
    Syntax {
        /// Which document.
        document: &'static str,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What the parser met.
        message: String,
    },
    /// Of another version.
    #[error(transparent)]
    Version(#[from] VersionMismatch),
    /// A field does not say what it must.
    #[error("`{document}` {}: {message}; its schema is `{document}.json`", place(.pointer))]
    Field {
        /// Which document.
        document: &'static str,
        /// JSON pointer into it.
        pointer: String,
        /// What is wrong.
        message: String,
    },
}

fn place(pointer: &str) -> &str {
    if pointer.is_empty() { "/" } else { pointer }
}

impl InvalidDocument {
    /// A field that contradicts another, or the graph.
    pub(crate) fn field(document: &'static str, pointer: &str, message: impl Into<String>) -> Self {
        Self::Field { document, pointer: pointer.to_owned(), message: message.into() }
    }

    /// The same as a document, for whoever sent it (UPSTREAM: 400).
    pub fn to_document(&self) -> RefusalDocument {
        let one = |document, code, pointer: &str, help: &str| {
            let fault =
                Fault { code, pointer: pointer.to_owned(), message: self.to_string(), help: help.to_owned() };
            RefusalDocument::faults(document, &[fault])
        };
        match self {
            Self::Version(mismatch) => RefusalDocument::new("VERSION_MISMATCH", mismatch.to_string()),
            Self::TooLarge { .. } => RefusalDocument::new("PAYLOAD_TOO_LARGE", self.to_string()),
            Self::NotUtf8 { document, .. } => one(document, "not-utf8", "", "send UTF-8"),
            Self::Syntax { document, .. } => one(document, "syntax", "", "send one JSON object"),
            Self::Field { document, pointer, message } => {
                let help = format!("see the schema `{document}.json`");
                let message = message.clone();
                let fault = Fault { code: "invalid-field", pointer: pointer.clone(), message, help };
                RefusalDocument::faults(document, &[fault])
            }
        }
    }
}

/// The text of a document, if it is one and not too long.
pub(crate) fn text<'b>(
    bytes: &'b [u8],
    document: &'static str,
    max: usize,
) -> Result<&'b str, InvalidDocument> {
    if bytes.len() > max {
        return Err(InvalidDocument::TooLarge { document, bytes: bytes.len(), max });
    }
    std::str::from_utf8(bytes)
        .map_err(|error| InvalidDocument::NotUtf8 { document, offset: error.valid_up_to() })
}

/// Looks at the versions and at nothing else: what another MAJOR means by the rest is not known here (C10.3).
pub(crate) fn negotiate(
    text: &str,
    document: &'static str,
    declares: Declares,
) -> Result<(), InvalidDocument> {
    // Before anything is read of it, in words of its own.
    if !text.trim_start().starts_with('{') {
        return Err(InvalidDocument::field(document, "", "this is no JSON object"));
    }
    let declared: Declared<'_> = fields(text, document)?;
    declared.negotiate(declares)?;
    Ok(())
}

/// The fields of a document.
pub(crate) fn fields<'d, T: serde::Deserialize<'d>>(
    text: &'d str,
    document: &'static str,
) -> Result<T, InvalidDocument> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = serde_path_to_error::deserialize(Objects(&mut deserializer)).map_err(|error| {
        let pointer = pointer(error.path());
        invalid(document, pointer, error.inner())
    })?;
    deserializer.end().map_err(|error| invalid(document, String::new(), &error))?;
    Ok(read)
}

fn invalid(document: &'static str, pointer: String, error: &serde_json::Error) -> InvalidDocument {
    let message = said(error);
    match error.classify() {
        Category::Data => InvalidDocument::Field { document, pointer, message },
        Category::Syntax | Category::Eof | Category::Io => {
            InvalidDocument::Syntax { document, line: error.line(), column: error.column(), message }
        }
    }
}

/// The parser's words, without its position, and without more of the document than a person needs.
fn said(error: &serde_json::Error) -> String {
    const MAX_CHARS: usize = 160;
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(words, _)| words);
    let mut shown: String = text.chars().filter(|char| !char.is_control()).take(MAX_CHARS).collect();
    if text.chars().count() > MAX_CHARS {
        shown.push('…');
    }
    shown
}

fn pointer(path: &Path) -> String {
    const MAX_BYTES: usize = 300;
    let mut pointer = String::new();
    for segment in path.iter() {
        let token = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            Segment::Enum { .. } | Segment::Unknown => continue,
        };
        if pointer.len() + token.len() > MAX_BYTES {
            pointer.push_str("/…");
            break;
        }
        pointer.push('/');
        pointer.extend(token.chars().filter(|char| !char.is_control()));
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UsageReport;

    fn check(text: &str, expected: &str) {
        let said = read::<UsageReport>(text.as_bytes(), &WireLimits::default()).unwrap_err().to_string();
        assert_eq!(said, expected);
    }

    #[test]
    fn what_is_wrong_has_a_place_and_a_way_to_mend_it() {
        check(
            "{",
            "`usage` is no JSON at line 1, column 1: EOF while parsing an object; send one JSON object",
        );
        check("[]", "`usage` /: this is no JSON object; its schema is `usage.json`");
        check(
            r#"{"period_start": "2026-03-01T00:00:00Z", "period_end": "soon"}"#,
            "`usage` /period_end: a time is written as in `2026-03-09T07:41:00Z` (RFC 3339, UTC); its schema is \
             `usage.json`",
        );
        check("{} {}", "`usage` is no JSON at line 1, column 4: trailing characters; send one JSON object");
        check(
            r#"{"contract_version": "3.0.0"}"#,
            "`contract_version` 3.0.0 was asked for, and 1.0.0 is what there is: the MAJOR differs",
        );
        check(
            r#"{"period_start": 1, "period_start": 1}"#,
            "`usage` /period_start: invalid type: integer `1`, expected a string; its schema is `usage.json`",
        );
    }

    // What the other end sent is not repeated at length, and not with what a terminal would obey.
    #[test]
    fn hostile_text_is_not_repeated() {
        let long = format!(r#"{{"period_start": "{}\u001b[2J"}}"#, "x".repeat(10_000));
        let said = read::<UsageReport>(long.as_bytes(), &WireLimits::default()).unwrap_err().to_string();
        assert!(said.len() < 400 && !said.contains('\u{1b}'), "{said}");
        let key = format!(
            r#"{{"period_start": "2026-03-01T00:00:00Z", "line_items": [{{"{}": 1}}]}}"#,
            "k".repeat(9000)
        );
        let said = read::<UsageReport>(key.as_bytes(), &WireLimits::default()).unwrap_err().to_string();
        assert!(said.len() < 600, "{said}");
    }

    #[test]
    fn too_much_is_refused_before_it_is_read() {
        let limits = WireLimits { max_document_bytes: 10, ..WireLimits::default() };
        let refused = read::<UsageReport>(&[b' '; 11], &limits).unwrap_err();
        assert_eq!(refused, InvalidDocument::TooLarge { document: "usage", bytes: 11, max: 10 });
        assert!(matches!(
            read::<UsageReport>(b"{\"\xff\"}", &limits).unwrap_err(),
            InvalidDocument::NotUtf8 { offset: 2, .. }
        ));
    }
}
