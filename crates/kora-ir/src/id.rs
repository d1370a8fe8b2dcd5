//! Names of things: a task's id as KORA wrote it, its index as the engine counts it, a graph's digest.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::Serialize;

use crate::read::id_fault;
use crate::{Limits, TaskType};

/// A task's id, as written in the graph and unique in it.
///
/// Of the allowed characters, and within [`Limits::max_id_bytes`]. A graph keeps all its ids in one text, of which each is
/// a part: a million of them are one allocation, and passing one on counts on one place.
#[derive(Clone)]
pub struct TaskId {
    all: Arc<str>,
    start: u32,
    len: u32,
}

impl TaskId {
    /// An id outside of any graph: for whoever is given one task, and not its graph. `None` unless a graph could have it,
    /// within `limits`.
    pub fn alone(text: &str, limits: &Limits) -> Option<Self> {
        let len = u32::try_from(text.len()).ok().filter(|_| id_fault(text, limits.max_id_bytes).is_none())?;
        Some(Self { all: text.into(), start: 0, len })
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        let start = self.start as usize;
        self.all.get(start..start + self.len as usize).unwrap_or_default()
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskId").field(&self.as_str()).finish()
    }
}

impl PartialEq for TaskId {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for TaskId {}

impl PartialOrd for TaskId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TaskId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for TaskId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Serialize for TaskId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the tasks of a graph are called and of which type they are: all that a report needs to know of a graph, and a
/// small part of it. Cloning is cheap.
#[derive(Clone, Eq, PartialEq)]
pub struct TaskNames(Arc<Names>);

#[derive(Eq, PartialEq)]
struct Names {
    all: Arc<str>,
    // Invariant: where each id starts, and where the last one ends.
    starts: Box<[u32]>,
    // Invariant: one for each id.
    types: Box<[TaskType]>,
}

impl TaskNames {
    /// Of these ids and types, in canonical order.
    pub(crate) fn new<'i>(tasks: impl Iterator<Item = (&'i str, TaskType)> + Clone) -> Self {
        let all: String = tasks.clone().map(|(id, _)| id).collect();
        let ends = tasks.clone().scan(0_u32, |end, (id, _)| {
            // A document has at most 2^32 - 1 bytes, and these are fewer.
            *end = end.saturating_add(u32::try_from(id.len()).unwrap_or(u32::MAX));
            Some(*end)
        });
        let starts = std::iter::once(0).chain(ends).collect();
        Self(Arc::new(Names {
            all: all.into(),
            starts,
            types: tasks.map(|(_, task_type)| task_type).collect(),
        }))
    }

    /// How many tasks there are.
    #[expect(clippy::len_without_is_empty, reason = "a graph has a root")]
    pub fn len(&self) -> usize {
        self.0.types.len()
    }

    /// A task's id.
    pub fn id(&self, index: TaskIndex) -> TaskId {
        let (start, end) = (self.0.starts[index.as_usize()], self.0.starts[index.as_usize() + 1]);
        TaskId { all: Arc::clone(&self.0.all), start, len: end - start }
    }

    /// A task's type.
    pub fn task_type(&self, index: TaskIndex) -> TaskType {
        self.0.types[index.as_usize()]
    }

    /// The places of all tasks, in canonical order.
    pub fn indices(&self) -> impl ExactSizeIterator<Item = TaskIndex> + use<> {
        #[expect(clippy::cast_possible_truncation, reason = "`Limits::max_tasks` is far below")]
        (0..self.len()).map(|index| TaskIndex(index as u32))
    }
}

impl fmt::Debug for TaskNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.indices().map(|index| self.id(index))).finish()
    }
}

/// A task's place in canonical order (S4), counted from 0.
///
/// It is also the index into [`CheckedGraph::tasks`](crate::CheckedGraph::tasks): the order is computed once and
/// everything after works with dense numbers.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TaskIndex(pub(crate) u32);

impl TaskIndex {
    /// The place as a number, counted from 0.
    pub fn as_usize(self) -> usize {
        self.0 as usize
    }
}

/// SHA-256 over the canonical JSON (RFC 8785) of a graph as KORA wrote it (I1).
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct GraphDigest(pub(crate) [u8; 32]);

impl GraphDigest {
    /// The 32 bytes of the hash.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for GraphDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for GraphDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for GraphDigest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_outside_of_a_graph_keeps_the_rule_of_those_inside() {
        let alone = |text: &str| TaskId::alone(text, &Limits::default()).map(|id| id.to_string());
        assert_eq!(alone("reply.1").as_deref(), Some("reply.1"));
        for text in ["", "-a", "a b", "é", &"a".repeat(129)] {
            assert_eq!(alone(text), None, "{text}");
        }
    }
}
