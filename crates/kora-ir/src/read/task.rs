//! One task.

use std::borrow::Cow;
use std::sync::Arc;

use super::fields::{fields, shorten};
use super::payload::number;
use super::{Kind, Read, Reader, TaskDraft, TemplateDraft};
use crate::report::At;
use crate::schema::SchemaError;
use crate::{OutputSchema, Priority, Privacy, Routing, TaskMetadata, TaskType, ViolationCode, digest};

fields! { TaskField {
    Version = "version",
    Id = "id",
    Type = "type",
    Dependencies = "dependencies",
    Input = "input",
    Run = "run",
    Schema = "schema",
    Budget = "budget",
    Routing = "routing",
    Metadata = "metadata",
    Constraints = "constraints",
    SkipWhen = "skip_when",
    Escalation = "escalation",
}}

fields! { RoutingField { PreferredBackend = "preferred_backend", Priority = "priority" } }
fields! { MetadataField { CreatedAt = "created_at", TraceId = "trace_id" } }
fields! { ConstraintsField { Privacy = "privacy" } }

const TYPES: [(&str, TaskType); 3] = [
    ("deterministic", TaskType::Deterministic),
    ("model", TaskType::Model),
    ("aggregation", TaskType::Aggregation),
];
const PRIORITIES: [(&str, Priority); 2] = [("normal", Priority::Normal), ("high", Priority::High)];
const PRIVACIES: [(&str, Privacy); 2] =
    [("local_only", Privacy::LocalOnly), ("allow_remote", Privacy::AllowRemote)];

const REQUIRED: [TaskField; 7] = [
    TaskField::Version,
    TaskField::Id,
    TaskField::Type,
    TaskField::Dependencies,
    TaskField::Input,
    TaskField::Run,
    TaskField::Schema,
];

