//! A schema, compiled as far as it can be without a vocabulary.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use kora_ir::{Limits, OutputSchema};
use serde_json::Value;

use crate::held::Effort;
use crate::place::Places;
use crate::trial::{self, Built};
use crate::{GrammarError, SchemaNote, bounded, held};

/// Notes on one schema.
const MAX_NOTES: usize = 100;
/// Impossible definitions after which no more are looked for.
const MAX_ROUNDS: usize = 20;

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
        trial::on_a_stack_of_its_own(|| compile(gate.document())).map_err(GrammarError::Engine)?
    }

    /// What decoding cannot promise for this schema, in the order of the schema.
    pub fn notes(&self) -> &[SchemaNote] {
        &self.0.notes
    }

    pub(crate) fn built(&self) -> &Built {
        &self.0.built
    }
}

/// Tries the whole of what can be held, and less of it where the engine cannot follow.
fn compile(document: &Value) -> Result<Grammar, GrammarError> {
    let places = Places::of(document);
    let refused = match attempt(document, &places, Effort::Whole) {
        Ok(grammar) => return Ok(grammar),
        Err(refused) => refused,
    };
    let less = if matches!(refused, GrammarError::Unsatisfiable(_)) {
        Effort::NothingDoubtful
    } else {
        Effort::OneAtATime
    };
    attempt(document, &places, less).map_err(|_| refused)
}

fn attempt(document: &Value, places: &Places<'_>, effort: Effort) -> Result<Grammar, GrammarError> {
    // The engine takes a definition that no value satisfies for a defect, also where it need not be used.
    let mut impossible = BTreeSet::new();
    loop {
        let held = held::held(document, places, effort, &impossible)?;
        match trial::build(held.copy.clone()) {
            Ok(built) => {
                let mut notes = held.notes;
                notes.extend(bounded::unbounded(document, places));
                notes.sort();
                notes.dedup();
                notes.truncate(MAX_NOTES);
                return Ok(Grammar(Arc::new(Compiled { built, notes })));
            }
            Err(refused @ GrammarError::Unsatisfiable(_)) if impossible.len() <= MAX_ROUNDS => {
                let known = impossible.len();
                impossible.extend(held.impossible());
                if impossible.len() == known {
                    return Err(refused);
                }
            }
            Err(refused) => return Err(refused),
        }
    }
}

impl fmt::Debug for Grammar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grammar").field("notes", &self.0.notes).finish_non_exhaustive()
    }
}
