//! A line that a backend answers with.

use backend_api::RefusalDocument;
use serde::Deserialize;
use serde_json::Value;

use crate::subject::{Mishap, shortened};

/// An answer, and to what.
#[derive(Debug)]
pub(super) struct Line {
    /// `None`: to a line that was no request.
    pub(super) id: Option<u64>,
    pub(super) body: Body,
}

/// What a request came to.
#[derive(Debug)]
pub(super) enum Body {
    Ok(Value),
    Refused(RefusalDocument),
    Cancelled,
    Unsupported { reason: String },
    Error { message: String },
}

#[derive(Deserialize)]
struct Fields {
    id: Option<u64>,
    ok: Option<Value>,
    refused: Option<RefusalDocument>,
    cancelled: Option<Value>,
    unsupported: Option<Unsupported>,
    error: Option<Error>,
}

#[derive(Deserialize)]
struct Unsupported {
    reason: String,
}

#[derive(Deserialize)]
struct Error {
    message: String,
}

impl Line {
    /// Reads a line of standard output.
    pub(super) fn read(line: &[u8]) -> Result<Self, Mishap> {
        let no_answer = |why: String| Mishap::Garbage {
            detail: format!(
                "a line of its standard output is no answer: {why} in `{}`; standard output is for the protocol \
                 alone, logs go to standard error",
                shortened(&String::from_utf8_lossy(line))
            ),
        };
        let fields: Fields = serde_json::from_slice(line).map_err(|error| no_answer(error.to_string()))?;
        let bodies = [
            fields.ok.map(Body::Ok),
            fields.refused.map(Body::Refused),
            fields.cancelled.map(|_| Body::Cancelled),
            fields.unsupported.map(|unsupported| Body::Unsupported { reason: unsupported.reason }),
            fields.error.map(|error| Body::Error { message: error.message }),
        ];
        let mut bodies = bodies.into_iter().flatten();
        match (bodies.next(), bodies.next()) {
            (Some(body), None) => Ok(Self { id: fields.id, body }),
            (_, _) => Err(no_answer(String::from(
                "not exactly one of `ok`, `refused`, `cancelled`, `unsupported`, `error`",
            ))),
        }
    }
}

impl Body {
    /// The document that answers `verb`.
    pub(super) fn document(self, verb: &str) -> Result<Value, Mishap> {
        let garbage = |what: String| Err(Mishap::Garbage { detail: format!("it answers `{verb}` {what}") });
        match self {
            Self::Ok(document @ Value::Object(_)) => Ok(document),
            Self::Ok(other) => garbage(format!("with `{}`, no object", shortened(&other.to_string()))),
            Self::Refused(refusal) => garbage(format!("with a refusal: {}", shortened(&refusal.to_string()))),
            Self::Cancelled => garbage(String::from("by `cancelled`, and nobody cancelled it")),
            Self::Unsupported { reason } => Err(Mishap::Unsupported { detail: shortened(&reason) }),
            Self::Error { message } => garbage(format!("with an error: {}", shortened(&message))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(line: &str) -> String {
        match Line::read(line.as_bytes()) {
            Err(Mishap::Garbage { detail }) => detail,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_no_answer_is_shown_short_and_harmless() {
        assert!(detail("Listening on \u{1b}[1m7010").contains(r"`Listening on \u{1b}[1m7010`"));
        assert!(detail(&"x".repeat(9999)).len() < 600);
        assert!(detail(r#"{"id":1}"#).contains("not exactly one of"));
        assert!(detail(r#"{"id":1,"ok":{},"error":{"message":"x"}}"#).contains("not exactly one of"));
        assert!(detail(r#"{"id":-1,"ok":{}}"#).contains("invalid value"));
        assert!(detail(r#"{"id":1,"refused":{"message":"x"}}"#).contains("missing field `error_type`"));
    }

    #[test]
    fn an_answer_may_hold_more_than_is_known() {
        let line = Line::read(br#"{"id":null,"error":{"message":"x","more":1},"more":2}"#).unwrap();
        assert!(line.id.is_none() && matches!(line.body, Body::Error { message } if message == "x"));
    }

    #[test]
    fn only_a_document_is_one() {
        let check = |body: Body, words: &str| {
            let mishap = body.document("health_check").unwrap_err();
            assert!(mishap.to_string().contains(words), "{mishap}");
        };
        check(Body::Ok(Value::from(3)), "it answers `health_check` with `3`, no object");
        check(Body::Cancelled, "nobody cancelled it");
        check(Body::Unsupported { reason: "not yet".into() }, "unsupported: not yet");
        check(Body::Refused(RefusalDocument::new("X", "y")), "with a refusal: X: y");
    }
}
