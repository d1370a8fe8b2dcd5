//! The output schema: the only gate through which an output becomes one that may travel (I2, C2.4).

mod admit;
mod compile;
mod cost;
mod location;
mod tighten;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use thiserror::Error;

pub(crate) use self::compile::deeper_than;
pub(crate) use self::tighten::open;
use crate::pointer::Pointer;
use crate::{Limits, ViolationCode};

/// A compiled JSON Schema 2020-12, tightened (S3). Compiled once per distinct schema of a graph.
pub struct OutputSchema {
    document: Value,
    validator: jsonschema::Validator,
    notes: Vec<(String, String)>,
    names: BTreeSet<String>,
    max_output_bytes: usize,
    cost: cost::Cost,
}

impl OutputSchema {
    /// Compiles a schema, after writing out its defaults (S3).
    ///
    /// # Errors
    ///
    /// [`SchemaError`] if `document` is not a JSON Schema 2020-12 that stands on its own and can be checked in
    /// bounded time, or has more bytes than [`Limits::max_schema_bytes`].
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

impl OutputSchema {
    /// The most bytes that there can be at `pointer` of an output, `None` unless every output that is admitted has
    /// something there. A proof from `type`, `required` and `properties` alone: other keywords can only refuse more.
    pub(crate) fn most_bytes_at(&self, pointer: &Pointer) -> Option<usize> {
        let mut schema = &self.document;
        for token in pointer.tokens() {
            let required = schema.get("required")?.as_array()?;
            if schema.get("type")? != "object" || !required.iter().any(|name| name == token) {
                return None;
            }
            let below = schema.get("properties").and_then(|properties| properties.get(token));
            schema = below.unwrap_or(&Value::Null);
        }
        Some(match schema.get("type").and_then(Value::as_str) {
            Some("integer" | "number" | "boolean" | "null") => SCALAR_BYTES,
            Some(_) | None => self.max_output_bytes,
        })
    }

    /// Keywords that check nothing: where they stand, and what to know about them.
    pub(crate) fn notes(&self) -> &[(String, String)] {
        &self.notes
    }
}

impl fmt::Debug for OutputSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OutputSchema").field(&self.document).finish()
    }
}

