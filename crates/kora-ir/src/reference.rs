//! `{"$from": task, "pointer": …}`: the only way in which one task sees another (S2).

use std::sync::Arc;

use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::pointer::Pointer;
use crate::{CheckedGraph, TaskIndex, ValidatedOutput};

/// A payload with places to fill from dependencies' outputs.
///
/// A payload without references is kept as one shared value and never copied.
#[derive(Clone, Debug)]
pub struct Template {
    pub(crate) node: Node,
    /// How many bytes of outputs its references may bring in together.
    pub(crate) max_bytes: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// No reference anywhere inside.
    Fixed(Arc<Value>),
    Reference {
        from: TaskIndex,
        pointer: Arc<Pointer>,
    },
    Array(Box<[Node]>),
    Object(Box<[(Arc<str>, Node)]>),
}

impl Template {
    /// A payload that refers to nothing.
    pub fn fixed(value: Value) -> Self {
        Self { node: Node::Fixed(Arc::new(value)), max_bytes: 0 }
    }

    /// The payload itself, if it refers to nothing.
    pub fn as_fixed(&self) -> Option<&Arc<Value>> {
        match &self.node {
            Node::Fixed(value) => Some(value),
            Node::Reference { .. } | Node::Array(_) | Node::Object(_) => None,
        }
    }

    /// The payload as KORA wrote it, references included.
    pub fn document(&self, graph: &CheckedGraph) -> Arc<Value> {
        match &self.node {
            Node::Fixed(value) => Arc::clone(value),
            node @ (Node::Reference { .. } | Node::Array(_) | Node::Object(_)) => {
                Arc::new(write(node, graph))
            }
        }
    }

    /// Whether [`resolve`](Self::resolve) will do, without copying anything.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn check<'o>(
        &self,
        output_of: impl Fn(TaskIndex) -> Option<&'o ValidatedOutput>,
    ) -> Result<(), UnresolvedReference> {
        match &self.node {
            Node::Reference { from, pointer } if pointer.as_str().is_empty() => output_of(*from)
                .map(drop)
                .ok_or_else(|| unresolved(*from, pointer, UnresolvedReason::Nothing)),
            node @ (Node::Fixed(_) | Node::Reference { .. } | Node::Array(_) | Node::Object(_)) => {
                Filling { output_of, left: self.max_bytes, max_bytes: self.max_bytes }.check(node)
            }
        }
    }

    /// The payload with every reference replaced by what it points to.
    ///
    /// # Errors
    ///
    /// [`UnresolvedReference`] if an output has nothing at a pointer, or if all of them together would be larger than
    /// [`Limits::max_input_bytes`](crate::Limits::max_input_bytes): each is counted before it is copied (I8).
    pub fn resolve<'o>(
        &self,
        output_of: impl Fn(TaskIndex) -> Option<&'o ValidatedOutput>,
    ) -> Result<Arc<Value>, UnresolvedReference> {
        match &self.node {
            Node::Fixed(value) => Ok(Arc::clone(value)),
            // A whole output is shared, not copied.
            Node::Reference { from, pointer } if pointer.as_str().is_empty() => output_of(*from)
                .map(ValidatedOutput::shared)
                .ok_or_else(|| unresolved(*from, pointer, UnresolvedReason::Nothing)),
            node @ (Node::Reference { .. } | Node::Array(_) | Node::Object(_)) => {
                let mut filling = Filling { output_of, left: self.max_bytes, max_bytes: self.max_bytes };
                filling.fill(node).map(Arc::new)
            }
        }
    }
}

impl Node {
    /// Replaces the task that each reference names.
    pub(crate) fn renumber(&mut self, place_of: &impl Fn(TaskIndex) -> TaskIndex) {
        match self {
            Self::Fixed(_) => {}
            Self::Reference { from, .. } => *from = place_of(*from),
            Self::Array(items) => items.iter_mut().for_each(|item| item.renumber(place_of)),
            Self::Object(fields) => fields.iter_mut().for_each(|(_, field)| field.renumber(place_of)),
        }
    }
}

fn write(node: &Node, graph: &CheckedGraph) -> Value {
    match node {
        Node::Fixed(value) => Value::clone(value),
        Node::Reference { from, pointer } => {
            json!({ "$from": graph.task(*from).id, "pointer": pointer.as_str() })
        }
        Node::Array(items) => Value::Array(items.iter().map(|item| write(item, graph)).collect()),
        Node::Object(fields) => {
            Value::Object(fields.iter().map(|(name, node)| (name.to_string(), write(node, graph))).collect())
        }
    }
}

fn unresolved(from: TaskIndex, pointer: &Pointer, reason: UnresolvedReason) -> UnresolvedReference {
    UnresolvedReference { from, pointer: pointer.as_str().to_owned(), reason }
}

