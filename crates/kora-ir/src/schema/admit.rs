//! The gate itself: bounds first, then the schema, then, only for what is refused, the reasons.

use std::sync::Arc;

use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

use super::{OutputSchema, SchemaMismatch, ValidatedOutput};
use crate::pointer::push_token;

/// The greatest integer that RFC 8785 carries exactly.
const MAX_EXACT: u64 = (1 << 53) - 1;
const MAX_FAULTS: usize = 8;
const MAX_FAULT_CHARS: usize = 400;

/// See [`OutputSchema::admit`].
pub(super) fn admit(schema: &OutputSchema, output: Value) -> Result<ValidatedOutput, SchemaMismatch> {
    let mut bytes = 0;
    if let Err(Unbounded { what, mut path }) = bounds(&output, schema.max_depth, &mut bytes, schema) {
        let mut place = String::new();
        while let Some(token) = path.pop() {
            push_token(&mut place, &token);
        }
        return Err(SchemaMismatch { faults: vec![fault(&place, &what)] });
    }
    if schema.validator.is_valid(&output) {
        return Ok(ValidatedOutput(Arc::new(output)));
    }
    let errors = schema.validator.iter_errors(&output).take(MAX_FAULTS);
    let faults = errors.map(|error| fault(error.instance_path().as_str(), &wanted(error.kind()))).collect();
    Err(SchemaMismatch { faults })
}

struct Unbounded {
    what: String,
    // Innermost first.
    path: Vec<String>,
}

/// Counts bytes (strings as if nothing in them were escaped), levels and numbers in one walk.
///
/// The recursion is bounded by `depth`, which the schema's own bound keeps far below what a stack holds.
fn bounds(value: &Value, depth: usize, bytes: &mut usize, schema: &OutputSchema) -> Result<(), Unbounded> {
    let refuse = |what: String| Err(Unbounded { what, path: Vec::new() });
    *bytes += match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 4,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.len(),
        Value::Object(fields) => 2 + 4 * fields.len(),
    };
    if *bytes > schema.max_output_bytes {
        return refuse(format!("an output of at most {} bytes", schema.max_output_bytes));
    }
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
        Value::Number(number) => {
            let exact = match (number.as_u64(), number.as_i64()) {
                (Some(natural), _) => natural <= MAX_EXACT,
                (None, Some(negative)) => negative.unsigned_abs() <= MAX_EXACT,
                (None, None) => true,
            };
            if exact { Ok(()) } else { refuse(String::from("a number within ±(2^53 - 1), or a string")) }
        }
        Value::Array(_) | Value::Object(_) if depth == 0 => {
            refuse(format!("at most {} levels of nesting", schema.max_depth))
        }
        Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
            bounds(item, depth - 1, bytes, schema).map_err(|fault| fault.below(|| index.to_string()))
        }),
        Value::Object(fields) => fields.iter().try_for_each(|(name, item)| {
            *bytes += name.len();
            bounds(item, depth - 1, bytes, schema).map_err(|fault| fault.below(|| name.clone()))
        }),
    }
}

impl Unbounded {
    fn below(mut self, token: impl FnOnce() -> String) -> Self {
        self.path.push(token());
        self
    }
}

fn fault(place: &str, wanted: &str) -> String {
    let place = if place.is_empty() { "/" } else { place };
    let text = format!("`{place}` wants {wanted}");
    if text.chars().count() <= MAX_FAULT_CHARS {
        text
    } else {
        text.chars().take(MAX_FAULT_CHARS - 1).chain(['…']).collect()
    }
}

/// What the schema wants, from the schema alone: the output's content must not leak through a message (I9).
fn wanted(kind: &ValidationErrorKind) -> String {
    match kind {
        ValidationErrorKind::Type { kind } => match kind {
            jsonschema::error::TypeKind::Single(single) => format!("type `{single}`"),
            jsonschema::error::TypeKind::Multiple(types) => {
                let types: Vec<String> = types.iter().map(|single| format!("`{single}`")).collect();
                format!("one of the types {}", types.join(", "))
            }
        },
        ValidationErrorKind::Required { property } => format!("the property {property}"),
        // The names are the output's own, so they are counted and not repeated.
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            format!("no other properties than the schema's, found {} more", unexpected.len())
        }
        ValidationErrorKind::AdditionalItems { limit } => format!("at most {limit} items"),
        ValidationErrorKind::UnevaluatedItems { unexpected } => {
            format!("no other items than the schema's, found {} more", unexpected.len())
        }
        ValidationErrorKind::Constant { expected_value } => format!("the value {expected_value}"),
        ValidationErrorKind::Enum { options } => format!("one of {options}"),
        ValidationErrorKind::Maximum { limit } => format!("at most {limit}"),
        ValidationErrorKind::Minimum { limit } => format!("at least {limit}"),
        ValidationErrorKind::ExclusiveMaximum { limit } => format!("less than {limit}"),
        ValidationErrorKind::ExclusiveMinimum { limit } => format!("more than {limit}"),
        ValidationErrorKind::MultipleOf { multiple_of } => format!("a multiple of {multiple_of}"),
        ValidationErrorKind::MaxItems { limit } => format!("at most {limit} items"),
        ValidationErrorKind::MinItems { limit } => format!("at least {limit} items"),
        ValidationErrorKind::MaxLength { limit } => format!("at most {limit} characters"),
        ValidationErrorKind::MinLength { limit } => format!("at least {limit} characters"),
        ValidationErrorKind::MaxProperties { limit } => format!("at most {limit} properties"),
        ValidationErrorKind::MinProperties { limit } => format!("at least {limit} properties"),
        ValidationErrorKind::Pattern { pattern } => format!("text that matches `{pattern}`"),
        ValidationErrorKind::UniqueItems => String::from("items that differ from each other"),
        ValidationErrorKind::AnyOf { context } => {
            format!("what one of {} schemas under `anyOf` admits", context.len())
        }
        ValidationErrorKind::OneOfNotValid { context } => {
            format!("what one of {} schemas under `oneOf` admits", context.len())
        }
        ValidationErrorKind::OneOfMultipleValid { .. } => {
            String::from("what exactly one schema under `oneOf` admits, and more than one does")
        }
        ValidationErrorKind::Not { .. } => String::from("what the schema under `not` refuses"),
        ValidationErrorKind::Contains => String::from("an item that the schema under `contains` admits"),
        ValidationErrorKind::PropertyNames { error } => {
            format!("property names that are {}", wanted(error.kind()))
        }
        ValidationErrorKind::FalseSchema => String::from("nothing at all"),
        other @ (ValidationErrorKind::BacktrackLimitExceeded { .. }
        | ValidationErrorKind::RegexEngineFailure { .. }
        | ValidationErrorKind::ContentEncoding { .. }
        | ValidationErrorKind::ContentMediaType { .. }
        | ValidationErrorKind::Custom { .. }
        | ValidationErrorKind::Format { .. }
        | ValidationErrorKind::FromUtf8 { .. }
        | ValidationErrorKind::Referencing(_)) => format!("what `{}` of the schema admits", other.keyword()),
    }
}
