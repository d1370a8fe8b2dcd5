//! Reads a document in one tolerant pass: everything that is wrong with its shape is reported, what is right is kept.

mod conditions;
mod draft;
mod fields;
mod graph;
mod json;
mod payload;
mod run;
mod task;
mod words;

use std::collections::HashMap;
use std::sync::Arc;

pub(crate) use self::draft::{
    BudgetDraft, ConditionDraft, EdgeDraft, GraphDraft, ReferenceDraft, RunDraft, SkipDraft, TaskDraft,
};
pub(crate) use self::fields::shorten;
pub(crate) use self::json::{Broken, Json, Kind, Read, Why};
pub(crate) use self::payload::MAX_DEPTH;
use crate::pointer::Pointer;
use crate::report::{At, Report};
use crate::{Limits, OutputSchema, ViolationCode};

/// The kind of a value, with its article.
pub(crate) fn described(value: &serde_json::Value) -> &'static str {
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

/// What templates have in common: tasks by the thousand name the same members and point to the same places. Kept once,
/// it also stays in the processor's cache when they run.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    names: HashMap<String, Arc<str>>,
    pointers: HashMap<String, Arc<Pointer>>,
}

impl Shared {
    pub(crate) fn name(&mut self, name: String) -> Arc<str> {
        Arc::clone(self.names.entry(name).or_insert_with_key(|name| name.as_str().into()))
    }

    pub(crate) fn pointer(&mut self, pointer: String) -> Arc<Pointer> {
        Arc::clone(self.pointers.entry(pointer).or_insert_with_key(|pointer| Arc::new(Pointer::new(pointer))))
    }
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
