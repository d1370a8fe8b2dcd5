//! `{"$from": task, "pointer": …}`: the only way in which one task sees another (S2).

use std::ops::Deref;
use std::slice;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::pointer::Pointer;
use crate::schema::SCALAR_BYTES;
use crate::shape::{Node, Shape};
use crate::{CheckedGraph, TaskIndex, ValidatedOutput};

/// A payload with places to fill from dependencies' outputs.
///
/// A payload without references is kept as one shared value and never copied. One with references is a shape, shared
/// by all payloads that differ in whom they refer to and in nothing else.
#[derive(Clone, Debug)]
pub struct Template(pub(crate) Form);

#[derive(Clone, Debug)]
pub(crate) enum Form {
    Fixed(Arc<Value>),
    Open {
        shape: Arc<Shape>,
        // Invariant: one for each reference of the shape, depth first.
        from: Box<[TaskIndex]>,
    },
}

impl Template {
    /// A payload that refers to nothing.
    pub fn fixed(value: Value) -> Self {
        Self(Form::Fixed(Arc::new(value)))
    }

    /// The same of a value that others may have as well.
    pub(crate) fn shared(value: Arc<Value>) -> Self {
        Self(Form::Fixed(value))
    }

    /// The payload itself, if it refers to nothing.
    pub fn as_fixed(&self) -> Option<&Arc<Value>> {
        match &self.0 {
            Form::Fixed(value) => Some(value),
            Form::Open { .. } => None,
        }
    }

    /// The payload as KORA wrote it, references included.
    pub fn document(&self, graph: &CheckedGraph) -> Arc<Value> {
        match &self.0 {
            Form::Fixed(value) => Arc::clone(value),
            Form::Open { shape, from } => Arc::new(write(&shape.node, &mut from.iter(), graph)),
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
        match &self.0 {
            Form::Fixed(_) => Ok(()),
            Form::Open { shape, from } => match whole(shape, from) {
                Some((from, pointer)) => output_of(from)
                    .map(drop)
                    .ok_or_else(|| unresolved(from, pointer, UnresolvedReason::Nothing)),
                None => Filling::new(output_of, shape, from).check(&shape.node),
            },
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
    ) -> Result<Filled, UnresolvedReference> {
        match &self.0 {
            Form::Fixed(value) => Ok(Filled::Shared(Arc::clone(value))),
            Form::Open { shape, from } => match whole(shape, from) {
                Some((from, pointer)) => output_of(from)
                    .map(|output| Filled::Shared(output.shared()))
                    .ok_or_else(|| unresolved(from, pointer, UnresolvedReason::Nothing)),
                None => {
                    let mut filled = Box::new(Value::Null);
                    Filling::new(output_of, shape, from).fill(&shape.node, &mut filled)?;
                    Ok(Filled::Own(filled))
                }
            },
        }
    }

    /// Whether [`check`](Self::check) will do whatever the dependencies answer, `most_bytes` telling how much there can
    /// be of each at a place where there always is something.
    pub(crate) fn is_sure(
        &self,
        mut most_bytes: impl FnMut(TaskIndex, &Arc<Pointer>) -> Option<usize>,
    ) -> bool {
        let Form::Open { shape, from } = &self.0 else { return true };
        if whole(shape, from).is_some() {
            return true;
        }
        let (mut from, mut left) = (from.iter(), shape.max_bytes);
        shape.node.all_pointers(&mut |pointer| {
            let most = from.next().and_then(|&from| most_bytes(from, pointer));
            let rest = most.and_then(|most| left.checked_sub(most));
            left = rest.unwrap_or_default();
            rest.is_some()
        })
    }
}

/// A payload, every reference replaced.
#[expect(clippy::exhaustive_enums, reason = "a payload is somebody else's whole, or made of parts")]
#[derive(Clone, Debug, PartialEq)]
pub enum Filled {
    /// The graph's own, or a whole output.
    Shared(Arc<Value>),
    /// Made for this attempt.
    Own(Box<Value>),
}

impl Filled {
    /// The payload, to be held by many.
    pub fn into_shared(self) -> Arc<Value> {
        match self {
            Self::Shared(value) => value,
            Self::Own(value) => Arc::new(*value),
        }
    }

    /// The payload, copied only if others hold it.
    pub fn into_value(self) -> Value {
        match self {
            Self::Shared(value) => Arc::unwrap_or_clone(value),
            Self::Own(value) => *value,
        }
    }
}

impl Deref for Filled {
    type Target = Value;

    fn deref(&self) -> &Value {
        match self {
            Self::Shared(value) => value,
            Self::Own(value) => value,
        }
    }
}

/// The task whose whole output the payload is, if so: that is shared, not copied.
fn whole<'s>(shape: &'s Shape, from: &[TaskIndex]) -> Option<(TaskIndex, &'s Pointer)> {
    match &shape.node {
        Node::Reference(pointer) if pointer.as_str().is_empty() => {
            from.first().map(|&from| (from, &**pointer))
        }
        Node::Reference(_) | Node::Fixed(_) | Node::Array(_) | Node::Object(_) => None,
    }
}

fn write(node: &Node, from: &mut slice::Iter<'_, TaskIndex>, graph: &CheckedGraph) -> Value {
    match node {
        Node::Fixed(value) => Value::clone(value),
        Node::Reference(pointer) => {
            json!({ "$from": from.next().map(|&from| &graph.task(from).id), "pointer": pointer.as_str() })
        }
        Node::Array(items) => Value::Array(items.iter().map(|item| write(item, from, graph)).collect()),
        Node::Object(fields) => Value::Object(
            fields.iter().map(|(name, node)| (name.to_string(), write(node, from, graph))).collect(),
        ),
    }
}

fn unresolved(from: TaskIndex, pointer: &Pointer, reason: UnresolvedReason) -> UnresolvedReference {
    UnresolvedReference { from, pointer: pointer.as_str().to_owned(), reason }
}

/// Takes the size of a value off `left`, strings as if nothing in them were escaped; whether that much was left.
fn take_bytes(value: &Value, left: &mut usize) -> bool {
    let bytes = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => SCALAR_BYTES,
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
struct Filling<'f, F> {
    output_of: F,
    from: slice::Iter<'f, TaskIndex>,
    /// Bytes that references may still bring in.
    left: usize,
    max_bytes: usize,
}

impl<'f, 'o, F: Fn(TaskIndex) -> Option<&'o ValidatedOutput>> Filling<'f, F> {
    fn new(output_of: F, shape: &Shape, from: &'f [TaskIndex]) -> Self {
        Self { output_of, from: from.iter(), left: shape.max_bytes, max_bytes: shape.max_bytes }
    }

