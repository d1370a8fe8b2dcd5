//! Why nothing ran, as a document in the words of KORA's public API.

use std::fmt;

use kora_ir::{InvalidGraph, Violation, kind_of};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Refusal;

/// An error of KORA's public API: `{"error_type", "message", "details"?}`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "KORA's public API closes the set of fields")]
pub struct RefusalDocument {
    /// `VERSION_MISMATCH`, `VALIDATION_ERROR`, `UNAVAILABLE` and so on. Never one of the failures of a run (C9.2),
    /// except for the word that KORA's API uses for both.
    pub error_type: String,
    /// What is wrong and how to mend it, for people.
    pub message: String,
    /// The same for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
}

impl RefusalDocument {
    /// A refusal with a message and nothing else.
    pub fn new(error_type: impl Into<String>, message: impl Into<String>) -> Self {
        Self { error_type: error_type.into(), message: message.into(), details: None }
    }

    /// A document that does not say what it must. Pointers are into that document.
    pub fn faults(document: &str, faults: &[Fault]) -> Self {
        let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Self {
            error_type: String::from("VALIDATION_ERROR"),
            message: format!("invalid `{document}`: {}", said.join("; ")),
            details: Some(json!({"document": document, "violations": faults})),
        }
    }

    /// A bug of ours, or of the backend.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new("INTERNAL_ERROR", message)
    }
}

impl fmt::Display for RefusalDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error_type, self.message)
    }
}

impl From<&Refusal> for RefusalDocument {
    fn from(refusal: &Refusal) -> Self {
        let details = match refusal {
            Refusal::InvalidGraph(invalid) => Some(violations(invalid)),
            Refusal::BeyondCapabilities(unmet) => Some(json!({"unmet": unmet})),
            Refusal::WrongBackend { asked, this } => Some(json!({"asked": asked, "this": this})),
            Refusal::Unavailable { retry_after_ms: Some(ms), .. } => Some(json!({"retry_after_ms": ms})),
            Refusal::VersionMismatch(_)
            | Refusal::Unauthenticated(_)
            | Refusal::Unavailable { retry_after_ms: None, .. } => None,
        };
        Self { error_type: refusal.error_type().to_owned(), message: refusal.to_string(), details }
    }
}

/// One thing wrong with a document other than a graph.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "which rule, where, what and how to mend it")]
pub struct Fault {
    /// Which rule, stable across versions.
    pub code: &'static str,
    /// JSON pointer into the document.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: String,
}

impl Fault {
    /// A value of another JSON type than it must be.
    pub fn wrong_type(pointer: String, expected: &str, found: &Value, help: &str) -> Self {
        let message = format!("this is {} and must be {expected}", kind_of(found));
        Self { code: "wrong-type", pointer, message, help: help.to_owned() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() { "/" } else { &self.pointer };
        write!(f, "{place}: {}; {}", self.message, self.help)
    }
}

/// Every violation with its place. Lines and columns count from the first character of the graph.
fn violations(invalid: &InvalidGraph) -> Value {
    let listed: Vec<Value> = invalid.violations.iter().map(violation).collect();
    json!({"document": "taskgraph", "violations": listed, "omitted": invalid.omitted})
}

fn violation(violation: &Violation) -> Value {
    let related: Vec<&str> = violation.related.iter().map(|(pointer, _)| pointer.as_str()).collect();
    json!({
        "code": violation.code,
        "pointer": violation.pointer,
        "line": violation.span.map(|span| span.line),
        "column": violation.span.map(|span| span.column),
        "message": violation.message,
        "help": violation.help,
        "related": related,
    })
}
