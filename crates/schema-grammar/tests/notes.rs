//! What is said of schemas, one by one.

use std::fmt::Write;

use schema_grammar::Grammar;
use serde_json::{Value, json};

fn table() -> Vec<(&'static str, Value)> {
    let many = |property: Value| json!({"type": "object", "properties": {"a": property}, "required": ["a"]});
    vec![
        (
            "an object that ends",
            json!({"type": "object", "required": ["name", "age"], "properties": {
            "name": {"type": "string", "maxLength": 40}, "age": {"type": "integer", "minimum": 0, "maximum": 150}}}),
        ),
        ("anything", json!({})),
        ("true", json!(true)),
        ("a string", many(json!({"type": "string"}))),
        ("a pattern with both ends", many(json!({"type": "string", "pattern": "^[A-Z]{2}[0-9]{4}$"}))),
        ("a pattern without an end", many(json!({"type": "string", "pattern": "^[A-Z]+"}))),
        ("word boundaries", many(json!({"type": "string", "maxLength": 9, "pattern": r"\bword\b"}))),
        (
            "a date and an email",
            many(json!({"type": "array", "maxItems": 2, "items": {"type": "string", "format": "date"},
            "prefixItems": [{"type": "string", "format": "email"}]})),
        ),
        ("an unknown format", many(json!({"type": "string", "maxLength": 9, "format": "isbn"}))),
        (
            "a pattern and a length that exclude each other",
            many(json!({"type": "string", "pattern": "^a{3}$", "maxLength": 2})),
        ),
        (
            "numbers",
            json!({"type": "object", "properties": {
            "free": {"type": "number"}, "bounded": {"type": "number", "minimum": 0, "maximum": 1},
            "cents": {"type": "number", "multipleOf": 0.01}, "price": {"type": "number", "minimum": 0, "maximum": 1000, "multipleOf": 0.01},
            "sevenths": {"type": "number", "minimum": 0, "maximum": 1, "multipleOf": 0.142857142857142},
            "huge": {"type": "number", "minimum": 0, "maximum": 1e300, "multipleOf": 1}, "whole": {"type": "integer"}}}),
        ),
        ("an empty range", many(json!({"type": "integer", "minimum": 5, "maximum": 3}))),
        ("a list", json!({"type": "array", "items": {"type": "boolean"}})),
        ("a list without items", json!({"type": "array", "maxItems": 3})),
        (
            "a tuple",
            json!({"type": "array", "prefixItems": [{"const": 1}, {"type": "null"}], "items": false, "minItems": 2}),
        ),
        (
            "unique items",
            json!({"type": "array", "maxItems": 3, "items": {"enum": ["a", "b"]}, "uniqueItems": true}),
        ),
        (
            "contains",
            json!({"type": "array", "maxItems": 3, "items": {"type": "integer"}, "contains": {"const": 1}}),
        ),
        ("a huge list", json!({"type": "array", "maxItems": 1_000_000_000, "items": {"type": "boolean"}})),
        ("a huge string", json!({"type": "string", "maxLength": 1_000_000_000})),
        (
            "open properties",
            json!({"type": "object", "properties": {"a": {"type": "boolean"}}, "additionalProperties": {"type": "integer"}}),
        ),
        (
            "pattern properties",
            json!({"type": "object", "patternProperties": {"^x": {"type": "integer"}, "y$": {"type": "boolean"}}}),
        ),
        (
            "property names",
            json!({"type": "object", "additionalProperties": {"type": "integer"}, "propertyNames": {"maxLength": 3}, "maxProperties": 2}),
        ),
        (
            "counts of optional properties",
            json!({"type": "object", "properties": {"a": {"const": 1}, "b": {"const": 2}, "c": {"const": 3}}, "minProperties": 2}),
        ),
        (
            "at least one property",
            json!({"type": "object", "properties": {"a": {"const": 1}, "b": {"const": 2}}, "minProperties": 1}),
        ),
        ("not", many(json!({"type": "integer", "not": {"const": 3}}))),
        (
            "if and then",
            json!({"type": "object", "properties": {"a": {"type": "boolean"}, "b": {"const": 1}},
            "if": {"properties": {"a": {"const": true}}}, "then": {"required": ["b"]}}),
        ),
        (
            "dependent",
            json!({"type": "object", "properties": {"a": {"const": 1}, "b": {"const": 2}},
            "dependentRequired": {"a": ["b"]}, "dependentSchemas": {"b": {"required": ["a"]}}}),
        ),
        (
            "one of two kinds",
            json!({"oneOf": [
            {"type": "object", "required": ["kind"], "properties": {"kind": {"const": "cat"}}},
            {"type": "object", "required": ["kind"], "properties": {"kind": {"const": "dog"}}}]}),
        ),
        (
            "one of two that overlap",
            json!({"oneOf": [{"type": "integer", "minimum": 0}, {"type": "integer", "maximum": 10}]}),
        ),
        (
            "all of",
            json!({"allOf": [{"properties": {"a": {"type": "boolean"}}}, {"$ref": "#/$defs/b"}],
            "type": "object", "$defs": {"b": {"properties": {"b": {"type": "null"}}, "required": ["b"]}}}),
        ),
        (
            "any of, beside properties",
            json!({"type": "object", "properties": {"a": {"type": "boolean"}},
            "anyOf": [{"properties": {"b": {"type": "null"}}, "required": ["b"]}, {"properties": {"c": {"type": "null"}}, "required": ["c"]}]}),
        ),
        (
            "a tree",
            json!({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "required": ["children"],
            "properties": {"children": {"type": "array", "maxItems": 2, "items": {"$ref": "#/$defs/node"}}}}}}),
        ),
        (
            "a circle with more beside it",
            json!({"type": "object", "properties": {
            "next": {"$ref": "#", "required": ["next"]}, "value": {"type": "boolean"}}}),
        ),
        (
            "unevaluated items",
            json!({"type": "array", "prefixItems": [{"type": "null"}], "unevaluatedItems": false}),
        ),
        (
            "two multiples",
            json!({"allOf": [{"type": "integer", "multipleOf": 999_983}, {"multipleOf": 999_979}]}),
        ),
    ]
}

#[test]
fn every_schema_gets_the_notes_it_needs() {
    let mut page = String::new();
    for (name, schema) in table() {
        writeln!(page, "{name}").unwrap();
        match Grammar::compile(&schema) {
            Ok(grammar) => {
                for note in grammar.notes() {
                    writeln!(page, "    {note}").unwrap();
                }
            }
            Err(error) => writeln!(page, "    error: {error}").unwrap(),
        }
    }
    insta::assert_snapshot!(page);
}
