//! Arguments read by name, each mistake told with its place.

use kora_ir::kind_of;
use serde_json::{Map, Value};

use crate::pointer::{Pointer, escaped};
use crate::registry::{closest, excerpt, list};
use crate::{Limit, OperationError};

/// The members of an object in the arguments.
pub(crate) struct Fields<'a> {
    members: &'a Map<String, Value>,
    place: String,
}

/// Whether `value` holds a reference, so that it is not known before the task runs (S2).
pub(crate) fn holds_reference(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.contains_key("$from") || members.values().any(holds_reference),
        Value::Array(items) => items.iter().any(holds_reference),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

impl<'a> Fields<'a> {
    /// The arguments themselves. Which names they may have, and must, is read from their schema.
    pub(crate) fn of_args(args: &'a Value, schema: &'a Value) -> Result<Self, OperationError> {
        let known: Vec<&str> =
            schema["properties"].as_object().into_iter().flat_map(Map::keys).map(String::as_str).collect();
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        static NONE: std::sync::LazyLock<Value> = std::sync::LazyLock::new(|| Value::Object(Map::new()));
        Self::of(if args.is_null() { &NONE } else { args }, "/args".to_owned(), &known, &required)
    }

    /// An object inside the arguments, at `place`.
    pub(crate) fn of(
        value: &'a Value,
        place: String,
        known: &[&str],
        required: &[&str],
    ) -> Result<Self, OperationError> {
        let Value::Object(members) = value else {
            return Err(OperationError::invalid_args(
                place,
                format!("expected an object, found {}", kind_of(value)),
            )
            .mend(members_are(known)));
        };
        if members.contains_key("$from") {
            return Err(unknown_here(place));
        }
        if let Some(name) = members.keys().find(|name| !known.contains(&name.as_str())) {
            let error = OperationError::invalid_args(
                format!("{place}/{}", escaped(&excerpt(name))),
                format!("there is no member `{}` here", excerpt(name)),
            );
            return Err(error.mend(match closest(name, known.iter().copied()) {
                Some(closest) => format!("did you mean `{closest}`?"),
                None => members_are(known),
            }));
        }
        if let Some(name) = required.iter().find(|name| !members.contains_key(**name)) {
            return Err(OperationError::invalid_args(place, format!("member `{name}` is missing"))
                .mend(format!("add `{name}`")));
        }
        Ok(Self { members, place })
    }

    /// The JSON pointer to a member.
    pub(crate) fn place(&self, name: &str) -> String {
        format!("{}/{name}", self.place)
    }

    /// A member that is data: it may hold references and is then not known yet.
    pub(crate) fn data(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name)
    }

    /// A member that has to be known before anything runs.
    pub(crate) fn literal(&self, name: &str) -> Result<Option<&'a Value>, OperationError> {
        match self.members.get(name) {
            Some(value) if holds_reference(value) => Err(unknown_here(self.place(name))),
            found => Ok(found),
        }
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>, OperationError> {
        self.literal(name)?
            .map(|value| value.as_str().ok_or_else(|| self.expected(name, "a string", value)))
            .transpose()
    }

    /// A string that the schema requires.
    pub(crate) fn required_text(&self, name: &str) -> Result<&'a str, OperationError> {
        self.text(name)?.ok_or_else(|| self.missing(name))
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, OperationError> {
        match self.literal(name)? {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.expected(name, "a boolean", other)),
        }
    }

    /// One of a few words; the first is the default.
    pub(crate) fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<T, OperationError> {
        let word = match self.text(name)? {
            None => return Ok(choices[0].1),
            Some(word) => word,
        };
        choices.iter().find(|(choice, _)| *choice == word).map(|(_, meaning)| *meaning).ok_or_else(|| {
            OperationError::invalid_args(
                self.place(name),
                format!("`{}` is not a choice here", excerpt(word)),
            )
            .mend(format!("use one of {}", list(choices.iter().map(|(choice, _)| *choice))))
        })
    }

    pub(crate) fn pointer(&self, name: &str) -> Result<Option<Pointer>, OperationError> {
        self.text(name)?.map(|text| Pointer::parse(text, || self.place(name))).transpose()
    }

    /// A list of no more than `limit` entries, each with its place.
    pub(crate) fn entries(
        &self,
        name: &str,
        limit: u64,
    ) -> Result<Option<Vec<(String, &'a Value)>>, OperationError> {
        let Some(value) = self.literal(name)? else { return Ok(None) };
        let items = value.as_array().ok_or_else(|| self.expected(name, "an array", value))?;
        if items.len() as u64 > limit {
            return Err(OperationError::limit(Limit::Entries, limit).at(self.place(name)));
        }
        let place = self.place(name);
        Ok(Some(items.iter().enumerate().map(|(index, item)| (format!("{place}/{index}"), item)).collect()))
    }

    /// An object of no more than `limit` members.
    pub(crate) fn table(&self, name: &str, limit: u64) -> Result<&'a Map<String, Value>, OperationError> {
        let value = self.literal(name)?.ok_or_else(|| self.missing(name))?;
        let members = value.as_object().ok_or_else(|| self.expected(name, "an object", value))?;
        if members.len() as u64 > limit {
            return Err(OperationError::limit(Limit::Entries, limit).at(self.place(name)));
        }
        Ok(members)
    }

    pub(crate) fn missing(&self, name: &str) -> OperationError {
        OperationError::invalid_args(self.place.clone(), format!("member `{name}` is missing"))
            .mend(format!("add `{name}`"))
    }

    fn expected(&self, name: &str, wanted: &str, found: &Value) -> OperationError {
        expected_arg(self.place(name), wanted, found)
    }
}

/// An argument of the wrong type.
pub(crate) fn expected_arg(place: String, wanted: &str, found: &Value) -> OperationError {
    OperationError::invalid_args(place, format!("expected {wanted}, found {}", kind_of(found)))
        .mend(format!("write {wanted} here"))
}

/// An input of the wrong type, at a pointer into the input.
pub(crate) fn expected_input(pointer: &str, wanted: &str, found: &Value) -> OperationError {
    OperationError::invalid_input(
        format!("/input{pointer}"),
        format!("expected {wanted}, found {}", kind_of(found)),
    )
    .mend(format!("pass {wanted}, or point elsewhere in the arguments"))
}

fn unknown_here(place: String) -> OperationError {
    OperationError::invalid_args(
        place,
        "a reference cannot stand here, because this is checked before anything runs",
    )
    .mend("write it literally, and pass what varies in `input`")
}

fn members_are(known: &[&str]) -> String {
    if known.is_empty() {
        "it takes no members".to_owned()
    } else {
        format!("its members are {}", list(known.iter().copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(args: Value) -> Result<(), OperationError> {
        let schema = json!({"properties": {"pattern": {}, "at": {}}, "required": ["pattern"]});
        let fields = Fields::of_args(&args, &schema)?;
        fields.required_text("pattern").map(drop)
    }

    #[test]
    fn each_mistake_is_told_with_its_place() {
        let told: Vec<String> = [
            json!(7),
            json!({"$from": "a"}),
            json!({"patern": "x"}),
            json!({"zzz": 1}),
            json!({}),
            json!({"pattern": 7}),
            json!({"pattern": {"$from": "a"}}),
        ]
        .into_iter()
        .map(|args| format!("{args}: {}", check(args.clone()).unwrap_err()))
        .collect();
        insta::assert_snapshot!(told.join("\n"));
    }
}
