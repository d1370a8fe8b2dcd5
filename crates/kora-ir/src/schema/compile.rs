//! From a document to a validator.

use jsonschema::{Draft, PatternOptions};
use serde_json::Value;

use super::{OutputSchema, SchemaError, tighten};
use crate::{Limits, ViolationCode};

/// Bytes of one compiled pattern.
const MAX_PATTERN_BYTES: usize = 1 << 20;

pub(super) fn compile(mut document: Value, limits: &Limits) -> Result<OutputSchema, SchemaError> {
    tighten::tighten(&mut document);
    let validator = jsonschema::options()
        .with_draft(Draft::Draft202012)
        // Annotations only: what a format means differs between libraries, and a gate must not (decision 0001).
        .should_validate_formats(false)
        .with_pattern_options(PatternOptions::regex().size_limit(MAX_PATTERN_BYTES))
        .offline()
        .build(&document)
        .map_err(|error| SchemaError {
            code: ViolationCode::InvalidSchema,
            pointer: error.instance_path().as_str().to_owned(),
            message: error.to_string(),
            help: None,
        })?;
    Ok(OutputSchema {
        document,
        validator,
        max_output_bytes: limits.max_output_bytes,
        max_depth: limits.max_json_depth.min(crate::read::MAX_DEPTH),
    })
}
