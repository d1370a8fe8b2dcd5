//! Objects: named properties, other properties, how many, and what closes several schemas together.

use serde_json::{Map, Value, json};

use super::text::held_pattern;
use super::{Widening, whole};
use crate::place::below;

/// Optional properties of one object: each may follow each, so the work for one token grows with their square.
const MAX_OPTIONAL: usize = 200;

impl Widening<'_> {
    pub(super) fn object(&mut self, from: &Map<String, Value>, pointer: &str, to: &mut Map<String, Value>) {
        let mut named = Map::new();
        if let Some(Value::Object(properties)) = from.get("properties") {
            let pointer = below(pointer, "properties");
            for (name, schema) in properties {
                named.insert(name.clone(), self.schema(schema, &below(&pointer, name)));
            }
        }
        let required: Vec<&str> = match from.get("required") {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            Some(_) | None => Vec::new(),
        };
        let optional = named.keys().filter(|name| !required.contains(&name.as_str())).count();
        if optional > MAX_OPTIONAL {
            self.too_complex =
                Some(format!("{optional} optional properties of one object, where {MAX_OPTIONAL} can be"));
        }
        let mut others = from
            .get("additionalProperties")
            .map(|schema| self.schema(schema, &below(pointer, "additionalProperties")));
        let patterns = self.patterns(from, pointer);
        if patterns.is_none() {
            // Names that match are admitted, so the rest cannot be refused.
            others = None;
        }
        let patterns = patterns.unwrap_or_default();
        let closed = others == Some(Value::Bool(false));
        // A name may come twice, or be spelled with escapes where it is taken, and no reply is read like that.
        let one_at_most =
            named.is_empty() && from.get("maxProperties").and_then(whole).is_some_and(|most| most <= 1);
        let help = "name every property in `properties`: a free name may come twice";
        let open = from.get("additionalProperties").is_some_and(|others| others != &Value::Bool(false));
        if open && !closed && !one_at_most {
            self.not_held(pointer, "additionalProperties", help);
        }
        if !patterns.is_empty() && !one_at_most {
            self.not_held(pointer, "patternProperties", help);
        }
        self.counts(from, pointer, &named, &required, closed && patterns.is_empty(), to);
        if !named.is_empty() {
            to.insert(String::from("properties"), Value::Object(named));
        }
        if !patterns.is_empty() {
            to.insert(String::from("patternProperties"), Value::Object(patterns));
        }
        if let Some(others) = others {
            to.insert(String::from("additionalProperties"), others);
        }
        if !required.is_empty() {
            to.insert(String::from("required"), json!(required));
        }
    }

    /// `patternProperties`, or `None` if some of them are and cannot be held to.
    fn patterns(&mut self, from: &Map<String, Value>, pointer: &str) -> Option<Map<String, Value>> {
        let Some(Value::Object(patterns)) = from.get("patternProperties") else { return Some(Map::new()) };
        let translated: Option<Vec<(String, &Value)>> = patterns
            .iter()
            .map(|(pattern, schema)| held_pattern(pattern).map(|translated| (translated, schema)))
            .collect();
        let alone: Option<Map<String, Value>> = translated
            .as_ref()
            .map(|all| all.iter().map(|(pattern, _)| (pattern.clone(), json!({"type": "null"}))).collect());
        let compile = alone.is_some_and(|alone| {
            let names = match from.get("properties") {
                Some(Value::Object(properties)) => {
                    properties.keys().map(|name| (name.clone(), json!(true))).collect()
                }
                Some(_) | None => Map::new(),
            };
            self.refused_alone(&json!({"type": "object", "properties": names, "patternProperties": alone}))
                .is_none()
        });
        let Some(translated) = translated.filter(|_| compile) else {
            self.not_held(pointer, "patternProperties", "use simple patterns of which no name matches two");
            return None;
        };
        let pointer_below = below(pointer, "patternProperties");
        let names = patterns.keys();
        Some(
            translated
                .iter()
                .zip(names)
                .map(|((pattern, schema), name)| {
                    (pattern.clone(), self.schema(schema, &below(&pointer_below, name)))
                })
                .collect(),
        )
    }

    /// `minProperties` and `maxProperties`, where the grammar can count.
    fn counts(
        &mut self,
        from: &Map<String, Value>,
        pointer: &str,
        named: &Map<String, Value>,
        required: &[&str],
        closed: bool,
        to: &mut Map<String, Value>,
    ) {
        let needed = required.len() as u64;
        let optional = named.keys().filter(|name| !required.contains(&name.as_str())).count() as u64;
        let least = from.get("minProperties").and_then(whole).filter(|&least| least > needed);
        let most =
            from.get("maxProperties").and_then(whole).filter(|&most| !closed || most < needed + optional);
        if most.is_some_and(|most| most < needed) {
            // More are required than there may be: no object is admitted.
            to.insert(String::from("required"), json!([" "]));
            to.insert(String::from("maxProperties"), json!(0));
        }
        // The one choice that the grammar counts by itself: exactly one, or at least one, of optional ones.
        let countable = optional == 0
            || closed
                && least.is_none_or(|least| least == needed + 1)
                && most.is_none_or(|most| most == needed + 1);
        let help = "require every property, or none";
        if let Some(least) = least {
            if countable {
                to.insert(String::from("minProperties"), json!(least));
            }
            // A name that comes twice counts once.
            if !countable || !closed {
                self.not_held(pointer, "minProperties", help);
            }
        }
        if let Some(most) = most {
            if countable && most <= super::MAX_ITEMS {
                to.insert(String::from("maxProperties"), json!(most));
            } else {
                self.not_held(pointer, "maxProperties", help);
            }
        }
    }

    /// `unevaluatedProperties: false` as one more schema that knows every name; what it adds to the others.
    pub(super) fn closing(&mut self, keywords: &Map<String, Value>, pointer: &str) -> Option<Value> {
        match keywords.get("unevaluatedProperties")? {
            Value::Bool(true) => return None,
            Value::Bool(false) => {}
            Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                self.not_held(pointer, "unevaluatedProperties", HELP_CLOSING);
                return None;
            }
        }
        if super::types(keywords).is_some_and(|types| !types.contains(&"object")) {
            return None;
        }
        let mut known = Known::default();
        self.known(keywords, &mut known);
        let patterns: Option<Map<String, Value>> =
            known.patterns.iter().map(|pattern| Some((held_pattern(pattern)?, json!(true)))).collect();
        let names: Map<String, Value> = known.names.iter().map(|name| (name.clone(), json!(true))).collect();
        let closing = patterns.filter(|_| !known.open).map(|patterns| {
            let mut closing =
                json!({"properties": names, "patternProperties": patterns, "additionalProperties": false});
            if let (Value::Object(closing), Some(given)) = (&mut closing, keywords.get("type")) {
                closing.insert(String::from("type"), given.clone());
            }
            closing
        });
        let closing =
            closing.filter(|closing| known.patterns.is_empty() || self.refused_alone(closing).is_none());
        if closing.is_none() && !known.open || known.conditional {
            self.not_held(pointer, "unevaluatedProperties", HELP_CLOSING);
        }
        closing
    }

    /// The names that the schemas for one value know, together.
    fn known(&self, keywords: &Map<String, Value>, known: &mut Known) {
        // What is looked at twice says the same twice.
        let mut open: Vec<(&Map<String, Value>, bool)> = vec![(keywords, false)];
        while let Some((keywords, conditional)) = open.pop() {
            for (keyword, value) in keywords {
                match (keyword.as_str(), value) {
                    ("properties", Value::Object(properties)) => {
                        known.conditional |= conditional && !properties.is_empty();
                        for name in properties
                            .keys()
                            .filter(|name| !known.names.contains(name))
                            .cloned()
                            .collect::<Vec<_>>()
                        {
                            known.names.push(name);
                        }
                    }
                    ("patternProperties", Value::Object(patterns)) => {
                        known.conditional |= conditional && !patterns.is_empty();
                        known.patterns.extend(patterns.keys().cloned());
                    }
                    ("additionalProperties" | "unevaluatedProperties", value)
                        if value != &Value::Bool(false) =>
                    {
                        known.conditional |= conditional;
                        known.open = true;
                    }
                    ("$ref", Value::String(reference)) => {
                        let target = self.places.target(reference);
                        if let Some(target) = target.filter(|target| !known.seen.contains(target)) {
                            if let Some(Value::Object(keywords)) = self.places.at(&target) {
                                open.push((keywords, conditional));
                            }
                            known.seen.push(target);
                        }
                    }
                    ("allOf" | "anyOf" | "oneOf", Value::Array(schemas)) => {
                        let conditional = conditional || keyword != "allOf";
                        open.extend(
                            schemas.iter().filter_map(Value::as_object).map(|one| (one, conditional)),
                        );
                    }
                    ("if" | "then" | "else", Value::Object(schema)) => open.push((schema, true)),
                    ("dependentSchemas", Value::Object(schemas)) => {
                        open.extend(schemas.values().filter_map(Value::as_object).map(|one| (one, true)));
                    }
                    _ => {}
                }
            }
        }
    }
}

const HELP_CLOSING: &str =
    "write one `properties` with all of them, and leave `anyOf` and `if` to their values";

#[derive(Default)]
struct Known {
    names: Vec<String>,
    patterns: Vec<String>,
    /// Some schema lets every other name through.
    open: bool,
    /// Some names are known only in some cases.
    conditional: bool,
    seen: Vec<String>,
}
