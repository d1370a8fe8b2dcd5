//! The part of a schema that decoding can be held to.

mod apart;
mod number;
mod object;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

pub(crate) use self::number::MAX_EXACT;
use self::number::Multiple;
pub(crate) use self::text::{FORMATS, MAX_LENGTH, pattern_bounds, whole};
use crate::place::{Places, below};
use crate::{GrammarError, NoteKind, SchemaNote, trial};

/// A schema's own copy for the grammar, and what it lacks.
pub(crate) struct Held {
    pub(crate) copy: Value,
    pub(crate) notes: Vec<SchemaNote>,
    /// The name in the copy of each place that is referred to.
    names: BTreeMap<String, String>,
    /// How many parts of the schema may still be tried by themselves.
    trials: usize,
}

impl Held {
    /// The places that are referred to and that no value satisfies, whatever they refer to in turn.
    pub(crate) fn impossible(&self) -> BTreeSet<String> {
        let Some(Value::Object(definitions)) = self.copy.get("$defs") else { return BTreeSet::new() };
        let mut free = definitions.clone();
        for name in self.names.values() {
            free.insert(name.clone(), json!({}));
        }
        let is_impossible = |name: &String| match definitions.get(name) {
            Some(Value::Bool(false)) => true,
            Some(Value::Object(schema)) => {
                let mut alone = schema.clone();
                alone.insert(String::from("$defs"), Value::Object(free.clone()));
                matches!(trial::build_alone(&Value::Object(alone)), Err(GrammarError::Unsatisfiable(_)))
            }
            Some(_) | None => false,
        };
        let names = self.names.iter().take(self.trials);
        names.filter(|(_, name)| is_impossible(name)).map(|(pointer, _)| pointer.clone()).collect()
    }
}

/// Parts of a schema that are tried by themselves, at some milliseconds each at most.
const MAX_TRIALS: usize = 300;

/// How much of a schema is tried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Effort {
    /// Everything that decoding can be held to.
    Whole,
    /// Nothing that the engine may wrongly find impossible.
    NothingDoubtful,
    /// Where several schemas describe one value that may hold itself, only one of them.
    OneAtATimeInCircles,
    /// Where several schemas describe one value, only one of them.
    OneAtATime,
}

/// Keywords that say something about a value by themselves.
const BASE: [&str; 22] = [
    "type",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "properties",
    "patternProperties",
    "additionalProperties",
    "required",
    "minProperties",
    "maxProperties",
    "unevaluatedItems",
    "uniqueItems",
];

/// A schema on its way into the grammar. Whatever is left out only widens it: nothing here stands under a `not`.
struct Widening<'s> {
    places: &'s Places<'s>,
    effort: Effort,
    impossible: &'s BTreeSet<String>,
    notes: Vec<SchemaNote>,
    multiples: Vec<Multiple>,
    ranges: BTreeMap<String, (String, Value)>,
    definitions: BTreeMap<String, String>,
    pending: Vec<String>,
    too_complex: Option<String>,
    trials: usize,
    tried: BTreeMap<String, Option<GrammarError>>,
}

/// The copy of a schema that the gate compiled.
///
/// # Errors
///
/// [`GrammarError::TooComplex`] for what is known to take too long for one token.
pub(crate) fn held(
    document: &Value,
    places: &Places<'_>,
    effort: Effort,
    impossible: &BTreeSet<String>,
) -> Result<Held, GrammarError> {
    let mut widening = Widening {
        places,
        effort,
        impossible,
        notes: Vec::new(),
        multiples: Vec::new(),
        ranges: BTreeMap::new(),
        definitions: BTreeMap::new(),
        pending: Vec::new(),
        too_complex: None,
        trials: MAX_TRIALS,
        tried: BTreeMap::new(),
    };
    let mut copy = match widening.schema(document, "") {
        Value::Object(keywords) => keywords,
        Value::Bool(false) => Map::from_iter([(String::from("allOf"), json!([false]))]),
        Value::Null | Value::Bool(true) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    };
    let mut definitions = Map::new();
    while let Some(pointer) = widening.pending.pop() {
        let schema = places.at(&pointer).map(|schema| widening.schema(schema, &pointer));
        if let (Some(name), Some(schema)) = (widening.definitions.get(&pointer), schema) {
            definitions.insert(name.clone(), schema);
        }
    }
    definitions.extend(widening.ranges.into_values());
    copy.insert(String::from("$defs"), Value::Object(definitions));
    // White space is never forced, so a model could write it until its tokens are spent.
    copy.insert(String::from("x-guidance"), json!({"whitespace_flexible": false}));
    match widening.too_complex {
        Some(what) => Err(GrammarError::TooComplex(what)),
        None => Ok(Held {
            copy: Value::Object(copy),
            notes: widening.notes,
            names: widening.definitions,
            trials: widening.trials,
        }),
    }
}

