//! Messages to a model, with places to fill from the task's `input`: `{{/json/pointer}}`.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::write_canonical;

/// One message of a conversation.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Message<T> {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: T,
}

/// Who speaks in a conversation.
#[expect(clippy::exhaustive_enums, reason = "the graph format closes the set")]
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Standing instructions.
    System,
    /// The request, or an example of one.
    User,
    /// An example of an answer.
    Assistant,
}

/// A placeholder may stand many times for a large value: what they add up to is bounded (I8).
const MAX_FILLED_BYTES: usize = 64 << 20;

/// Text with placeholders, parsed once. What fills them is data: it is never parsed again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PromptTemplate {
    pieces: Box<[Piece]>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Piece {
    Text(Box<str>),
    Pointer(Box<str>),
}

impl PromptTemplate {
    /// Parses `{{/pointer}}` placeholders; `{{}}` is the whole input, and `{{{{` a literal `{{`.
    ///
    /// # Errors
    ///
    /// [`PromptError`] if a placeholder is not closed or holds no JSON pointer.
    pub fn parse(text: &str) -> Result<Self, PromptError> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(open) = rest.find("{{") {
            literal.push_str(&rest[..open]);
            let after = &rest[open + 2..];
            if let Some(escaped) = after.strip_prefix("{{") {
                literal.push_str("{{");
                rest = escaped;
                continue;
            }
            let at = text.len() - after.len() - 2;
            let close = after.find("}}").ok_or(PromptError::NotClosed { at })?;
            let pointer = after[..close].trim();
            if !pointer.is_empty() && !pointer.starts_with('/') {
                return Err(PromptError::NotAPointer { at, found: pointer.chars().take(64).collect() });
            }
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal).into()));
            }
            pieces.push(Piece::Pointer(pointer.into()));
            rest = &after[close + 2..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal.into()));
        }
        Ok(Self { pieces: pieces.into() })
    }

    /// The JSON pointers into `input`, in the order of the text.
    pub fn pointers(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Pointer(pointer) => Some(&**pointer),
        })
    }

    /// The text as written: parsing it gives an equal template.
    pub fn source(&self) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(literal) => text.push_str(&literal.replace("{{", "{{{{")),
                Piece::Pointer(pointer) => {
                    text.push_str("{{");
                    text.push_str(pointer);
                    text.push_str("}}");
                }
            }
        }
        text
    }

    /// The text with every placeholder replaced: strings as they are, everything else as canonical JSON, so that equal
    /// inputs make equal prompts (C6.1).
    ///
    /// # Errors
    ///
    /// [`PromptError::Missing`] if `input` has nothing at a placeholder's pointer, [`PromptError::TooLong`] if the
    /// text would pass 64 MiB, far beyond what any model reads.
    pub fn fill(&self, input: &Value) -> Result<String, PromptError> {
        let mut text = String::new();
        let mut json = Vec::new();
        for piece in &self.pieces {
            if text.len() > MAX_FILLED_BYTES {
                return Err(PromptError::TooLong { max_bytes: MAX_FILLED_BYTES });
            }
            match piece {
                Piece::Text(literal) => text.push_str(literal),
                Piece::Pointer(pointer) => match input.pointer(pointer) {
                    Some(Value::String(string)) => text.push_str(string),
                    Some(value) => {
                        json.clear();
                        write_canonical(value, &mut json);
                        text.push_str(&String::from_utf8_lossy(&json));
                    }
                    None => return Err(PromptError::Missing { pointer: pointer.to_string() }),
                },
            }
        }
        Ok(text)
    }
}

/// A prompt that cannot be read or filled.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum PromptError {
    /// `{{` without `}}`.
    #[error("placeholder at byte {at} is not closed by `}}}}`")]
    NotClosed {
        /// Bytes before it.
        at: usize,
    },
    /// Something else than a JSON pointer between the braces.
    #[error("placeholder at byte {at} holds `{found}`, which is not a JSON pointer such as `/text`")]
    NotAPointer {
        /// Bytes before it.
        at: usize,
        /// At most 64 characters of what is there.
        found: String,
    },
    /// Filled, it is longer than any model reads.
    #[error("the filled prompt is longer than {max_bytes} bytes")]
    TooLong {
        /// The bound, passed by at most one placeholder.
        max_bytes: usize,
    },
    /// The input has nothing there.
    #[error("input has nothing at `{pointer}`")]
    Missing {
        /// JSON pointer into the input.
        pointer: String,
    },
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn placeholders_are_filled_and_data_is_not_parsed_again() {
        let prompt = PromptTemplate::parse("a {{/x}} b {{ /n }} {{{{/y}}").unwrap();
        let input = json!({"x": "{{/n}}", "n": [1, 2]});
        assert_eq!(prompt.fill(&input).unwrap(), "a {{/n}} b [1,2] {{/y}}");
        assert_eq!(prompt.pointers().collect::<Vec<_>>(), ["/x", "/n"]);
    }

    // shows C6.1
    #[test]
    fn equal_inputs_make_equal_prompts_however_they_are_spelt() {
        let prompt = PromptTemplate::parse("{{}}").unwrap();
        let fill = |input: &str| prompt.fill(&serde_json::from_str(input).unwrap()).unwrap();
        assert_eq!(fill(r#"{"b": 1.0, "a": "\u0041"}"#), fill(r#"{"a": "A", "b": 1}"#));
    }

    #[test]
    fn a_broken_placeholder_says_where() {
        assert_eq!(PromptTemplate::parse("ab {{/x"), Err(PromptError::NotClosed { at: 3 }));
        assert_eq!(
            PromptTemplate::parse("{{name}}"),
            Err(PromptError::NotAPointer { at: 0, found: "name".into() })
        );
        let prompt = PromptTemplate::parse("{{/absent}}").unwrap();
        assert_eq!(prompt.fill(&json!({})), Err(PromptError::Missing { pointer: "/absent".into() }));
    }
}
