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
const MAX_ROUNDS: usize = 8;

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
    /// Text is written without white space, and properties in the order of the schema. A `format` that is known is
    /// held to, though the gate does not ask for it: it is the one thing in which the grammar admits less than the gate.
    ///
    /// Where no note is [`NoteKind::NotHeld`](crate::NoteKind), what ends passes the gate, unless something unbounded
    /// went beyond what the gate admits of any value: numbers that are not exact, too many levels or bytes, one name
    /// twice in what may be anything.
    ///
    /// # Errors
    ///
    /// [`GrammarError::Schema`] if the gate could not compile it either, [`GrammarError::Unsatisfiable`] if no value
    /// could pass the gate, and [`GrammarError::TooComplex`] if it is beyond what is decided in bounded time.
    pub fn compile(schema: &Value) -> Result<Self, GrammarError> {
        if !is_within(schema, Limits::default().max_schema_bytes) {
            let most = Limits::default().max_schema_bytes;
            return Err(GrammarError::TooComplex(format!("it has more than {most} bytes")));
        }
        let compile = || {
            let gate =
                OutputSchema::compile(schema.clone(), &Limits::default()).map_err(GrammarError::Schema)?;
            compile(gate.document())
        };
        trial::on_a_stack_of_its_own(compile).map_err(GrammarError::Engine)?
    }

    /// What decoding cannot promise for this schema, in the order of the schema.
    pub fn notes(&self) -> &[SchemaNote] {
        &self.0.notes
    }

    pub(crate) fn built(&self) -> &Built {
        &self.0.built
    }
}

/// Whether a schema has at most so many bytes as JSON, counted without recursion and never too high.
fn is_within(schema: &Value, most: usize) -> bool {
    let (mut bytes, mut open) = (0, vec![schema]);
    while let Some(value) = open.pop() {
        bytes += match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 1,
            Value::String(text) => 2 + text.len(),
            Value::Array(items) => {
                open.extend(items);
                1 + items.len()
            }
            Value::Object(fields) => {
                open.extend(fields.values());
                1 + fields.keys().map(|name| name.len() + 4).sum::<usize>()
            }
        };
        if bytes > most {
            return false;
        }
    }
    true
}

/// Tries the whole of what can be held, and less of it where the engine cannot follow.
fn compile(document: &Value) -> Result<Grammar, GrammarError> {
    let places = Places::of(document);
    let refused = match attempt(document, &places, Effort::Whole) {
        Ok(grammar) => return Ok(grammar),
        Err(refused) => refused,
    };
    let less: &[Effort] = if matches!(refused, GrammarError::Unsatisfiable(_)) {
        &[Effort::NothingDoubtful]
    } else {
        &[Effort::OneAtATimeInCircles, Effort::OneAtATime]
    };
    let mut attempts = less.iter().map(|&effort| attempt(document, &places, effort));
    attempts.find_map(Result::ok).ok_or(refused)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sample;

    #[test]
    fn properties_come_in_the_order_of_the_schema() {
        let grammar = sample::grammar(&json!({
            "allOf": [{"properties": {"z": {"type": "null"}}}], "type": "object",
            "properties": {"b": {"type": "null"}, "a": {"type": "null"}},
        }));
        assert!(sample::accepts(&grammar, r#"{"z":null,"b":null,"a":null}"#));
        assert!(sample::accepts(&grammar, r#"{"z":null,"a":null}"#));
        assert!(!sample::accepts(&grammar, r#"{"b":null,"z":null}"#));
        assert!(!sample::accepts(&grammar, r#"{"a":null,"b":null}"#));
    }

    #[test]
    fn there_is_no_white_space_and_nobody_can_ask_for_it() {
        let schema = json!({"type": "array", "items": {"type": "boolean"}, "x-guidance": {"whitespace_flexible": true, "lenient": 1}});
        let grammar = sample::grammar(&schema);
        assert!(sample::accepts(&grammar, "[true,false]"));
        assert!(!sample::accepts(&grammar, "[true, false]"));
        assert!(!sample::accepts(&grammar, " []"));
    }

    #[test]
    fn a_schema_and_what_the_gate_made_of_it_are_one_grammar() {
        let schema = json!({"allOf": [{"$ref": "#/$defs/a"}, {"properties": {"b": {"type": "null"}}}],
            "$defs": {"a": {"properties": {"a": {"type": "string"}}}}});
        let gate = OutputSchema::compile(schema.clone(), &Limits::default()).unwrap();
        let (one, other) = (sample::grammar(&schema), sample::grammar(gate.document()));
        assert_eq!(one.notes(), other.notes());
        for text in [r#"{"a":"x","b":null}"#, r#"{"c":1}"#, "1"] {
            assert_eq!(sample::accepts(&one, text), sample::accepts(&other, text), "{text}");
        }
    }

    #[test]
    fn an_integer_ends_where_numbers_cease_to_be_exact() {
        let grammar = sample::grammar(&json!({"type": "integer"}));
        assert!(grammar.notes().is_empty());
        assert!(sample::accepts(&grammar, "9007199254740991"));
        assert!(sample::accepts(&grammar, "-9007199254740991"));
        assert!(!sample::accepts(&grammar, "9007199254740992"));
    }

    #[test]
    fn what_cannot_be_is_no_obstacle_where_it_need_not_be() {
        let never = json!({"type": "string", "minLength": 2, "maxLength": 1});
        let grammar = sample::grammar(&json!({"type": "object", "properties": {
            "a": {"$ref": "#/$defs/never"}, "b": {"type": "integer", "minimum": 2, "maximum": 1}, "c": {"const": 1},
        }, "$defs": {"never": never}}));
        assert!(sample::accepts(&grammar, r#"{"c":1}"#));
        assert!(!sample::accepts(&grammar, r#"{"a":"x"}"#));
        let refused = Grammar::compile(&json!({"type": "array", "minItems": 1, "items": never})).unwrap_err();
        assert!(matches!(refused, GrammarError::Unsatisfiable(_)), "{refused}");
        assert!(matches!(Grammar::compile(&json!(false)), Err(GrammarError::Unsatisfiable(_))));
    }

    #[test]
    fn what_is_no_schema_is_refused_as_the_gate_refuses_it() {
        for document in [
            json!({"type": "strin"}),
            json!([]),
            json!({"$ref": "https://example.org/s"}),
            json!({"$ref": "#"}),
        ] {
            assert!(matches!(Grammar::compile(&document), Err(GrammarError::Schema(_))), "{document}");
        }
    }

    #[test]
    fn a_circle_costs_only_what_is_on_it() {
        let schema = json!({"type": "object", "required": ["left"], "properties": {
            "left": {"allOf": [{"type": "object", "properties": {"x": {"type": "null"}}}, {"properties": {"y": {"const": 1}}}]},
            "right": {"anyOf": [{"type": "null"}, {"$ref": "#"}], "description": "or nothing"},
        }});
        let grammar = sample::grammar(&schema);
        assert!(
            grammar.notes().iter().all(|note| note.pointer.starts_with("/properties/right")),
            "{:?}",
            grammar.notes()
        );
        assert!(sample::accepts(&grammar, r#"{"left":{"x":null,"y":1},"right":{"left":{},"right":null}}"#));
    }
}
