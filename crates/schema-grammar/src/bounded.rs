//! What nothing ends but the cap on tokens.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::held::{FORMATS, MAX_EXACT, MAX_ITEMS, MAX_LENGTH, pattern_bounds, types, whole};
use crate::place::{Places, below};
use crate::{NoteKind, SchemaNote};

/// Values and alternatives that are looked at; a schema that has more gets notes on the first ones.
const MAX_VALUES: usize = 5000;
/// Schemas that are looked at, each counted once for each alternative that it belongs to.
const MAX_WORK: usize = 200_000;

const FREE: &str = "say which `type` it is";

/// Schemas that describe one value together, each with where it stands.
type Together<'s> = Vec<(String, &'s Map<String, Value>)>;

/// A note for each string, array, object, number and circle without an end.
pub(crate) fn unbounded(document: &Value, places: &Places<'_>) -> Vec<SchemaNote> {
    let mut search = Search {
        places,
        notes: BTreeSet::new(),
        seen: BTreeSet::new(),
        open: Vec::new(),
        texts: BTreeMap::new(),
    };
    search.value([(String::new(), document)]);
    let (mut values, mut work) = (0, 0);
    while let Some((together, decided)) = search.open.pop() {
        values += 1;
        work += together.len();
        if values > MAX_VALUES || work > MAX_WORK {
            break;
        }
        search.alternative(together, decided);
    }
    search.notes.into_iter().collect()
}

struct Search<'s> {
    places: &'s Places<'s>,
    notes: BTreeSet<SchemaNote>,
    seen: BTreeSet<Vec<String>>,
    /// Schemas that describe one value, and the unions among them of which one alternative was chosen.
    open: Vec<(Together<'s>, BTreeSet<String>)>,
    /// Patterns, and whether each bounds what it matches.
    texts: BTreeMap<&'s str, bool>,
}

impl<'s> Search<'s> {
    /// Something that a value is described by, `false` among it for none.
    fn value(&mut self, seeds: impl IntoIterator<Item = (String, &'s Value)>) {
        let mut together = Vec::new();
        let mut free = None;
        for (pointer, schema) in seeds {
            if schema == &Value::Bool(true) {
                free = Some(pointer);
            } else if !self.gather(pointer, schema, &mut together) {
                return;
            }
        }
        if let Some(pointer) = free.filter(|_| together.is_empty()) {
            self.note(&pointer, "type", FREE);
        }
        let key = together.iter().map(|(pointer, _)| pointer.clone()).collect();
        if !together.is_empty() && self.seen.insert(key) {
            self.open.push((together, BTreeSet::new()));
        }
    }

    /// Adds a schema and all that holds with it; `false` if no value is admitted.
    fn gather(&mut self, pointer: String, schema: &'s Value, together: &mut Together<'s>) -> bool {
        let mut open = vec![(pointer, schema)];
        while let Some((pointer, schema)) = open.pop() {
            let keywords = match schema {
                Value::Bool(false) => return false,
                Value::Object(keywords) => keywords,
                Value::Null | Value::Bool(true) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                    continue;
                }
            };
            if together.iter().any(|(known, _)| *known == pointer) {
                continue;
            }
            if let Some(Value::Array(schemas)) = keywords.get("allOf") {
                let pointer = below(&pointer, "allOf");
                let schemas = schemas.iter().enumerate().rev();
                open.extend(schemas.map(|(nth, schema)| (below(&pointer, &nth.to_string()), schema)));
            }
            if let Some(Value::String(reference)) = keywords.get("$ref")
                && let Some(target) = self.places.target(reference)
                && let Some(schema) = self.places.at(&target)
            {
                if self.places.is_circle(&pointer, &target) {
                    self.note(&pointer, "$ref", "write out as many levels as there may be");
                }
                open.push((target, schema));
            }
            together.push((pointer, keywords));
        }
        true
    }