/// What a number, a truth value or nothing counts for, wherever bytes of values are counted.
pub(crate) const SCALAR_BYTES: usize = 4;

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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compile(document: Value) -> Result<OutputSchema, SchemaError> {
        OutputSchema::compile(document, &Limits::default())
    }

    fn admits(schema: &Value, output: Value) -> bool {
        compile(schema.clone()).unwrap().admit(output).is_ok()
    }

    // shows C2.4
    #[test]
    fn an_object_schema_refuses_what_it_does_not_name() {
        let schema = json!({"type": "object", "properties": {"a": {"properties": {"b": {}}}}});
        assert!(admits(&schema, json!({"a": {"b": 1}})));
        assert!(!admits(&schema, json!({"a": {"b": 1}, "c": 2})));
        assert!(!admits(&schema, json!({"a": {"b": 1, "c": 2}})));
        assert!(admits(&json!({"type": "object", "additionalProperties": true}), json!({"c": 2})));
        assert!(admits(&json!({}), json!({"c": 2})));
        assert!(!admits(&json!({"type": "object"}), json!({"c": 2})));
    }

    #[test]
    fn schemas_that_describe_one_object_together_do_not_refuse_each_others_properties() {
        let schema = json!({
            "properties": {"a": true},
            "allOf": [{"properties": {"b": true}}, {"$ref": "#/$defs/c"}],
            "$defs": {"c": {"type": "object", "properties": {"c": true}}},
        });
        assert!(admits(&schema, json!({"a": 1, "b": 2, "c": 3})));
        assert!(!admits(&schema, json!({"a": 1, "d": 2})));
        let compiled = compile(schema).unwrap();
        assert_eq!(compiled.document()["unevaluatedProperties"], json!(false));
        assert_eq!(compiled.document()["$defs"]["c"].get("additionalProperties"), None);
    }

    #[test]
    fn alternatives_and_definitions_that_stand_alone_are_closed_one_by_one() {
        let schema = json!({
            "anyOf": [{"$ref": "#/$defs/leaf"}, {"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}, "required": ["left"]}],
            "$defs": {"leaf": {"properties": {"leaf": {"type": "integer"}}, "required": ["leaf"]}},
        });
        let compiled = compile(schema.clone()).unwrap();
        assert_eq!(compiled.document()["$defs"]["leaf"]["additionalProperties"], json!(false));
        assert_eq!(compiled.document().get("unevaluatedProperties"), None);
        assert!(admits(&schema, json!({"left": {"leaf": 1}, "right": {"left": {"leaf": 2}}})));
        assert!(!admits(&schema, json!({"left": {"leaf": 1, "x": 1}})));
    }

    #[test]
    fn what_every_output_has_is_known_from_the_schema() {
        let schema = compile(json!({
            "type": "object", "required": ["a", "n", "free"],
            "properties": {
                "a": {"type": "object", "required": ["b/c"], "properties": {"b/c": {"type": "boolean"}, "d": {}}},
                "n": {"required": ["x"], "properties": {"x": {"type": "null"}}},
                "maybe": {"type": "integer"},
            },
            "additionalProperties": true,
        }))
        .unwrap();
        let most = |pointer: &str| schema.most_bytes_at(&Pointer::new(pointer));
        assert_eq!(most("/a/b~1c"), Some(SCALAR_BYTES));
        assert_eq!((most(""), most("/a"), most("/free")), (Some(16 << 20), Some(16 << 20), Some(16 << 20)));
        // What is no object, `required` asks nothing of.
        for pointer in ["/n/x", "/maybe", "/a/d", "/a/b~1c/0", "/free/0", "/b"] {
            assert_eq!(most(pointer), None, "{pointer}");
        }
    }

    #[test]
    fn questions_are_not_closed() {
        let schema = json!({
            "properties": {"kind": {"type": "string"}, "size": {"type": "integer"}},
            "if": {"properties": {"kind": {"const": "big"}}}, "then": {"properties": {"size": {"minimum": 10}}},
            "not": {"properties": {"kind": {"const": "none"}}, "required": ["kind"]},
        });
        assert!(admits(&schema, json!({"kind": "big", "size": 10})));
        assert!(!admits(&schema, json!({"kind": "big", "size": 9})));
        assert!(!admits(&schema, json!({"kind": "none", "size": 9})));
        assert!(!admits(&schema, json!({"kind": "big", "size": 10, "x": 1})));
    }

    #[test]
    fn a_definition_that_is_used_both_ways_is_closed_where_it_is_used() {
        let schema = json!({
            "properties": {"alone": {"$ref": "#/$defs/d"}, "both": {"allOf": [{"$ref": "#/$defs/d"}, {"properties": {"e": true}}]}},
            "$defs": {"d": {"properties": {"d": true}}},
        });
        assert!(admits(&schema, json!({"alone": {"d": 1}, "both": {"d": 1, "e": 2}})));
        assert!(!admits(&schema, json!({"alone": {"d": 1, "e": 2}})));
        assert!(!admits(&schema, json!({"both": {"d": 1, "f": 2}})));
    }

    #[test]
    fn a_schema_stands_on_its_own() {
        let refused = |schema: Value, code: ViolationCode, pointer: &str| {
            let error = compile(schema).unwrap_err();
            assert_eq!((error.code, error.pointer.as_str()), (code, pointer));
        };
        refused(
            json!({"items": {"$ref": "https://example.org/s"}}),
            ViolationCode::RemoteSchema,
            "/items/$ref",
        );
        refused(json!({"$ref": "#/$defs/absent"}), ViolationCode::InvalidSchema, "/$ref");
        refused(json!({"$dynamicRef": "#a"}), ViolationCode::UnsupportedSchema, "/$dynamicRef");
        refused(
            json!({"$schema": "http://json-schema.org/draft-07/schema#"}),
            ViolationCode::UnsupportedSchema,
            "/$schema",
        );
        refused(json!({"properties": {"a": 3}}), ViolationCode::InvalidSchema, "/properties/a");
        refused(json!({"type": "objekt"}), ViolationCode::InvalidSchema, "/type");
        refused(json!({"pattern": "(?=a)b"}), ViolationCode::InvalidSchema, "/pattern");
        refused(json!({"pattern": "(a{1000}){1000}"}), ViolationCode::InvalidSchema, "/pattern");
        assert!(
            compile(json!({"$id": "https://example.org/s", "$ref": "#/$defs/a", "$defs": {"a": {}}})).is_ok()
        );
        assert!(compile(json!({"$ref": "#a", "$defs": {"x": {"$anchor": "a", "type": "string"}}})).is_ok());
    }

    #[test]
    fn a_reference_may_be_escaped() {
        let schema = |reference: &str| json!({"$ref": reference, "$defs": {"50%": {"type": "string"}, "a b": {"type": "string"}}});
        for reference in ["#/%24defs/a%20b", "#/$defs/50%25"] {
            assert!(admits(&schema(reference), json!("text")), "{reference}");
            assert!(!admits(&schema(reference), json!(1)), "{reference}");
        }
        for reference in ["#/$defs/50%", "#/$defs/%ff", "#/$defs/a%2", "#%"] {
            let refused = compile(schema(reference)).unwrap_err();
            assert_eq!(refused.to_string(), format!("/$ref: no schema stands at `{reference}`"));
        }
    }

    // shows C2.4
    #[test]
    fn a_schema_that_was_built_is_as_bounded_as_one_that_was_read() {
        for schema in [
            json!({}),
            json!({"enum": [[], 1, "é"], "title": "two"}),
            json!({"properties": {"a": {"type": "string"}, "b": {}}}),
        ] {
            let bytes = schema.to_string().len();
            let limits = |max_schema_bytes| Limits { max_schema_bytes, ..Limits::default() };
            let compile = |most| OutputSchema::compile(schema.clone(), &limits(most)).map(drop);
            assert_eq!(compile(bytes), Ok(()), "{schema}");
            let refused = compile(bytes - 1).unwrap_err();
            assert_eq!(refused.code, ViolationCode::SchemaTooLarge);
            assert_eq!(refused.to_string(), format!("/: more than {} bytes long", bytes - 1));
        }
    }

    #[test]
    fn no_schema_can_keep_the_gate_busy() {
        let code = |schema: Value| compile(schema).map(|_| ()).unwrap_err().code;
        assert_eq!(code(json!({"$ref": "#"})), ViolationCode::CostlySchema);
        assert_eq!(code(json!({"anyOf": [{"type": "string"}, {"$ref": "#"}]})), ViolationCode::CostlySchema);
        let mut doubling = serde_json::Map::new();
        for nth in 0..40 {
            let next = json!({"$ref": format!("#/$defs/d{}", nth + 1)});
            doubling.insert(format!("d{nth}"), json!({"anyOf": [next, next]}));
        }
        doubling.insert("d40".into(), json!({"const": 1}));
        assert_eq!(code(json!({"$ref": "#/$defs/d0", "$defs": doubling})), ViolationCode::CostlySchema);

        // Looks twice at each level: only shallow outputs can be checked.
        let twice = compile(json!({"allOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}]})).unwrap();
        let nested = |levels: usize| (0..levels).fold(json!([]), |inner, _| json!([inner]));
        assert!(twice.admit(nested(10)).is_ok());
        let started = std::time::Instant::now();
        let refused = twice.admit(nested(80)).unwrap_err();
        assert!(started.elapsed().as_secs() < 5);
        assert!(refused.faults[0].contains("levels of nesting"), "{refused}");
    }

    #[test]
    fn deep_recursion_fits_a_small_stack() {
        // The tallest allowed pile of subschemas on each level of the deepest allowed output.
        let mut pile = json!({"items": {"$ref": "#"}});
        for _ in 0..29 {
            pile = json!({"allOf": [pile]});
        }
        let deep = move || {
            let limits = Limits { max_json_depth: 112, ..Limits::default() };
            let schema = OutputSchema::compile(pile, &limits).unwrap();
            let nested = (0..110).fold(json!([]), |inner, _| json!([inner]));
            schema.admit(nested).is_ok()
        };
        let small = std::thread::Builder::new().stack_size(2 << 20);
        assert!(small.spawn(deep).unwrap().join().unwrap());
    }

    // shows C11.1
    #[test]
    fn a_refusal_says_where_and_what_and_nothing_of_the_output() {
        let schema = compile(json!({
            "type": "object", "required": ["name"],
            "properties": {"name": {"type": "string", "maxLength": 3}, "tags": {"items": {"enum": ["a", "b"]}}},
        }))
        .unwrap();
        let refused = schema.admit(json!({"name": "secret", "tags": ["secret"], "secret": 1})).unwrap_err();
        assert!(!refused.to_string().contains("secret"), "{refused}");
        assert_eq!(refused.faults.len(), 3);
        let open = compile(json!({"additionalProperties": {"type": "string"}})).unwrap();
        assert_eq!(open.admit(json!({"secret": 1})).unwrap_err().to_string(), "`/*` wants type `string`");
        let refused = schema.admit(json!({"tags": []})).unwrap_err();
        assert_eq!(refused.to_string(), "`/` wants the property \"name\"");
    }

    #[test]
    fn an_output_is_exact_and_bounded() {
        let schema = |limits: &Limits| OutputSchema::compile(json!({}), limits).unwrap();
        let open = schema(&Limits::default());
        assert!(open.admit(json!(9_007_199_254_740_991_u64)).is_ok());
        let refused = open.admit(json!({"n": [9_007_199_254_740_992_u64]})).unwrap_err();
        assert_eq!(refused.faults, ["`/*/0` wants a number within ±(2^53 - 1), or a string"]);
        assert!(open.admit(json!(-9_007_199_254_740_992_i64)).is_err());
        let small = schema(&Limits { max_output_bytes: 10, ..Limits::default() });
        assert!(small.admit(json!("12345678")).is_ok());
        assert!(small.admit(json!("123456789")).is_err());
        let flat = schema(&Limits { max_json_depth: 2, ..Limits::default() });
        assert!(flat.admit(json!([[1]])).is_ok());
        assert!(flat.admit(json!([[[1]]])).is_err());
    }

    #[test]
    fn a_refused_output_of_many_faults_names_eight() {
        let faults = |schema: Value, count: usize| {
            compile(schema).unwrap().admit(Value::Array(vec![json!(0); count])).unwrap_err().faults
        };
        assert_eq!(faults(json!({"items": {"type": "string"}}), 1000).len(), 8);
        // Collecting three million reasons would take a gigabyte.
        assert_eq!(faults(json!({"items": {"type": "string"}}), 3_000_000), ["`/0` wants type `string`"]);
        let alternatives = json!({"anyOf": [{"items": {"type": "string"}}, {"items": {"type": "null"}}]});
        assert_eq!(faults(alternatives, 3_000_000).len(), 1);
    }

    #[test]
    fn the_reasons_for_a_refusal_fit_a_small_stack_too() {
        let mut pile = json!({"items": {"$ref": "#"}, "not": {"type": "string"}});
        for _ in 0..29 {
            pile = json!({"allOf": [pile]});
        }
        let deep = move || {
            let limits = Limits { max_json_depth: 112, ..Limits::default() };
            let schema = OutputSchema::compile(pile, &limits).unwrap();
            let nested = (0..110).fold(json!(["text"]), |inner, _| json!([inner]));
            schema.admit(nested).unwrap_err().faults.len()
        };
        let small = std::thread::Builder::new().stack_size(2 << 20);
        assert_eq!(small.spawn(deep).unwrap().join().unwrap(), 1);
    }
}