impl Widening<'_> {
    // Recursion: as deep as the document, which the gate bounds; references are followed one after the other.
    fn schema(&mut self, schema: &Value, pointer: &str) -> Value {
        let Value::Object(keywords) = schema else { return schema.clone() };
        self.left_out(keywords, pointer);
        let mut base = self.base(keywords, pointer);
        // Properties come in the order of the schema, also where others describe them too.
        let position = if keywords.contains_key("properties") {
            Some("properties")
        } else {
            keywords.keys().map(String::as_str).find(|keyword| BASE.contains(keyword))
        };
        let mut all = Map::new();
        let mut more = Vec::new();
        if keywords.get("type") == Some(&json!("integer")) {
            more.push(self.shared(&mut base));
        }
        for (keyword, value) in keywords {
            if Some(keyword.as_str()) == position {
                all.append(&mut base);
            }
            match (keyword.as_str(), value) {
                ("const" | "enum", value) => {
                    all.insert(keyword.clone(), value.clone());
                }
                ("$ref", Value::String(reference)) => {
                    let Some(target) = self.places.target(reference) else { continue };
                    if self.impossible.contains(&target) {
                        return json!(false);
                    }
                    let name = self.definition(&target);
                    let reference = json!(format!("#/$defs/{name}"));
                    if self.places.is_circle(pointer, &target) && !stands_alone(keywords) {
                        self.not_held(pointer, "$ref", "move what stands beside it into what it refers to");
                        return json!({"$ref": reference});
                    }
                    all.insert(String::from("$ref"), reference);
                }
                ("allOf" | "anyOf", Value::Array(schemas)) => {
                    all.insert(keyword.clone(), self.list(schemas, &below(pointer, keyword)));
                }
                ("oneOf", Value::Array(schemas)) => {
                    if !apart::all_apart(self.places, schemas) {
                        self.not_held(
                            pointer,
                            "oneOf",
                            "give each a required property with a `const` of its own",
                        );
                    }
                    let any = self.list(schemas, &below(pointer, keyword));
                    if keywords.contains_key("anyOf") {
                        more.push(json!({"anyOf": any}));
                    } else {
                        all.insert(String::from("anyOf"), any);
                    }
                }
                _ => {}
            }
        }
        more.extend(self.closing(keywords, pointer));
        if !more.is_empty() {
            let list = all.entry("allOf").or_insert_with(|| json!([]));
            if let Value::Array(list) = list {
                list.append(&mut more);
            }
        }
        let one = match self.effort {
            Effort::Whole | Effort::NothingDoubtful => false,
            Effort::OneAtATimeInCircles => self.places.is_on_a_circle(pointer),
            Effort::OneAtATime => true,
        };
        if one { self.one_of_them(all, pointer) } else { Value::Object(all) }
    }

    fn list(&mut self, schemas: &[Value], pointer: &str) -> Value {
        let schemas = schemas.iter().enumerate();
        schemas.map(|(nth, schema)| self.schema(schema, &below(pointer, &nth.to_string()))).collect()
    }

    /// The name under which the copy has what stands at `target`.
    fn definition(&mut self, target: &str) -> String {
        if let Some(name) = self.definitions.get(target) {
            return name.clone();
        }
        let name = format!("d{}", self.definitions.len());
        self.definitions.insert(target.to_owned(), name.clone());
        self.pending.push(target.to_owned());
        name
    }

    /// What the schema says by itself about each type that it lets through.
    fn base(&mut self, keywords: &Map<String, Value>, pointer: &str) -> Map<String, Value> {
        let mut base = Map::new();
        let types = types(keywords);
        if let Some(given) = keywords.get("type") {
            base.insert(String::from("type"), given.clone());
        }
        let may = |name: &str| types.as_ref().is_none_or(|types| types.contains(&name));
        if may("number") || may("integer") {
            let integer = types.is_some() && !may("number");
            self.number(keywords, pointer, integer, &mut base);
        }
        if may("string") {
            self.text(keywords, pointer, &mut base);
        }
        if may("array") {
            self.array(keywords, pointer, &mut base);
        }
        if may("object") {
            self.object(keywords, pointer, &mut base);
        }
        base
    }

    fn array(&mut self, from: &Map<String, Value>, pointer: &str, to: &mut Map<String, Value>) {
        if let Some(Value::Array(schemas)) = from.get("prefixItems") {
            to.insert(String::from("prefixItems"), self.list(schemas, &below(pointer, "prefixItems")));
        }
        if let Some(items) = from.get("items") {
            to.insert(String::from("items"), self.schema(items, &below(pointer, "items")));
        }
        for keyword in ["minItems", "maxItems"] {
            match from.get(keyword).and_then(whole) {
                Some(0) if keyword == "minItems" => {}
                Some(count) if count <= MAX_ITEMS => {
                    to.insert(keyword.to_owned(), json!(count));
                }
                Some(_) => self.not_held(pointer, keyword, "keep counts within 100000"),
                None => {}
            }
        }
    }

    /// Keywords that the grammar has no words for.
    fn left_out(&mut self, keywords: &Map<String, Value>, pointer: &str) {
        let has = |keyword: &str| keywords.contains_key(keyword);
        let count = |keyword: &str| keywords.get(keyword).and_then(whole);
        if has("not") {
            self.not_held(pointer, "not", "say what is admitted instead");
        }
        if has("if") && (has("then") || has("else")) {
            self.not_held(pointer, "if", "use `anyOf` with one complete schema for each case");
        }
        if keywords.get("uniqueItems") == Some(&Value::Bool(true))
            && count("maxItems").is_none_or(|most| most > 1)
        {
            self.not_held(
                pointer,
                "uniqueItems",
                "use an object with one boolean for each item, or keep the retry budget for it",
            );
        }
        if has("contains") && (count("minContains") != Some(0) || has("maxContains")) {
            self.not_held(pointer, "contains", "put the wanted item first, with `prefixItems`");
        }
        if keywords.get("unevaluatedItems").is_some_and(|items| items != &Value::Bool(true)) {
            self.not_held(pointer, "unevaluatedItems", "use `items` or `maxItems`");
        }
        if keywords.get("propertyNames").is_some_and(|names| names != &Value::Bool(true)) {
            self.not_held(pointer, "propertyNames", "name the properties in `properties`");
        }
        let depends =
            |keyword: &str| matches!(keywords.get(keyword), Some(Value::Object(on)) if !on.is_empty());
        if depends("dependentRequired") {
            self.not_held(pointer, "dependentRequired", "list them in `required`, or use `anyOf`");
        }
        if depends("dependentSchemas") {
            self.not_held(pointer, "dependentSchemas", "use `anyOf` with one complete schema for each case");
        }
    }

    /// Of several schemas that describe one value, the one that says most.
    fn one_of_them(&mut self, mut all: Map<String, Value>, pointer: &str) -> Value {
        let mut choices: Vec<(u8, &str, Value)> = Vec::new();
        for (rank, keyword) in [(0, "const"), (1, "enum"), (3, "$ref"), (5, "anyOf")] {
            if let Some(value) = all.shift_remove(keyword) {
                choices.push((rank, keyword, json!({keyword: value})));
            }
        }
        if let Some(Value::Array(schemas)) = all.shift_remove("allOf") {
            choices.extend(schemas.into_iter().map(|schema| (4, "allOf", schema)));
        }
        if !all.is_empty() {
            let says_most =
                ["properties", "items", "prefixItems"].iter().any(|keyword| all.contains_key(*keyword));
            choices.push((if says_most { 2 } else { 6 }, "type", Value::Object(all)));
        }
        choices.sort_by_key(|&(rank, _, _)| rank);
        let mut choices = choices.into_iter();
        let kept = choices.next();
        for (_, keyword, _) in choices {
            self.not_held(pointer, keyword, "write one schema instead of several for one value");
        }
        kept.map_or_else(|| json!({}), |(_, _, schema)| schema)
    }

    /// Why a part of the schema does not compile by itself, if it does not.
    fn refused_alone(&mut self, schema: &Value) -> Option<GrammarError> {
        let text = schema.to_string();
        if let Some(known) = self.tried.get(&text) {
            return known.clone();
        }
        let refused = match self.trials.checked_sub(1) {
            Some(left) => {
                self.trials = left;
                trial::build_alone(schema).err()
            }
            None => {
                let what = format!("more than {MAX_TRIALS} different patterns and ranges");
                self.too_complex = Some(what.clone());
                Some(GrammarError::TooComplex(what))
            }
        };
        self.tried.insert(text, refused.clone());
        refused
    }

    fn not_held(&mut self, pointer: &str, keyword: &str, help: &str) {
        self.notes.push(SchemaNote {
            pointer: pointer.to_owned(),
            keyword: keyword.to_owned(),
            kind: NoteKind::NotHeld,
            help: help.to_owned(),
        });
    }
}

/// Items that decoding counts.
pub(crate) const MAX_ITEMS: u64 = 100_000;

/// The types that a schema names, `None` if it names none and so admits all.
pub(crate) fn types(keywords: &Map<String, Value>) -> Option<Vec<&str>> {
    match keywords.get("type")? {
        Value::String(name) => Some(vec![name]),
        Value::Array(names) => Some(names.iter().filter_map(Value::as_str).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// Whether nothing but a reference says anything about the value.
fn stands_alone(keywords: &Map<String, Value>) -> bool {
    let others = ["const", "enum", "allOf", "anyOf", "oneOf", "unevaluatedProperties"];
    !keywords.keys().any(|keyword| BASE.contains(&keyword.as_str()) || others.contains(&keyword.as_str()))
}
