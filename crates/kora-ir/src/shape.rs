//! What payloads with references have in common: everything but whom they refer to.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde_json::Value;

use crate::pointer::Pointer;

/// A payload whose references are open. Tasks by the thousand have the same: it is kept once, and stays in the
/// processor's cache when they run.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) node: Node,
    /// How many bytes of outputs the references may bring in together.
    pub(crate) max_bytes: usize,
}

#[derive(Debug)]
pub(crate) enum Node {
    /// No reference anywhere inside.
    Fixed(Value),
    /// The next one, depth first, of those that the template names.
    Reference(Arc<Pointer>),
    Array(Box<[Node]>),
    // Names and pointers are shared by a whole graph, so that they are equal exactly if they are the same.
    Object(Box<[(Arc<str>, Node)]>),
}

impl Node {
    /// Whether `holds` for the pointers of all references, in the order of the template.
    pub(crate) fn all_pointers(&self, holds: &mut impl FnMut(&Arc<Pointer>) -> bool) -> bool {
        match self {
            Self::Fixed(_) => true,
            Self::Reference(pointer) => holds(pointer),
            Self::Array(items) => items.iter().all(|item| item.all_pointers(holds)),
            Self::Object(fields) => fields.iter().all(|(_, field)| field.all_pointers(holds)),
        }
    }
}

impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        self.max_bytes == other.max_bytes && same_node(&self.node, &other.node)
    }
}

impl Eq for Shape {}

impl Hash for Shape {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_node(&self.node, state);
    }
}

fn same_node(a: &Node, b: &Node) -> bool {
    match (a, b) {
        (Node::Fixed(a), Node::Fixed(b)) => same_value(a, b),
        (Node::Reference(a), Node::Reference(b)) => Arc::ptr_eq(a, b),
        (Node::Array(a), Node::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_node(a, b))
        }
        (Node::Object(a), Node::Object(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(&a.0, &b.0) && same_node(&a.1, &b.1))
        }
        (Node::Fixed(_) | Node::Reference(_) | Node::Array(_) | Node::Object(_), _) => false,
    }
}

fn hash_node(node: &Node, state: &mut impl Hasher) {
    match node {
        Node::Fixed(value) => hash_value(value, state),
        Node::Reference(pointer) => Arc::as_ptr(pointer).hash(state),
        Node::Array(items) => {
            items.len().hash(state);
            items.iter().for_each(|item| hash_node(item, state));
        }
        Node::Object(fields) => fields.iter().for_each(|(name, field)| {
            name.as_ptr().hash(state);
            hash_node(field, state);
        }),
    }
}

/// Equality of values as written: the order of fields counts, and so does how a number is kept.
pub(crate) fn same_value(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_value(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && same_value(a.1, b.1))
        }
        // Zero and its negative are equal as numbers.
        (Value::Number(a), Value::Number(b)) => {
            a == b && a.as_f64().map(f64::is_sign_negative) == b.as_f64().map(f64::is_sign_negative)
        }
        (
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_),
            _,
        ) => a == b,
    }
}

/// Equal for values that are [`same_value`].
pub(crate) fn hash_value(value: &Value, state: &mut impl Hasher) {
    match value {
        Value::Null => {}
        Value::Bool(truth) => truth.hash(state),
        Value::Number(number) => number.hash(state),
        Value::String(text) => text.hash(state),
        Value::Array(items) => {
            items.len().hash(state);
            items.iter().for_each(|item| hash_value(item, state));
        }
        Value::Object(fields) => {
            fields.len().hash(state);
            fields.iter().for_each(|(name, field)| {
                name.hash(state);
                hash_value(field, state);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hash::DefaultHasher;

    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_the_same_only_if_they_are_written_alike() {
        let hash = |value: &Value| {
            let mut state = DefaultHasher::new();
            hash_value(value, &mut state);
            state.finish()
        };
        let (one, other) = (json!({"a": [1, "x", null], "b": 0.5}), json!({"a": [1, "x", null], "b": 0.5}));
        assert!(same_value(&one, &other) && hash(&one) == hash(&other));
        for other in [
            json!({"b": 0.5, "a": [1, "x", null]}),
            json!({"a": [1.0, "x", null], "b": 0.5}),
            json!({"a": [1, "x"], "b": 0.5}),
            json!([1]),
        ] {
            assert!(!same_value(&one, &other), "{other}");
        }
        assert!(!same_value(&json!(-0.0), &json!(0.0)));
    }
}
