//! The places of a schema, and where its references lead.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// Keywords whose value is a schema.
const ONE: [&str; 10] = [
    "if",
    "not",
    "then",
    "else",
    "items",
    "unevaluatedItems",
    "contains",
    "additionalProperties",
    "unevaluatedProperties",
    "propertyNames",
];
/// Keywords whose value is a list of schemas.
const MANY: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
/// Keywords whose value is schemas by name.
const NAMED: [&str; 5] = ["properties", "patternProperties", "dependentSchemas", "$defs", "definitions"];

/// All places of a schema by pointer, and which of them lie on a circle.
pub(crate) struct Places<'s> {
    document: &'s Value,
    indices: BTreeMap<String, usize>,
    anchors: BTreeMap<String, String>,
    circle_of: Vec<usize>,
    circle_sizes: BTreeMap<usize, usize>,
    describes_together: bool,
}

impl<'s> Places<'s> {
    /// Finds them. The document was compiled by the gate, so references lead somewhere.
    pub(crate) fn of(document: &'s Value) -> Self {
        let mut places = Self {
            document,
            indices: BTreeMap::new(),
            anchors: BTreeMap::new(),
            circle_of: Vec::new(),
            circle_sizes: BTreeMap::new(),
            describes_together: false,
        };
        let mut edges: Vec<Vec<usize>> = Vec::new();
        let mut references = Vec::new();
        let mut open = vec![(String::new(), document, None)];
        while let Some((pointer, schema, parent)) = open.pop() {
            let index = edges.len();
            edges.push(Vec::new());
            if let Some(parent) = parent {
                let parent: &mut Vec<usize> = &mut edges[parent];
                parent.push(index);
            }
            if let Value::Object(keywords) = schema {
                let together =
                    ["allOf", "anyOf", "oneOf", "$ref", "unevaluatedProperties", "patternProperties"];
                places.describes_together |= together.iter().any(|keyword| keywords.contains_key(*keyword));
                if let Some(Value::String(anchor)) = keywords.get("$anchor") {
                    places.anchors.insert(anchor.clone(), pointer.clone());
                }
                if let Some(Value::String(reference)) = keywords.get("$ref") {
                    references.push((index, reference.as_str()));
                }
                let below = subschemas(keywords, &pointer);
                open.extend(below.into_iter().map(|(pointer, schema)| (pointer, schema, Some(index))));
            }
            places.indices.insert(pointer, index);
        }
        for (from, reference) in references {
            if let Some(to) = places.target(reference).and_then(|to| places.indices.get(&to)) {
                edges[from].push(*to);
            }
        }
        places.circle_of = circles(&edges);
        for circle in &places.circle_of {
            *places.circle_sizes.entry(*circle).or_default() += 1;
        }
        places
    }

    /// The pointer that a reference leads to.
    pub(crate) fn target(&self, reference: &str) -> Option<String> {
        // As the gate reads it.
        let fragment = percent_decode_str(reference.strip_prefix('#')?).decode_utf8().ok()?.into_owned();
        if fragment.is_empty() || fragment.starts_with('/') {
            Some(fragment)
        } else {
            self.anchors.get(&fragment).cloned()
        }
    }

    /// Whether whoever follows subschemas and references from `pointer` can come back to it.
    pub(crate) fn is_on_a_circle(&self, pointer: &str) -> bool {
        let circle = self.indices.get(pointer).map(|&index| self.circle_of[index]);
        circle.and_then(|circle| self.circle_sizes.get(&circle)).is_some_and(|&size| size > 1)
    }

    /// Whether several schemas may describe one value.
    pub(crate) fn describes_together(&self) -> bool {
        self.describes_together
    }

    /// The schema at a pointer.
    pub(crate) fn at(&self, pointer: &str) -> Option<&'s Value> {
        self.document.pointer(pointer)
    }

    /// Whether whoever stands at `from` and refers to `to` comes back to where it stands.
    pub(crate) fn is_circle(&self, from: &str, to: &str) -> bool {
        match (self.indices.get(from), self.indices.get(to)) {
            (Some(&from), Some(&to)) => self.circle_of[from] == self.circle_of[to],
            _ => false,
        }
    }
}

/// The schemas right below one, in its order.
fn subschemas<'s>(keywords: &'s Map<String, Value>, pointer: &str) -> Vec<(String, &'s Value)> {
    let mut found = Vec::new();
    for (keyword, value) in keywords {
        let here = below(pointer, keyword);
        match (keyword.as_str(), value) {
            (keyword, value) if ONE.contains(&keyword) => found.push((here, value)),
            (keyword, Value::Array(all)) if MANY.contains(&keyword) => {
                found.extend(all.iter().enumerate().map(|(nth, one)| (below(&here, &nth.to_string()), one)));
            }
            (keyword, Value::Object(named)) if NAMED.contains(&keyword) => {
                found.extend(named.iter().map(|(name, one)| (below(&here, name), one)));
            }
            _ => {}
        }
    }
    found
}

/// One step further down.
pub(crate) fn below(pointer: &str, token: &str) -> String {
    format!("{pointer}/{}", token.replace('~', "~0").replace('/', "~1"))
}

/// A number for each node, equal for nodes that reach each other.
fn circles(edges: &[Vec<usize>]) -> Vec<usize> {
    // Once forward for the order in which nodes are left, once backward in the reverse of it.
    let mut left = Vec::with_capacity(edges.len());
    let mut seen = vec![false; edges.len()];
    for start in 0..edges.len() {
        let mut calls = if std::mem::replace(&mut seen[start], true) { Vec::new() } else { vec![(start, 0)] };
        while let Some((at, nth)) = calls.last_mut() {
            match edges[*at].get(*nth) {
                Some(&next) => {
                    *nth += 1;
                    if !std::mem::replace(&mut seen[next], true) {
                        calls.push((next, 0));
                    }
                }
                None => {
                    left.push(*at);
                    calls.pop();
                }
            }
        }
    }
    let mut backward = vec![Vec::new(); edges.len()];
    for (from, tos) in edges.iter().enumerate() {
        for &to in tos {
            backward[to].push(from);
        }
    }
    let mut circle = vec![usize::MAX; edges.len()];
    for &start in left.iter().rev() {
        let mut open = vec![start];
        while let Some(at) = open.pop() {
            if circle[at] == usize::MAX {
                circle[at] = start;
                open.extend(&backward[at]);
            }
        }
    }
    circle
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_lead_to_places_and_circles_are_known() {
        let document = json!({
            "$defs": {"a/b": {"items": {"$ref": "#/$defs/tree"}}, "tree": {"$anchor": "tree", "items": {"$ref": "#tree"}}},
            "properties": {"x": {"$ref": "#/$defs/a~1b"}, "y": {"$ref": "#/%24defs/tree"}},
        });
        let places = Places::of(&document);
        assert_eq!(places.target("#/$defs/a~1b").unwrap(), "/$defs/a~1b");
        assert_eq!(places.target("#tree").unwrap(), "/$defs/tree");
        assert_eq!(places.target("#/%24defs/tree").unwrap(), "/$defs/tree");
        assert_eq!(places.target("#/%2").unwrap(), "/%2");
        assert_eq!(places.target("#/%ff"), None);
        assert!(places.is_circle("/$defs/tree/items", "/$defs/tree"));
        assert!(!places.is_circle("/properties/x", "/$defs/a~1b"));
        assert!(!places.is_circle("/$defs/a~1b/items", "/$defs/tree"));
        assert!(places.is_on_a_circle("/$defs/tree/items"));
        assert!(!places.is_on_a_circle("") && !places.is_on_a_circle("/$defs/a~1b"));
    }
}
