//! The canonical digest of a graph as KORA wrote it (I1).

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{GraphDigest, write_canonical};

/// Canonical JSON (RFC 8785).
pub(crate) fn canonical(value: &Value) -> Vec<u8> {
    let mut text = Vec::new();
    write_canonical(value, &mut text);
    text
}

/// The digest of a document that was read without violations.
pub(crate) fn of_source(source: &str) -> GraphDigest {
    // Not reached with text that is not JSON: the reader accepted it.
    let document: Value = serde_json::from_str(source).unwrap_or(Value::Null);
    GraphDigest(Sha256::digest(canonical(&document)).into())
}
