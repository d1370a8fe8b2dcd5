//! From a document to a validator.

use jsonschema::{Draft, PatternOptions};
use serde_json::Value;

use super::cost::cost;
use super::location::Locations;
use super::{OutputSchema, SchemaError, tighten};
use crate::read::{MAX_DEPTH, shorten};
use crate::{Limits, ViolationCode};

/// Bytes of one compiled pattern.
const MAX_PATTERN_BYTES: usize = 1 << 20;

pub(super) fn compile(mut document: Value, limits: &Limits) -> Result<OutputSchema, SchemaError> {
    let max_depth = limits.max_json_depth.min(MAX_DEPTH);
    if !is_within(&document, limits.max_schema_bytes) {
        return Err(SchemaError {
            code: ViolationCode::SchemaTooLarge,
            pointer: String::new(),
            message: format!("more than {} bytes long", limits.max_schema_bytes),
            help: Some(format!("use at most {} bytes", limits.max_schema_bytes)),
        });
    }
    // Everything below recurses; a document that was read is within bounds, one that was built may not be.
    if deeper_than(&document, max_depth) {
        return Err(SchemaError {
            code: ViolationCode::JsonTooDeep,
            pointer: String::new(),
            message: format!("nested deeper than {max_depth} levels"),
            help: Some(String::from("flatten the schema")),
        });
    }
    let locations = Locations::of(&document)?;
    tighten::close(&mut document, &locations);
    if let Value::Object(keywords) = &mut document {
        keywords.shift_remove("$id");
    }
    let locations = Locations::of(&document)?;
    let cost = cost(&locations, max_depth)?;
    let validator = jsonschema::options()
        .with_draft(Draft::Draft202012)
        // Annotations only: what a format means differs between libraries, and a gate must not (decision 0001).
        .should_validate_formats(false)
        .with_pattern_options(PatternOptions::regex().size_limit(MAX_PATTERN_BYTES))
        .offline()
        .build(&document)
        .map_err(|error| {
            let pointer = error.instance_path().as_str().to_owned();
            invalid(pointer, &document, error.to_string())
        })?;
    Ok(OutputSchema {
        document,
        validator,
        notes: locations.notes,
        names: locations.names,
        max_output_bytes: limits.max_output_bytes,
        cost,
    })
}

/// Whether a schema has at most so many bytes as JSON, counted without recursion and never too high: what was read
/// within its bound passes.
fn is_within(schema: &Value, most: usize) -> bool {
    let (mut bytes, mut open) = (0_usize, vec![schema]);
    while let Some(value) = open.pop() {
        bytes += match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 1,
            Value::String(text) => 2 + text.len(),
            Value::Array(items) => {
                open.extend(items);
                // Brackets, and a comma after all but the last.
                1 + items.len().max(1)
            }
            Value::Object(fields) => {
                open.extend(fields.values());
                // Each name with its quotes and its colon.
                1 + fields.len().max(1) + fields.keys().map(|name| name.len() + 3).sum::<usize>()
            }
        };
        if bytes > most {
            return false;
        }
    }
    true
}

/// What the validator has against the schema, in words for whoever wrote it.
fn invalid(pointer: String, document: &Value, message: String) -> SchemaError {
    let found = document.pointer(&pointer);
    let is_pattern = pointer.ends_with("/pattern") || pointer.contains("/patternProperties");
    let (message, help) = match (found, is_pattern) {
        (Some(Value::String(pattern)), true) => (
            format!("`{}` is no pattern that can be matched in linear time", shorten(pattern)),
            Some(
                "write a regular expression without look-around and back-references, and with small repetitions",
            ),
        ),
        (Some(Value::Object(_)), true) => (String::from("a property name that is no pattern"), None),
        (Some(found), _) => {
            let keyword =
                pointer.rsplit('/').find(|token| token.parse::<usize>().is_err()).unwrap_or_default();
            (format!("`{}` cannot be {}", shorten(keyword), shorten(&found.to_string())), None)
        }
        (None, _) => (shorten(&message), None),
    };
    SchemaError { code: ViolationCode::InvalidSchema, pointer, message, help: help.map(str::to_owned) }
}

/// Whether arrays and objects are nested deeper than `max`, found without recursion.
pub(crate) fn deeper_than(value: &Value, max: usize) -> bool {
    let mut open = vec![(value, 0)];
    while let Some((value, depth)) = open.pop() {
        match value {
            Value::Array(_) | Value::Object(_) if depth >= max => return true,
            Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(fields) => open.extend(fields.values().map(|field| (field, depth + 1))),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    false
}