/// Takes the size of a value off `left`, strings as if nothing in them were escaped; whether that much was left.
fn take_bytes(value: &Value, left: &mut usize) -> bool {
    let bytes = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 4,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.len() + 2,
        Value::Object(fields) => fields.keys().map(|name| name.len() + 4).sum::<usize>() + 2,
    };
    match left.checked_sub(bytes) {
        None => false,
        Some(rest) => {
            *left = rest;
            match value {
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
                Value::Array(items) => items.iter().all(|item| take_bytes(item, left)),
                Value::Object(fields) => fields.values().all(|field| take_bytes(field, left)),
            }
        }
    }
}

/// One payload on its way from a template to a value.
struct Filling<F> {
    output_of: F,
    /// Bytes that references may still bring in.
    left: usize,
    max_bytes: usize,
}

impl<'o, F: Fn(TaskIndex) -> Option<&'o ValidatedOutput>> Filling<F> {
    fn check(&mut self, node: &Node) -> Result<(), UnresolvedReference> {
        match node {
            Node::Fixed(_) => Ok(()),
            Node::Reference { from, pointer } => self.find(*from, pointer).map(drop),
            Node::Array(items) => items.iter().try_for_each(|item| self.check(item)),
            Node::Object(fields) => fields.iter().try_for_each(|(_, field)| self.check(field)),
        }
    }

    /// What a reference points to, its size counted.
    fn find(&mut self, from: TaskIndex, pointer: &Pointer) -> Result<&'o Value, UnresolvedReference> {
        let value = (self.output_of)(from)
            .and_then(|output| pointer.follow(output.value()))
            .ok_or_else(|| unresolved(from, pointer, UnresolvedReason::Nothing))?;
        if take_bytes(value, &mut self.left) {
            Ok(value)
        } else {
            Err(unresolved(from, pointer, UnresolvedReason::TooLarge { max_bytes: self.max_bytes }))
        }
    }

    fn fill(&mut self, node: &Node) -> Result<Value, UnresolvedReference> {
        match node {
            Node::Fixed(value) => Ok(Value::clone(value)),
            // Counted before it is copied.
            Node::Reference { from, pointer } => self.find(*from, pointer).cloned(),
            Node::Array(items) => {
                let mut array = Vec::with_capacity(items.len());
                for item in items {
                    array.push(self.fill(item)?);
                }
                Ok(Value::Array(array))
            }
            Node::Object(fields) => {
                let mut object = Map::with_capacity(fields.len());
                for (name, field) in fields {
                    object.insert(String::from(&**name), self.fill(field)?);
                }
                Ok(Value::Object(object))
            }
        }
    }
}

/// A reference that cannot be replaced by what it points to.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("the output of the dependency {reason} at `{pointer}`")]
pub struct UnresolvedReference {
    /// The dependency.
    pub from: TaskIndex,
    /// JSON pointer into its output.
    pub pointer: String,
    /// Why not.
    pub reason: UnresolvedReason,
}

/// Why a reference cannot be replaced.
#[expect(clippy::exhaustive_enums, reason = "what is there either fits or does not")]
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum UnresolvedReason {
    /// The output has nothing there.
    #[error("has nothing")]
    Nothing,
    /// With this value, what the payload refers to is larger than allowed.
    #[error("has more than the {max_bytes} bytes allowed to a payload, with what it refers to before,")]
    TooLarge {
        /// Bytes that all references of the payload may bring in together.
        max_bytes: usize,
    },
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Limits, OutputSchema};

    #[test]
    fn references_that_would_add_up_to_too_much_are_refused_before_they_are_copied() {
        let schema = OutputSchema::compile(json!({}), &Limits::default()).unwrap();
        let output = schema.admit(json!({"a": "x".repeat(100)})).unwrap();
        let reference = || Node::Reference { from: TaskIndex(0), pointer: Arc::new(Pointer::new("/a")) };
        let template = |count: usize| Template {
            node: Node::Array((0..count).map(|_| reference()).collect()),
            max_bytes: 1000,
        };
        let resolve = |count| template(count).resolve(|_| Some(&output));
        assert_eq!(resolve(9).unwrap().as_array().unwrap().len(), 9);
        let refused = resolve(10).unwrap_err();
        assert_eq!(refused.reason, UnresolvedReason::TooLarge { max_bytes: 1000 });
        let nothing = Template {
            node: Node::Reference { from: TaskIndex(0), pointer: Arc::new(Pointer::new("/b")) },
            max_bytes: 9,
        };
        let refused = nothing.resolve(|_| Some(&output)).unwrap_err();
        assert_eq!(refused.to_string(), "the output of the dependency has nothing at `/b`");
    }
}