    fn check(&mut self, node: &Node) -> Result<(), UnresolvedReference> {
        match node {
            Node::Fixed(_) => Ok(()),
            Node::Reference(pointer) => self.find(pointer).map(drop),
            Node::Array(items) => items.iter().try_for_each(|item| self.check(item)),
            Node::Object(fields) => fields.iter().try_for_each(|(_, field)| self.check(field)),
        }
    }

    /// What the next reference points to, its size counted.
    fn find(&mut self, pointer: &Pointer) -> Result<&'o Value, UnresolvedReference> {
        // There are as many as the shape has references.
        let from = self.from.next().copied().unwrap_or(TaskIndex(u32::MAX));
        let value = (self.output_of)(from)
            .and_then(|output| pointer.follow(output.value()))
            .ok_or_else(|| unresolved(from, pointer, UnresolvedReason::Nothing))?;
        if take_bytes(value, &mut self.left) {
            Ok(value)
        } else {
            Err(unresolved(from, pointer, UnresolvedReason::TooLarge { max_bytes: self.max_bytes }))
        }
    }

    /// Fills `slot`, in its place: values are large, and moving one that was just written stalls a processor.
    fn fill(&mut self, node: &Node, slot: &mut Value) -> Result<(), UnresolvedReference> {
        match node {
            Node::Fixed(value) => *slot = Value::clone(value),
            // Counted before it is copied.
            Node::Reference(pointer) => *slot = self.find(pointer)?.clone(),
            Node::Array(items) => {
                *slot = Value::Array(Vec::with_capacity(items.len()));
                if let Value::Array(array) = slot {
                    for item in items {
                        array.push(Value::Null);
                        if let Some(slot) = array.last_mut() {
                            self.fill(item, slot)?;
                        }
                    }
                }
            }
            Node::Object(fields) => {
                let mut object = Map::with_capacity(fields.len());
                for (name, field) in fields {
                    let mut value = Value::Null;
                    self.fill(field, &mut value)?;
                    object.insert(String::from(&**name), value);
                }
                *slot = Value::Object(object);
            }
        }
        Ok(())
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
        let reference = |pointer: &str| Node::Reference(Arc::new(Pointer::new(pointer)));
        let open = |node: Node, max_bytes: usize, references: usize| {
            let shape = Arc::new(Shape { node, max_bytes });
            Template(Form::Open { shape, from: vec![TaskIndex(0); references].into() })
        };
        let template =
            |count: usize| open(Node::Array((0..count).map(|_| reference("/a")).collect()), 1000, count);
        let resolve = |count| template(count).resolve(|_| Some(&output));
        assert_eq!(resolve(9).unwrap().as_array().unwrap().len(), 9);
        let refused = resolve(10).unwrap_err();
        assert_eq!(refused.reason, UnresolvedReason::TooLarge { max_bytes: 1000 });
        let nothing = open(reference("/b"), 9, 1);
        let refused = nothing.resolve(|_| Some(&output)).unwrap_err();
        assert_eq!(refused.to_string(), "the output of the dependency has nothing at `/b`");
    }
}
