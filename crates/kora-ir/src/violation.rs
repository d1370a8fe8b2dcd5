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

    /// The same without places in the text: KORA never saw the text that was checked.
    pub(crate) fn without_spans(mut self) -> Self {
        for violation in &mut self.violations {
            violation.span = None;
            violation.related.iter_mut().for_each(|(_, span)| *span = None);
        }
        self
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
    /// Not JSON (RFC 8259).
    Syntax,
    /// Not UTF-8.
    NotUtf8,
    /// More bytes than [`Limits::max_graph_bytes`](crate::Limits::max_graph_bytes).
    DocumentTooLarge,
    /// Nested deeper than [`Limits::max_json_depth`](crate::Limits::max_json_depth).
    JsonTooDeep,
    /// A key twice in one object: two readers could see two graphs (I1).
    DuplicateKey,
    /// A number that RFC 8785 cannot carry exactly (I1).
    NumberNotExact,
    /// An unknown or missing version (C10.3).
    VersionMismatch,
    /// A required field is absent.
    MissingField,
    /// A field that this version does not have.
    UnknownField,
    /// A value of another JSON type.
    WrongType,
    /// A word outside a closed set.
    UnknownWord,
    /// An id or name that is empty, too long or of other characters.
    InvalidId,
    /// Two tasks of one id.
    DuplicateId,
    /// No tasks.
    EmptyGraph,
    /// More than [`Limits::max_tasks`](crate::Limits::max_tasks).
    TooManyTasks,
    /// More than [`Limits::max_fan_in`](crate::Limits::max_fan_in) or
    /// [`Limits::max_edges`](crate::Limits::max_edges).
    TooManyDependencies,
    /// The root is no task of the graph.
    UnknownRoot,
    /// A dependency is no task of the graph.
    UnknownDependency,
    /// A dependency declared twice.
    DuplicateDependency,
    /// A task that waits for itself, directly or through others.
    Cycle,
    /// An aggregation task with nothing to combine.
    NothingToAggregate,
    /// A cap that is negative, fractional or beyond its limit (C7.1).
    InvalidBudget,
    /// A model task without one of its caps (C7.2, C7.3, C7.4).
    MissingBudget,
    /// Tokens for a task that may not call a model (C11.2).
    TokensWithoutModel,
    /// `run` names an operation and asks a model.
    MixedRun,
    /// A deterministic or aggregation task that asks a model (C11.2).
    ModelNotAllowed,
    /// A model task that asks no model.
    OperationNotAllowed,
    /// A reference that is not of the form `{"$from": id, "pointer": pointer}` (S2).
    InvalidReference,
    /// A reference to a task that is not a declared dependency (S2).
    UndeclaredReference,
    /// Not a JSON pointer (RFC 6901).
    InvalidPointer,
    /// A prompt whose placeholders cannot be read, or no messages.
    InvalidPrompt,
    /// A sampling parameter out of range.
    InvalidParameter,
    /// An input, arguments or prompt beyond its size limit.
    PayloadTooLarge,
    /// `skip_when` where no model could be saved, or without conditions (S9).
    InvalidSkip,
    /// Not a JSON Schema 2020-12 (S3).
    InvalidSchema,
    /// A schema that refers to another document (S3).
    RemoteSchema,
    /// A keyword that makes a schema mean something else than what stands in it (S3).
    UnsupportedSchema,
    /// A schema that could take unbounded time.
    CostlySchema,
    /// More bytes than [`Limits::max_schema_bytes`](crate::Limits::max_schema_bytes).
    SchemaTooLarge,
    /// More different schemas than [`Limits::max_schemas`](crate::Limits::max_schemas).
    TooManySchemas,
    /// An escalation edge with fields that do not fit its condition (S9).
    InvalidEscalation,
    /// An escalation edge to no task of the graph.
    UnknownEscalationTarget,
    /// An escalation target that is the root, shared, or somebody's dependency (S9).
    EscalationTargetNotDormant,
    /// More than [`Limits::max_escalation_edges`](crate::Limits::max_escalation_edges).
    TooManyEscalationEdges,
    /// Something of Task IR 0.1 that 1.0 cannot say without guessing (C10.2).
    NotPortable,
}

impl ViolationCode {
    /// All of them, in the order declared.
    pub const ALL: &'static [Self] = &[
        Self::Syntax,
        Self::NotUtf8,
        Self::DocumentTooLarge,
        Self::JsonTooDeep,
        Self::DuplicateKey,
        Self::NumberNotExact,
        Self::VersionMismatch,
        Self::MissingField,
        Self::UnknownField,
        Self::WrongType,
        Self::UnknownWord,
        Self::InvalidId,
        Self::DuplicateId,
        Self::EmptyGraph,
        Self::TooManyTasks,
        Self::TooManyDependencies,
        Self::UnknownRoot,
        Self::UnknownDependency,
        Self::DuplicateDependency,
        Self::Cycle,
        Self::NothingToAggregate,
        Self::InvalidBudget,
        Self::MissingBudget,
        Self::TokensWithoutModel,
        Self::MixedRun,
        Self::ModelNotAllowed,
        Self::OperationNotAllowed,
        Self::InvalidReference,
        Self::UndeclaredReference,
        Self::InvalidPointer,
        Self::InvalidPrompt,
        Self::InvalidParameter,
        Self::PayloadTooLarge,
        Self::InvalidSkip,
        Self::InvalidSchema,
        Self::RemoteSchema,
        Self::UnsupportedSchema,
        Self::CostlySchema,
        Self::SchemaTooLarge,
        Self::TooManySchemas,
        Self::InvalidEscalation,
        Self::UnknownEscalationTarget,
        Self::EscalationTargetNotDormant,
        Self::TooManyEscalationEdges,
        Self::NotPortable,
    ];
}

impl fmt::Display for ViolationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The one source of the words is the `rename_all` above.
        self.serialize(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_codes_is_complete() {
        for (place, &code) in ViolationCode::ALL.iter().enumerate() {
            assert_eq!(code as usize, place);
        }
        assert_eq!(ViolationCode::ALL.len(), ViolationCode::NotPortable as usize + 1);
        assert_eq!(ViolationCode::NotUtf8.to_string(), "not-utf8");
    }
}
