//! The part of a schema that decoding can be held to.

use serde_json::{Map, Value, json};

use crate::{NoteKind, SchemaNote};

/// A schema's own copy for the grammar, and what it lacks.
pub(crate) struct Held {
    pub(crate) copy: Value,
    pub(crate) notes: Vec<SchemaNote>,
}

/// Keywords that decoding cannot be held to.
const NOT_HELD: [&str; 16] = [
    "not",
    "if",
    "then",
    "else",
    "uniqueItems",
    "contains",
    "minContains",
    "maxContains",
    "propertyNames",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedProperties",
    "unevaluatedItems",
    "$dynamicRef",
    "$dynamicAnchor",
    "x-guidance",
];

pub(crate) fn held(schema: &Value) -> Held {
    let mut notes = Vec::new();
    let mut copy = widened(schema, "", &mut notes);
    if copy == Value::Bool(true) {
        copy = json!({});
    }
    if let Value::Object(keywords) = &mut copy {
        keywords
            .insert(String::from("x-guidance"), json!({"whitespace_flexible": false, "coerce_one_of": true}));
    }
    Held { copy, notes }
}

fn widened(schema: &Value, pointer: &str, notes: &mut Vec<SchemaNote>) -> Value {
    let Value::Object(keywords) = schema else { return schema.clone() };
    let mut kept = Map::new();
    for (keyword, value) in keywords {
        if NOT_HELD.contains(&keyword.as_str()) {
            notes.push(SchemaNote {
                pointer: pointer.to_owned(),
                keyword: keyword.clone(),
                kind: NoteKind::NotHeld,
                help: String::from("leave it out"),
            });
            continue;
        }
        let below = |key: &str| format!("{pointer}/{keyword}/{key}");
        let value = match (keyword.as_str(), value) {
            ("properties" | "patternProperties" | "$defs" | "definitions", Value::Object(named)) => named
                .iter()
                .map(|(name, schema)| (name.clone(), widened(schema, &below(name), notes)))
                .collect(),
            ("allOf" | "anyOf" | "oneOf" | "prefixItems", Value::Array(all)) => {
                let all = all.iter().enumerate();
                all.map(|(nth, schema)| widened(schema, &below(&nth.to_string()), notes)).collect()
            }
            ("items" | "additionalProperties", value) => {
                widened(value, &format!("{pointer}/{keyword}"), notes)
            }
            (_, value) => value.clone(),
        };
        kept.insert(keyword.clone(), value);
    }
    Value::Object(kept)
}
