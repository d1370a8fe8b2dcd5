//! A schema, compiled as far as it can be without a vocabulary.

use std::fmt;
use std::sync::Arc;

use kora_ir::{Limits, OutputSchema};
use serde_json::Value;

use crate::trial::{self, Built};
use crate::{GrammarError, SchemaNote, held};

/// The grammar of a schema. A clone is cheap and shares everything.
#[derive(Clone)]
pub struct Grammar(Arc<Compiled>);

struct Compiled {
    built: Built,
    notes: Vec<SchemaNote>,
}

impl Grammar {
    /// Compiles a schema, closed as the gate closes it ([`OutputSchema::document`] and what it was made from give the
    /// same grammar). Its size and depth are bounded as [`Limits::default`] bounds them (I8).
    ///
    /// Text is written without white space, and properties in the order of the schema.
    ///
    /// # Errors
    ///
    /// [`GrammarError::Schema`] if the gate could not compile it either, [`GrammarError::Unsatisfiable`] if no value
    /// could pass the gate, and [`GrammarError::TooComplex`] if it is beyond what is decided in bounded time.
    pub fn compile(schema: &Value) -> Result<Self, GrammarError> {
        let limits = Limits::default();
        let gate = OutputSchema::compile(schema.clone(), &limits).map_err(GrammarError::Schema)?;
        let held::Held { copy, notes } = held::held(gate.document());
        let built = trial::build(copy)?;
        Ok(Self(Arc::new(Compiled { built, notes })))
    }

    /// What decoding cannot promise for this schema, in the order of the schema.
    pub fn notes(&self) -> &[SchemaNote] {
        &self.0.notes
    }

    pub(crate) fn built(&self) -> &Built {
        &self.0.built
    }
}

impl fmt::Debug for Grammar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grammar").field("notes", &self.0.notes).finish_non_exhaustive()
    }
}