    /// Chooses among alternatives where there are some, and else looks at what there is.
    fn alternative(&mut self, together: Together<'s>, decided: BTreeSet<String>) {
        let mut unions = Vec::new();
        for (pointer, keywords) in &together {
            for keyword in ["anyOf", "oneOf"] {
                if let Some(Value::Array(schemas)) = keywords.get(keyword) {
                    unions.push((below(pointer, keyword), schemas));
                }
            }
        }
        let all: BTreeSet<String> = unions.iter().map(|(pointer, _)| pointer.clone()).collect();
        let mut leaf = true;
        for (pointer, schemas) in unions {
            if decided.contains(&pointer) {
                continue;
            }
            leaf = false;
            for (nth, schema) in schemas.iter().enumerate().take(MAX_VALUES) {
                let mut chosen = together.clone();
                if self.open.len() < MAX_VALUES
                    && self.gather(below(&pointer, &nth.to_string()), schema, &mut chosen)
                {
                    self.open.push((chosen, decided.union(&all).cloned().collect()));
                }
            }
        }
        if leaf {
            self.look_at(&together);
        }
    }

    fn look_at(&mut self, together: &Together<'s>) {
        let any = |keyword: &str| together.iter().any(|(_, keywords)| keywords.contains_key(keyword));
        if any("const") || any("enum") {
            return;
        }
        let Some(types) = common_types(together) else {
            let pointer = together.first().map(|(pointer, _)| pointer.clone()).unwrap_or_default();
            self.note(&pointer, "type", FREE);
            return;
        };
        for name in types {
            let states = |keywords: &Map<String, Value>| {
                self::types(keywords).is_some_and(|types| types.contains(&name))
            };
            let stated = together.iter().find(|(_, keywords)| states(keywords));
            let stated = stated.map(|(pointer, _)| pointer.clone()).unwrap_or_default();
            match name {
                "string" => {
                    let mut bounded = false;
                    for (_, keywords) in together {
                        bounded = bounded || self.bounds_text(keywords);
                    }
                    if !bounded {
                        self.note(&stated, "string", "add `maxLength`");
                    }
                }
                "number" => self.number(together, &stated),
                "array" => self.array(together, &stated),
                "object" => self.object(together, &stated),
                _ => {}
            }
        }
    }

    fn number(&mut self, together: &Together<'s>, stated: &str) {
        let has = |keywords: [&str; 2]| {
            together.iter().any(|(_, all)| {
                keywords.iter().any(|keyword| {
                    all.get(*keyword).and_then(Value::as_f64).is_some_and(|bound| bound.abs() <= MAX_EXACT)
                })
            })
        };
        let bounds = has(["minimum", "exclusiveMinimum"]) && has(["maximum", "exclusiveMaximum"]);
        let multiple = together.iter().any(|(_, all)| all.contains_key("multipleOf"));
        let help = match (bounds, multiple) {
            (true, true) => return,
            (true, false) => "add `multipleOf`, such as 0.01",
            (false, true) => "add `minimum` and `maximum`",
            (false, false) => {
                "add `multipleOf`, such as 0.01, with `minimum` and `maximum`, or make it an integer"
            }
        };
        self.note(stated, "number", help);
    }

