//! Reads a document in one tolerant pass: everything that is wrong with its shape is reported, what is right is kept.

mod conditions;
mod draft;
mod fields;
mod graph;
mod json;
mod payload;
mod run;
mod shared;
mod task;
mod words;

use std::collections::HashMap;
use std::sync::Arc;

pub(crate) use self::draft::{
    BudgetDraft, ConditionDraft, EdgeDraft, GraphDraft, ReferenceDraft, RunDraft, SkipDraft, TaskDraft,
    TemplateDraft,
};
pub(crate) use self::fields::shorten;
pub(crate) use self::json::{Broken, Json, Kind, Read, Why};
pub(crate) use self::payload::MAX_DEPTH;
use self::shared::Shared;
pub(crate) use self::words::id_fault;
use crate::report::{At, Report};
use crate::{Limits, OutputSchema, ViolationCode};

/// What kind of JSON value it is, with its article: `null`, `a boolean`, `an object` and so on. For messages.
pub fn kind_of(value: &serde_json::Value) -> &'static str {
    use serde_json::Value;
    match value {
        Value::Null => Kind::Null,
        Value::Bool(_) => Kind::Bool,
        Value::Number(_) => Kind::Number,
        Value::String(_) => Kind::String,
        Value::Array(_) => Kind::Array,
        Value::Object(_) => Kind::Object,
    }
    .described()
}

/// The reader of one document.
pub(crate) struct Reader<'s, 'r> {
    pub(crate) json: Json<'s>,
    pub(crate) report: &'r mut Report,
    pub(crate) limits: &'r Limits,
    /// The document declares a newer MINOR, so that fields unknown here are no mistakes (S12).
    pub(crate) lenient: bool,
    /// The references of all payloads so far, numbered as the templates name them until ids are known.
    pub(crate) references: Vec<ReferenceDraft<'s>>,
    /// Schemas by their text. `None` is one that was already reported.
    pub(crate) schemas: HashMap<&'s str, Option<Arc<OutputSchema>>>,
    /// The same by their meaning, for schemas that differ in white space or order only.
    pub(crate) compiled: HashMap<Vec<u8>, Arc<OutputSchema>>,
    pub(crate) shared: Shared,
}

impl<'s, 'r> Reader<'s, 'r> {
    pub(crate) fn new(source: &'s str, limits: &'r Limits, report: &'r mut Report, lenient: bool) -> Self {
        Self {
            json: Json::new(source),
            report,
            limits,
            lenient,
            references: Vec::new(),
            schemas: HashMap::new(),
            compiled: HashMap::new(),
            shared: Shared::default(),
        }
    }

    /// Reports that the value that comes next is of another kind than it should be, and passes over it.
    pub(crate) fn wrong_type(&mut self, wanted: &str) -> Read<()> {
        let found = self.json.peek()?;
        let offset = self.json.offset();
        self.report.add(
            ViolationCode::WrongType,
            At::Offset(offset),
            format!("expected {wanted}, found {}", found.described()),
            None,
        );
        self.json.skip()
    }
}
