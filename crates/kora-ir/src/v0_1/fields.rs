//! Fields of a 0.1 document, as KORA's models read them: unknown ones are ignored, types are strict.
//!
//! The runtime would turn `"5"` into 5 where a number belongs; that is a guess, and refused here.

use serde_json::{Map, Value};

use super::trail::Trail;
use crate::pointer::push_token;
use crate::read::kind_of;
use crate::report::{At, Report};
use crate::{Limits, ViolationCode};

/// An object of the document.
pub(super) type Fields = Map<String, Value>;

/// Maps a document and reports what cannot be mapped, where it stands.
pub(super) struct Mapper<'r> {
    pub(super) report: &'r mut Report,
    pub(super) limits: &'r Limits,
    pub(super) trail: Trail,
}

impl Mapper<'_> {
    pub(super) fn add(&mut self, code: ViolationCode, pointer: &str, message: String, help: &str) {
        self.report.add(code, At::Pointer(pointer.to_owned()), message, help.to_owned());
    }

    pub(super) fn wrong_type(&mut self, pointer: &str, wanted: &str) {
        let at = At::Pointer(pointer.to_owned());
        self.report.add(ViolationCode::WrongType, at, format!("expected {wanted}"), None);
    }

    pub(super) fn not_portable(&mut self, pointer: &str, message: &str, help: &str) {
        self.add(ViolationCode::NotPortable, pointer, message.to_owned(), help);
    }

    pub(super) fn string<'v>(&mut self, object: &'v Fields, at: &str, name: &str) -> Option<&'v str> {
        match object.get(name) {
            Some(Value::String(text)) => Some(text),
            found => self.missing_or_wrong(found, at, name, "a string"),
        }
    }

    pub(super) fn object<'v>(&mut self, object: &'v Fields, at: &str, name: &str) -> Option<&'v Fields> {
        match object.get(name) {
            Some(Value::Object(fields)) => Some(fields),
            found => self.missing_or_wrong(found, at, name, "an object"),
        }
    }

    pub(super) fn array<'v>(&mut self, object: &'v Fields, at: &str, name: &str) -> Option<&'v [Value]> {
        match object.get(name) {
            Some(Value::Array(items)) => Some(items),
            found => self.missing_or_wrong(found, at, name, "an array"),
        }
    }

    /// An object that may be absent, and is empty then.
    pub(super) fn optional_object(&mut self, object: &Fields, at: &str, name: &str) -> Option<Fields> {
        if object.contains_key(name) { self.object(object, at, name).cloned() } else { Some(Map::new()) }
    }

    fn missing_or_wrong<T>(
        &mut self,
        found: Option<&Value>,
        at: &str,
        name: &str,
        wanted: &str,
    ) -> Option<T> {
        if let Some(found) = found {
            let mut pointer = at.to_owned();
            push_token(&mut pointer, name);
            self.wrong_type(&pointer, &format!("{wanted}, found {}", kind_of(found)));
        } else {
            let message = format!("`{name}` is missing");
            self.add(ViolationCode::MissingField, at, message, "Task IR 0.1 requires it");
        }
        None
    }

    /// Reports `$from` in a payload: a plain name in 0.1, a reference in 1.0.
    pub(super) fn refuse_references(&mut self, value: &Value, pointer: &str) {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            Value::Array(items) => {
                for (nth, item) in items.iter().enumerate() {
                    self.refuse_references(item, &format!("{pointer}/{nth}"));
                }
            }
            Value::Object(fields) => {
                for (name, field) in fields {
                    let mut below = pointer.to_owned();
                    push_token(&mut below, name);
                    if name == "$from" {
                        self.not_portable(
                            &below,
                            "`$from` is a plain name in Task IR 0.1 and a reference in 1.0",
                            "rename the field",
                        );
                    }
                    self.refuse_references(field, &below);
                }
            }
        }
    }
}