    fn array(&mut self, together: &Together<'s>, stated: &str) {
        let bounded = |keywords: &Map<String, Value>| {
            keywords.get("maxItems").and_then(whole).is_some_and(|most| most <= MAX_ITEMS)
                || keywords.get("items") == Some(&Value::Bool(false))
        };
        let prefixes =
            |keywords: &'s Map<String, Value>| keywords.get("prefixItems").and_then(Value::as_array);
        let longest = together.iter().filter_map(|(_, keywords)| prefixes(keywords)).map(Vec::len).max();
        for nth in 0..longest.unwrap_or(0).min(MAX_VALUES) {
            let seeds = together.iter().filter_map(|(pointer, keywords)| {
                match prefixes(keywords).and_then(|schemas| schemas.get(nth)) {
                    Some(schema) => Some((below(&below(pointer, "prefixItems"), &nth.to_string()), schema)),
                    None => keywords.get("items").map(|schema| (below(pointer, "items"), schema)),
                }
            });
            let seeds: Vec<_> = seeds.collect();
            self.value(seeds);
        }
        let items = |(pointer, keywords): &(String, &'s Map<String, Value>)| {
            Some((below(pointer, "items"), keywords.get("items")?))
        };
        let items: Vec<_> = together.iter().filter_map(items).collect();
        let ends = together.iter().any(|(_, keywords)| bounded(keywords));
        let most = |keywords: &Map<String, Value>| keywords.get("maxItems").and_then(whole);
        let more = together
            .iter()
            .filter_map(|(_, keywords)| most(keywords))
            .min()
            .is_none_or(|most| most > longest.unwrap_or(0) as u64);
        if !ends {
            self.note(stated, "array", "add `maxItems`");
        }
        if items.is_empty() && more {
            self.note(stated, "items", "say what `items` are");
        }
        self.value(items);
    }

    fn object(&mut self, together: &Together<'s>, stated: &str) {
        let others = ["additionalProperties", "unevaluatedProperties"];
        let closed = together.iter().any(|(_, keywords)| {
            others.iter().any(|keyword| keywords.get(*keyword) == Some(&Value::Bool(false)))
        });
        let patterned = together.iter().any(|(_, keywords)| {
            matches!(keywords.get("patternProperties"), Some(Value::Object(patterns)) if !patterns.is_empty())
        });
        if !closed || patterned {
            self.note(
                stated,
                "object",
                "name every property, and leave `additionalProperties` and `patternProperties` out",
            );
        }
        let mut named: BTreeMap<&str, Vec<(String, &'s Value)>> = BTreeMap::new();
        for (pointer, keywords) in together {
            if let Some(Value::Object(properties)) = keywords.get("properties") {
                let pointer = below(pointer, "properties");
                for (name, schema) in properties {
                    named.entry(name).or_default().push((below(&pointer, name), schema));
                }
            }
            if let Some(Value::Object(patterns)) = keywords.get("patternProperties") {
                let pointer = below(pointer, "patternProperties");
                for (pattern, schema) in patterns {
                    self.value([(below(&pointer, pattern), schema)]);
                }
            }
            for keyword in others {
                if let Some(schema @ Value::Object(_)) = keywords.get(keyword) {
                    self.value([(below(pointer, keyword), schema)]);
                }
            }
        }
        for seeds in named.into_values() {
            self.value(seeds);
        }
    }

    fn bounds_text(&mut self, keywords: &'s Map<String, Value>) -> bool {
        let length = keywords.get("maxLength").and_then(whole).is_some_and(|most| most <= MAX_LENGTH);
        let format = keywords.get("format").and_then(Value::as_str);
        let pattern = keywords.get("pattern").and_then(Value::as_str);
        length
            || format.is_some_and(|format| FORMATS.contains(&(format, true)))
            || pattern.is_some_and(|text| *self.texts.entry(text).or_insert_with(|| pattern_bounds(text)))
    }

    fn note(&mut self, pointer: &str, keyword: &str, help: &str) {
        self.notes.insert(SchemaNote {
            pointer: pointer.to_owned(),
            keyword: keyword.to_owned(),
            kind: NoteKind::Unbounded,
            help: help.to_owned(),
        });
    }
}

/// The types that all schemas admit, `None` if none of them names any.
fn common_types<'s>(together: &Together<'s>) -> Option<Vec<&'s str>> {
    let mut common: Option<Vec<&str>> = None;
    for (_, keywords) in together {
        let Some(mut types) = types(keywords) else { continue };
        // Every integer is a number.
        if types.contains(&"number") && !types.contains(&"integer") {
            types.push("integer");
        }
        common = Some(match common {
            None => types,
            Some(common) => common.into_iter().filter(|name| types.contains(name)).collect(),
        });
    }
    common
}