impl<'s> Reader<'s, '_> {
    pub(super) fn task(&mut self, dependencies: &mut Vec<Cow<'s, str>>) -> Read<TaskDraft<'s>> {
        let mut draft = TaskDraft {
            dependencies: number(dependencies.len())..0,
            references: number(self.references.len())..0,
            ..TaskDraft::default()
        };
        let Some(mut object) = self.object("a task")? else { return Ok(TaskDraft::default()) };
        while let Some(field) = self.next_field(&mut object)? {
            match field {
                TaskField::Version => self.task_version()?,
                TaskField::Id => draft.id = self.id()?,
                TaskField::Type => draft.task_type = self.word(&TYPES)?,
                TaskField::Dependencies => self.dependencies(dependencies)?,
                TaskField::Input => draft.input = self.input()?,
                TaskField::Run => draft.run = self.run()?,
                TaskField::Schema => draft.schema = self.schema()?,
                TaskField::Budget => draft.budget = self.budget()?,
                TaskField::Routing => draft.routing = self.routing()?,
                TaskField::Metadata => draft.metadata = self.metadata()?,
                TaskField::Constraints => draft.privacy = self.constraints()?,
                TaskField::SkipWhen => draft.skip_when = self.skip_when()?,
                TaskField::Escalation => draft.escalation = self.escalation()?,
            }
        }
        self.require(&object, &REQUIRED, "");
        draft.dependencies.end = number(dependencies.len());
        draft.references.end = number(self.references.len());
        Ok(draft)
    }

    fn task_version(&mut self) -> Read<()> {
        let offset = self.next_offset()?;
        let Some(text) = self.string()? else { return Ok(()) };
        let newer = text.strip_prefix("1.").is_some_and(|minor| {
            !minor.is_empty() && minor.len() < 5 && minor.bytes().all(|byte| byte.is_ascii_digit())
        });
        if text != "1.0" && !(self.lenient && newer) {
            self.report.add(
                ViolationCode::VersionMismatch,
                At::Offset(offset),
                format!("task version `{}` is not read here", shorten(&text)),
                String::from("write \"1.0\""),
            );
        }
        Ok(())
    }

    fn dependencies(&mut self, dependencies: &mut Vec<Cow<'s, str>>) -> Read<()> {
        if self.json.peek()? != Kind::Array {
            return self.wrong_type("an array of task ids");
        }
        let offset = self.json.offset();
        let first = dependencies.len();
        let mut more = self.json.enter_array()?;
        while more {
            if dependencies.len() - first >= self.limits.max_fan_in
                || dependencies.len() >= self.limits.max_edges
            {
                // Reported once; the rest of the array is passed over.
                self.report.add(
                    ViolationCode::TooManyDependencies,
                    At::Offset(offset),
                    format!(
                        "more than {} dependencies of one task, or {} of all tasks together",
                        self.limits.max_fan_in, self.limits.max_edges
                    ),
                    String::from("aggregate in stages"),
                );
                while more {
                    self.json.skip_next()?;
                    more = self.json.next_element()?;
                }
                return Ok(());
            }
            // A faulty id keeps its place, so that pointers count right; the empty id is never declared.
            let id = self.id()?.unwrap_or_default();
            dependencies.push(id);
            more = self.json.next_element()?;
        }
        Ok(())
    }

    fn input(&mut self) -> Read<Option<TemplateDraft>> {
        if self.json.peek()? != Kind::Object {
            self.wrong_type("an object")?;
            return Ok(None);
        }
        self.template().map(Some)
    }

    fn routing(&mut self) -> Read<Routing> {
        let mut routing = Routing::default();
        let Some(mut object) = self.object("`routing`")? else { return Ok(routing) };
        while let Some(field) = self.next_field(&mut object)? {
            match field {
                RoutingField::PreferredBackend => {
                    routing.preferred_backend = self.owned_string()?.map(String::into_boxed_str);
                }
                RoutingField::Priority => routing.priority = self.word(&PRIORITIES)?.unwrap_or_default(),
            }
        }
        Ok(routing)
    }

    fn metadata(&mut self) -> Read<Option<Box<TaskMetadata>>> {
        let mut metadata = TaskMetadata::default();
        let Some(mut object) = self.object("`metadata`")? else { return Ok(None) };
        while let Some(field) = self.next_field(&mut object)? {
            match field {
                MetadataField::CreatedAt => metadata.created_at = self.owned_string()?,
                MetadataField::TraceId => metadata.trace_id = self.owned_string()?,
            }
        }
        let says_something = metadata != TaskMetadata::default();
        Ok(says_something.then(|| Box::new(metadata)))
    }

    fn constraints(&mut self) -> Read<Privacy> {
        let mut privacy = Privacy::default();
        let Some(mut object) = self.object("`constraints`")? else { return Ok(privacy) };
        while let Some(field) = self.next_field(&mut object)? {
            match field {
                ConstraintsField::Privacy => privacy = self.word(&PRIVACIES)?.unwrap_or_default(),
            }
        }
        Ok(privacy)
    }

    /// A schema, compiled unless an equal one was before.
    pub(super) fn schema(&mut self) -> Read<Option<Arc<OutputSchema>>> {
        let start = self.next_offset()?;
        let mark = self.json.clone();
        self.json.skip_next()?;
        let text = self.json.text_from(start);
        if let Some(known) = self.schemas.get(text) {
            return Ok(known.clone());
        }
        let schema = if self.check_size(start, self.limits.max_schema_bytes, ViolationCode::SchemaTooLarge) {
            // Read again, this time for its content: a new schema is rare.
            self.json = mark;
            let violations = self.report.count();
            let document = self.plain_value()?;
            if self.report.count() == violations { self.compile(document, start) } else { None }
        } else {
            None
        };
        self.schemas.insert(text, schema.clone());
        Ok(schema)
    }

    fn compile(&mut self, document: serde_json::Value, start: usize) -> Option<Arc<OutputSchema>> {
        let canonical = digest::canonical(&document);
        if let Some(known) = self.compiled.get(&canonical) {
            return Some(Arc::clone(known));
        }
        if self.compiled.len() >= self.limits.max_schemas {
            self.report.add(
                ViolationCode::TooManySchemas,
                At::Offset(start),
                format!("more than {} different schemas", self.limits.max_schemas),
                String::from("share schemas between tasks"),
            );
            return None;
        }
        match OutputSchema::compile(document, self.limits) {
            Ok(schema) => {
                let schema = Arc::new(schema);
                self.compiled.insert(canonical, Arc::clone(&schema));
                Some(schema)
            }
            Err(SchemaError { code, pointer, message, help }) => {
                self.report.add(code, At::Within(start, pointer), message, help);
                None
            }
        }
    }
}
