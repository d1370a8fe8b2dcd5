//! The gate itself: bounds first, then the schema, then, only for what is refused, the reasons.

use std::sync::Arc;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

use super::{OutputSchema, SCALAR_BYTES, SchemaMismatch, ValidatedOutput};
use crate::pointer::push_token;

/// The greatest integer that RFC 8785 carries exactly.
const MAX_EXACT: u64 = (1 << 53) - 1;
const MAX_FAULTS: usize = 8;
/// Reasons that the validator may collect at once, of about 400 bytes each.
const MAX_REASONS: u64 = 100_000;
const MAX_FAULT_CHARS: usize = 400;

/// See [`OutputSchema::admit`].
pub(super) fn admit(schema: &OutputSchema, output: Value) -> Result<ValidatedOutput, SchemaMismatch> {
    let mut size = Size::default();
    if let Err(Unbounded { what, mut path }) = bounds(&output, 0, &mut size, schema) {
        path.reverse();
        return Err(SchemaMismatch { faults: vec![fault(schema, path.iter().map(String::as_str), &what)] });
    }
    if schema.validator.is_valid(&output) {
        return Ok(ValidatedOutput(Arc::new(output)));
    }
    Err(SchemaMismatch { faults: reasons(schema, &output, &size) })
}

/// Why the schema refuses the output.
///
/// The validator collects every reason before it gives the first, those of all alternatives included. Where that could
/// be many, only the first is asked for, or none.
fn reasons(schema: &OutputSchema, output: &Value, size: &Size) -> Vec<String> {
    let describe = |error: &ValidationError<'_>| {
        let tokens: Vec<String> = error.instance_path().into_iter().map(|token| token.to_string()).collect();
        fault(schema, tokens.iter().map(String::as_str), &wanted(error.kind()))
    };
    let possible = schema.cost.work_at(size.depth).saturating_mul(size.values);
    if possible <= MAX_REASONS {
        schema.validator.iter_errors(output).take(MAX_FAULTS).map(|error| describe(&error)).collect()
    } else if schema.cost.has_alternatives() {
        vec![String::from(
            "`/` wants what the schema admits; the output is too large to say where it differs",
        )]
    } else {
        schema.validator.validate(output).err().iter().map(describe).collect()
    }
}

/// How large an output is.
#[derive(Default)]
struct Size {
    bytes: usize,
    values: u64,
    depth: usize,
}

struct Unbounded {
    what: String,
    // Innermost first.
    path: Vec<String>,
}

/// Counts bytes (strings as if nothing in them were escaped), levels and numbers in one walk.
///
/// The recursion ends at the schema's bound on depth, far below what a stack holds.
fn bounds(value: &Value, depth: usize, size: &mut Size, schema: &OutputSchema) -> Result<(), Unbounded> {
    let refuse = |what: String| Err(Unbounded { what, path: Vec::new() });
    size.values += 1;
    size.depth = size.depth.max(depth);
    size.bytes += match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => SCALAR_BYTES,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.len(),
        Value::Object(fields) => 2 + 4 * fields.len(),
    };
    if size.bytes > schema.max_output_bytes {
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
        Value::Array(_) | Value::Object(_) if depth >= schema.cost.max_depth() => {
            refuse(format!("at most {} levels of nesting", schema.cost.max_depth()))
        }
        Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
            bounds(item, depth + 1, size, schema).map_err(|fault| fault.below(|| index.to_string()))
        }),
        Value::Object(fields) => fields.iter().try_for_each(|(name, item)| {
            size.bytes += name.len();
            bounds(item, depth + 1, size, schema).map_err(|fault| fault.below(|| name.clone()))
        }),
    }
}

impl Unbounded {
    fn below(mut self, token: impl FnOnce() -> String) -> Self {
        self.path.push(token());
        self
    }
}

/// A place and what is wanted there. Names that are the output's own are its content: they show as `*` (I9).
fn fault<'t>(schema: &OutputSchema, path: impl Iterator<Item = &'t str>, wanted: &str) -> String {
    let mut place = String::new();
    for token in path {
        let known = schema.names.contains(token) || token.bytes().all(|byte| byte.is_ascii_digit());
        push_token(&mut place, if known { token } else { "*" });
    }
    if place.is_empty() {
        place.push('/');
    }
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
