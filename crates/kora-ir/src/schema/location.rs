//! The places of a schema at which subschemas stand, and how each applies to the value that its parent applies to.

use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::SchemaError;
use crate::ViolationCode;
use crate::pointer::push_token;
use crate::read::shorten;

/// How a subschema applies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Relation {
    /// `$ref`: to the same value.
    Ref,
    /// `allOf`: to the same value, together with its siblings.
    AllOf,
    /// `anyOf`, `oneOf`: to the same value, instead of its siblings.
    Union,
    /// `then`, `else`, `dependentSchemas`: to the same value, sometimes.
    Branch,
    /// `if`, `not`: a question about the same value.
    Test,
    /// `properties`: to one property.
    Property,
    /// `patternProperties`: to every property with such a name.
    Pattern,
    /// `additionalProperties`, `unevaluatedProperties`: to other properties.
    OtherProperties,
    /// `prefixItems`: to one item.
    PrefixItem,
    /// `items`: to the items after the prefix.
    Items,
    /// `unevaluatedItems`: to other items.
    OtherItems,
    /// `contains`: a question about every item.
    Contains,
    /// `propertyNames`: to names, which are strings.
    Names,
}

impl Relation {
    /// Whether parent and subschema look at the same value.
    pub(super) fn in_place(self) -> bool {
        match self {
            Self::Ref | Self::AllOf | Self::Union | Self::Branch | Self::Test => true,
            Self::Property
            | Self::Pattern
            | Self::OtherProperties
            | Self::PrefixItem
            | Self::Items
            | Self::OtherItems
            | Self::Contains
            | Self::Names => false,
        }
    }
}

/// A place where a schema stands.
#[derive(Debug, Default)]
pub(super) struct Location {
    pub(super) pointer: String,
    /// Says which properties there may be.
    pub(super) names_properties: bool,
    /// Is about objects in any way.
    pub(super) about_objects: bool,
    /// Says itself what holds for other properties.
    pub(super) closed_by_author: bool,
    /// Repeats the work of its in-place subschemas to learn what they looked at.
    pub(super) unevaluated: bool,
    pub(super) edges: Vec<(Relation, usize)>,
}

/// All places of a schema; the first is the schema itself.
#[derive(Debug, Default)]
pub(super) struct Locations {
    pub(super) all: Vec<Location>,
    /// Keywords without effect here: where, and what to know about them.
    pub(super) notes: Vec<(String, String)>,
    /// The names that the schema gives to properties.
    pub(super) names: BTreeSet<String>,
    pointer_bytes: usize,
    by_pointer: BTreeMap<String, usize>,
    anchors: BTreeMap<String, usize>,
    references: Vec<(usize, String)>,
}

/// Bytes of the pointers to all places of a schema.
const MAX_POINTER_BYTES: usize = 4 << 20;
/// Notes on one schema.
const MAX_NOTES: usize = 20;
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
const ONE: [(&str, Relation); 10] = [
    ("if", Relation::Test),
    ("not", Relation::Test),
    ("then", Relation::Branch),
    ("else", Relation::Branch),
    ("items", Relation::Items),
    ("unevaluatedItems", Relation::OtherItems),
    ("contains", Relation::Contains),
    ("additionalProperties", Relation::OtherProperties),
    ("unevaluatedProperties", Relation::OtherProperties),
    ("propertyNames", Relation::Names),
];
const MANY: [(&str, Relation); 4] = [
    ("allOf", Relation::AllOf),
    ("anyOf", Relation::Union),
    ("oneOf", Relation::Union),
    ("prefixItems", Relation::PrefixItem),
];
const NAMED: [(&str, Relation); 3] = [
    ("properties", Relation::Property),
    ("patternProperties", Relation::Pattern),
    ("dependentSchemas", Relation::Branch),
];
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];
const PLAIN: [&str; 36] = [
    "$schema",
    "$ref",
    "$anchor",
    "$comment",
    "$id",
    "type",
    "enum",
    "const",
    "multipleOf",
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "maxLength",
    "minLength",
    "pattern",
    "maxItems",
    "minItems",
    "uniqueItems",
    "maxContains",
    "minContains",
    "maxProperties",
    "minProperties",
    "required",
    "dependentRequired",
    "title",
    "description",
    "default",
    "deprecated",
    "readOnly",
    "writeOnly",
    "examples",
    "format",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
];
const TYPES: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];
const UNSUPPORTED: [&str; 5] =
    ["$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$vocabulary"];

