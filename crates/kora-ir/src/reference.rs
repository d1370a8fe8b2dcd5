//! `{"$from": task, "pointer": …}`: the only way in which one task sees another (S2).

use std::sync::Arc;

use serde_json::{Value, json};
use thiserror::Error;

use crate::{CheckedGraph, TaskIndex, ValidatedOutput};

/// A payload with places to fill from dependencies' outputs.
///
/// A payload without references is kept as one shared value and never copied.
#[derive(Clone, Debug)]
pub struct Template(pub(crate) Node);

#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// No reference anywhere inside.
    Fixed(Arc<Value>),
    Reference {
        from: TaskIndex,
        pointer: Box<str>,
    },
    Array(Box<[Node]>),
    Object(Box<[(Box<str>, Node)]>),
}

impl Template {
    /// A payload that refers to nothing.
    pub fn fixed(value: Value) -> Self {
        Self(Node::Fixed(Arc::new(value)))
    }

    /// The payload itself, if it refers to nothing.
    pub fn as_fixed(&self) -> Option<&Arc<Value>> {
        match &self.0 {
            Node::Fixed(value) => Some(value),
            Node::Reference { .. } | Node::Array(_) | Node::Object(_) => None,
        }
    }

    /// The payload as KORA wrote it, references included.
    pub fn document(&self, graph: &CheckedGraph) -> Arc<Value> {
        match &self.0 {
            Node::Fixed(value) => Arc::clone(value),
            node @ (Node::Reference { .. } | Node::Array(_) | Node::Object(_)) => {
                Arc::new(write(node, graph))
            }
        }
    }

    /// The payload with every reference replaced by what it points to.
    ///
    /// # Errors
    ///
    /// [`UnresolvedReference`] if an output has nothing at a pointer.
    pub fn resolve<'o>(
        &self,
        output_of: impl Fn(TaskIndex) -> Option<&'o ValidatedOutput>,
    ) -> Result<Arc<Value>, UnresolvedReference> {
        match &self.0 {
            Node::Fixed(value) => Ok(Arc::clone(value)),
            // A whole output is shared, not copied.
            Node::Reference { from, pointer } if pointer.is_empty() => output_of(*from)
                .map(ValidatedOutput::shared)
                .ok_or_else(|| UnresolvedReference { from: *from, pointer: String::new() }),
            node @ (Node::Reference { .. } | Node::Array(_) | Node::Object(_)) => {
                fill(node, &output_of).map(Arc::new)
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
        Node::Reference { from, pointer } => json!({ "$from": graph.task(*from).id, "pointer": pointer }),
        Node::Array(items) => Value::Array(items.iter().map(|item| write(item, graph)).collect()),
        Node::Object(fields) => {
            Value::Object(fields.iter().map(|(name, node)| (name.to_string(), write(node, graph))).collect())
        }
    }
}

fn fill<'o>(
    node: &Node,
    output_of: &impl Fn(TaskIndex) -> Option<&'o ValidatedOutput>,
) -> Result<Value, UnresolvedReference> {
    Ok(match node {
        Node::Fixed(value) => Value::clone(value),
        Node::Reference { from, pointer } => output_of(*from)
            .and_then(|output| output.value().pointer(pointer))
            .cloned()
            .ok_or_else(|| UnresolvedReference { from: *from, pointer: pointer.to_string() })?,
        Node::Array(items) => {
            Value::Array(items.iter().map(|item| fill(item, output_of)).collect::<Result<_, _>>()?)
        }
        Node::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(name, node)| Ok((name.to_string(), fill(node, output_of)?)))
                .collect::<Result<_, _>>()?,
        ),
    })
}

/// A reference to something that the dependency's output does not have.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("the output of the dependency has nothing at `{pointer}`")]
pub struct UnresolvedReference {
    /// The dependency.
    pub from: TaskIndex,
    /// JSON pointer into its output.
    pub pointer: String,
}
