//! The output schema: the only gate through which an output becomes one that may travel (I2, C2.4).

mod admit;
mod compile;
mod tighten;

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use thiserror::Error;

use crate::{Limits, ViolationCode};

/// A compiled JSON Schema 2020-12, tightened (S3). Compiled once per distinct schema of a graph.
pub struct OutputSchema {
    document: Value,
    validator: jsonschema::Validator,
    max_output_bytes: usize,
    max_depth: usize,
}

impl OutputSchema {
    /// Compiles a schema, after writing out its defaults (S3).
    ///
    /// # Errors
    ///
    /// [`SchemaError`] if `document` is not a JSON Schema 2020-12 that stands on its own and can be checked in
    /// bounded time.
    pub fn compile(document: Value, limits: &Limits) -> Result<Self, SchemaError> {
        compile::compile(document, limits)
    }

    /// Lets `output` through if the schema and the size limit admit it. The only maker of [`ValidatedOutput`].
    ///
    /// # Errors
    ///
    /// [`SchemaMismatch`] says which parts of the schema were broken where; it holds nothing of the output itself.
    pub fn admit(&self, output: Value) -> Result<ValidatedOutput, SchemaMismatch> {
        admit::admit(self, output)
    }

    /// The schema as enforced: KORA's, with every default written out.
    pub fn document(&self) -> &Value {
        &self.document
    }
}

impl fmt::Debug for OutputSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OutputSchema").field(&self.document).finish()
    }
}

/// A schema that cannot be compiled.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{}: {message}", if .pointer.is_empty() { "/" } else { .pointer })]
pub struct SchemaError {
    /// Which rule.
    pub code: ViolationCode,
    /// JSON pointer into the schema.
    pub pointer: String,
    /// What is wrong, a lowercase fragment.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
}

/// An output that its schema admitted. There is no other way to make one, and it has no `Deserialize` (C11.1).
///
/// ```compile_fail
/// let forged: kora_ir::ValidatedOutput = serde_json::from_str("{}").unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ValidatedOutput(Arc<Value>);

impl ValidatedOutput {
    /// The output.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// The output, shared.
    pub fn shared(&self) -> Arc<Value> {
        Arc::clone(&self.0)
    }
}

/// An output that its schema refuses.
#[derive(Clone, Debug, Eq, Error, PartialEq, Serialize)]
#[error("{}", .faults.join("; "))]
pub struct SchemaMismatch {
    /// "`/path` …": each place, at most 8, and what the schema wants there. Never the refused value itself (I9).
    pub faults: Vec<String>,
}