impl Locations {
    /// Finds all places and resolves all references.
    ///
    /// # Errors
    ///
    /// [`SchemaError`] for what cannot be a schema, and for what makes a schema depend on more than itself.
    pub(super) fn of(document: &Value) -> Result<Self, SchemaError> {
        let mut locations = Self::default();
        locations.add(document, String::new())?;
        for (from, reference) in std::mem::take(&mut locations.references) {
            let to = locations.resolve(from, &reference)?;
            locations.all[from].edges.push((Relation::Ref, to));
        }
        Ok(locations)
    }

    // Recursion: as deep as the document, which was read within `Limits::max_json_depth` or is measured by `compile`.
    fn add(&mut self, schema: &Value, pointer: String) -> Result<usize, SchemaError> {
        // Places are kept as text, and so does the validator: many below one long name would add up.
        self.pointer_bytes += pointer.len();
        if self.pointer_bytes > MAX_POINTER_BYTES {
            return Err(SchemaError {
                code: ViolationCode::CostlySchema,
                pointer: String::new(),
                message: String::from("too many subschemas below long property names"),
                help: Some(String::from("use shorter names or less nesting")),
            });
        }
        let index = self.all.len();
        self.by_pointer.insert(pointer.clone(), index);
        self.all.push(Location { pointer: pointer.clone(), ..Location::default() });
        match schema {
            Value::Bool(_) => {}
            Value::Object(keywords) => self.keywords(index, keywords, &pointer)?,
            Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                return Err(SchemaError {
                    code: ViolationCode::InvalidSchema,
                    pointer,
                    message: String::from("a schema is an object, `true` or `false`"),
                    help: None,
                });
            }
        }
        Ok(index)
    }

    fn keywords(
        &mut self,
        index: usize,
        keywords: &Map<String, Value>,
        pointer: &str,
    ) -> Result<(), SchemaError> {
        self.facts(index, keywords);
        for (keyword, value) in keywords {
            let here = below(pointer, keyword);
            if let Some(&(_, relation)) = ONE.iter().find(|(name, _)| name == keyword) {
                self.one(index, relation, value, here)?;
            } else if let Some(&(_, relation)) = MANY.iter().find(|(name, _)| name == keyword) {
                let Value::Array(schemas) = value else { return Err(not_a(here, "an array of schemas")) };
                for (nth, schema) in schemas.iter().enumerate() {
                    self.one(index, relation, schema, below(&here, &nth.to_string()))?;
                }
            } else if let Some(&(_, relation)) = NAMED.iter().find(|(name, _)| name == keyword) {
                let Value::Object(schemas) = value else { return Err(not_a(here, "an object of schemas")) };
                for (name, schema) in schemas {
                    if relation == Relation::Property {
                        self.names.insert(name.clone());
                    }
                    self.one(index, relation, schema, below(&here, name))?;
                }
            } else if DEFINITIONS.contains(&keyword.as_str()) {
                let Value::Object(schemas) = value else { return Err(not_a(here, "an object of schemas")) };
                for (name, schema) in schemas {
                    self.add(schema, below(&here, name))?;
                }
            } else {
                self.other(index, keyword, value, here)?;
            }
        }
        Ok(())
    }

    fn one(
        &mut self,
        parent: usize,
        relation: Relation,
        schema: &Value,
        pointer: String,
    ) -> Result<(), SchemaError> {
        let child = self.add(schema, pointer)?;
        self.all[parent].edges.push((relation, child));
        Ok(())
    }

    fn facts(&mut self, index: usize, keywords: &Map<String, Value>) {
        let has = |names: &[&str]| names.iter().any(|name| keywords.contains_key(*name));
        let of_object = match keywords.get("type") {
            Some(Value::String(name)) => name == "object",
            Some(Value::Array(names)) => names.iter().any(|name| name == "object"),
            Some(_) | None => false,
        };
        let location = &mut self.all[index];
        location.names_properties = has(&["properties", "patternProperties"]);
        location.about_objects = of_object || location.names_properties || has(&["required"]);
        location.closed_by_author = has(&["additionalProperties", "unevaluatedProperties"]);
        location.unevaluated = has(&["unevaluatedProperties", "unevaluatedItems"]);
    }

    /// A keyword that holds no subschema.
    fn other(&mut self, index: usize, keyword: &str, value: &Value, here: String) -> Result<(), SchemaError> {
        let unsupported = |message: String, help: &str| {
            Err(SchemaError {
                code: ViolationCode::UnsupportedSchema,
                pointer: here.clone(),
                message,
                help: Some(help.to_owned()),
            })
        };
        match (keyword, value) {
            ("$schema", Value::String(dialect)) if dialect.trim_end_matches('#') == DIALECT => Ok(()),
            ("$schema", _) => unsupported(
                String::from("a schema of another dialect than JSON Schema 2020-12"),
                "leave `$schema` out and write the schema for 2020-12",
            ),
            // The base of references that leave the document, and none do.
            ("$id", Value::String(_)) if index == 0 => Ok(()),
            ("$id", _) => unsupported(
                String::from("`$id` inside a schema makes references mean something else"),
                "leave `$id` out",
            ),
            ("$anchor", Value::String(name)) => {
                self.anchors.insert(name.clone(), index);
                Ok(())
            }
            ("$ref", Value::String(reference)) => {
                self.references.push((index, reference.clone()));
                Ok(())
            }
            ("$ref", _) => Err(not_a(here, "a string")),
            ("type", Value::String(name)) if !TYPES.contains(&name.as_str()) => Err(SchemaError {
                code: ViolationCode::InvalidSchema,
                pointer: here,
                message: format!("`{}` is no type of JSON", shorten(name)),
                help: Some(crate::suggest::help(name, &TYPES)),
            }),
            (name, _) if UNSUPPORTED.contains(&name) => {
                unsupported(format!("`{name}` is not supported"), "use `$ref` with `$defs`")
            }
            ("format", _) if self.notes.len() >= MAX_NOTES => Ok(()),
            ("format", _) => {
                self.notes.push((here, String::from("`format` is not checked; use `pattern`")));
                Ok(())
            }
            (name, _) if PLAIN.contains(&name) || self.notes.len() >= MAX_NOTES => Ok(()),
            (name, _) => {
                let known = PLAIN.iter().copied().chain(words(&ONE)).chain(words(&MANY)).chain(words(&NAMED));
                let near = crate::suggest::nearest(name, known);
                let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                self.notes.push((here, format!("`{}` is no keyword of JSON Schema{near}", shorten(name))));
                Ok(())
            }
        }
    }

    fn resolve(&self, from: usize, reference: &str) -> Result<usize, SchemaError> {
        let error = |code, message: String, help: &str| SchemaError {
            code,
            pointer: below(&self.all[from].pointer, "$ref"),
            message,
            help: Some(help.to_owned()),
        };
        let Some(fragment) = reference.strip_prefix('#') else {
            return Err(error(
                ViolationCode::RemoteSchema,
                format!("`{}` refers to another document", shorten(reference)),
                "copy what it refers to into `$defs` and refer to `#/$defs/…`",
            ));
        };
        // A `%` that begins no escape would stand for itself, and the validator takes no such reference.
        let escape =
            |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|digit| digit.is_ascii_hexdigit());
        let is_escaped = fragment.split('%').skip(1).all(escape);
        let decoded = is_escaped.then(|| percent_decode_str(fragment).decode_utf8().ok()).flatten();
        let found = decoded.as_deref().and_then(|fragment| {
            if fragment.is_empty() || fragment.starts_with('/') {
                self.by_pointer.get(fragment)
            } else {
                self.anchors.get(fragment)
            }
        });
        found.copied().ok_or_else(|| {
            error(
                ViolationCode::InvalidSchema,
                format!("no schema stands at `{}`", shorten(reference)),
                "refer to `#`, `#/$defs/name` or another place of this schema where a schema stands",
            )
        })
    }
}

fn words<'a>(table: &'a [(&'static str, Relation)]) -> impl Iterator<Item = &'static str> + 'a {
    table.iter().map(|(name, _)| *name)
}

pub(super) fn below(pointer: &str, token: &str) -> String {
    let mut below = pointer.to_owned();
    push_token(&mut below, token);
    below
}

fn not_a(pointer: String, wanted: &str) -> SchemaError {
    SchemaError { code: ViolationCode::InvalidSchema, pointer, message: format!("not {wanted}"), help: None }
}
