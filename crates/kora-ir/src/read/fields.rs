//! Objects with known fields: each at most once, unknown ones reported with the nearest known name.

use std::collections::HashSet;

use super::{Kind, Read, Reader};
use crate::report::At;
use crate::{ViolationCode, suggest};

/// The fields of one kind of object.
pub(super) trait Field: Copy {
    /// All names, in the order of the documentation.
    const NAMES: &'static [&'static str];
    /// The field with this name.
    fn of(name: &str) -> Option<Self>;
    /// Its place among the others.
    fn ordinal(self) -> usize;
}

/// Declares an enum of fields from their names.
macro_rules! fields {
    ($fields:ident { $($field:ident = $name:literal),+ $(,)? }) => {
        #[derive(Clone, Copy)]
        enum $fields { $($field),+ }

        impl $crate::read::fields::Field for $fields {
            const NAMES: &'static [&'static str] = &[$($name),+];
            fn of(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$field),)+
                    _ => None,
                }
            }
            fn ordinal(self) -> usize {
                self as usize
            }
        }
    };
}
pub(super) use fields;

/// An object that is being read.
pub(super) struct Object {
    /// Of its opening brace.
    pub(super) offset: usize,
    entered: bool,
    seen: u32,
    unknown: Option<HashSet<String>>,
    what: &'static str,
}

impl Object {
    pub(super) fn has(&self, field: impl Field) -> bool {
        self.seen & (1 << field.ordinal()) != 0
    }
}

impl<'s> Reader<'s, '_> {
    /// Starts to read an object, or reports that there is none. `what` names it in messages: "a task".
    pub(super) fn object(&mut self, what: &'static str) -> Read<Option<Object>> {
        if self.json.peek()? != Kind::Object {
            self.wrong_type(&format!("{what}, an object"))?;
            return Ok(None);
        }
        let offset = self.json.offset();
        Ok(Some(Object { offset, entered: false, seen: 0, unknown: None, what }))
    }

    /// The next known field, whose value comes next. Reports unknown and repeated ones.
    pub(super) fn next_field<F: Field>(&mut self, object: &mut Object) -> Read<Option<F>> {
        loop {
            let key = if object.entered { self.json.next_key()? } else { self.json.enter_object()? };
            object.entered = true;
            let Some(key) = key else { return Ok(None) };
            if let Some(field) = F::of(&key.text) {
                let bit = 1 << field.ordinal();
                if object.seen & bit == 0 {
                    object.seen |= bit;
                    return Ok(Some(field));
                }
                self.repeated_key(&key.text, key.offset);
            } else if !object.unknown.get_or_insert_default().insert(key.text.clone().into_owned()) {
                self.repeated_key(&key.text, key.offset);
            } else if !self.lenient {
                let name = shorten(&key.text);
                let help = (!self.report.is_full()).then(|| suggest::help(&key.text, F::NAMES));
                self.report.add(
                    ViolationCode::UnknownField,
                    At::Offset(key.offset),
                    format!("unknown field `{name}` in {}", object.what),
                    help,
                );
            }
            // Read, not skipped: it is part of the digest, so it must be unambiguous too.
            self.plain_value()?;
        }
    }

    pub(super) fn repeated_key(&mut self, name: &str, offset: usize) {
        self.report.add(
            ViolationCode::DuplicateKey,
            At::Offset(offset),
            format!("`{}` stands here a second time in the same object", shorten(name)),
            String::from("keep one of them"),
        );
    }

    /// Reports every field of `required` that the object lacks.
    pub(super) fn require<F: Field>(&mut self, object: &Object, required: &[F], help: &str) {
        for &field in required {
            if !object.has(field) {
                self.report.add(
                    ViolationCode::MissingField,
                    At::Offset(object.offset),
                    format!("{} lacks `{}`", object.what, F::NAMES[field.ordinal()]),
                    (!help.is_empty()).then(|| help.to_owned()),
                );
            }
        }
    }
}

/// A name from the document, cut to a length that a message can hold.
pub(crate) fn shorten(name: &str) -> String {
    if name.chars().count() <= 64 { name.to_owned() } else { name.chars().take(63).chain(['…']).collect() }
}
