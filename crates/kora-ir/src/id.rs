//! Names of things: a task's id as KORA wrote it, its index as the engine counts it, a graph's digest.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::Serialize;

/// A task's id, as written in the graph and unique in it.
///
/// Made only by reading a graph, so it is within [`Limits::max_id_bytes`](crate::Limits::max_id_bytes) and of the
/// allowed characters. A graph keeps all its ids in one text, of which each is a part: a million of them are one
/// allocation, and passing one on counts on one place.
#[derive(Clone)]
pub struct TaskId {
    all: Arc<str>,
    start: u32,
    len: u32,
}

impl TaskId {
    /// The ids of a graph, in the order given.
    pub(crate) fn all<'i>(ids: impl Iterator<Item = &'i str> + Clone) -> impl Iterator<Item = Self> {
        let all: Arc<str> = ids.clone().collect::<String>().into();
        let lengths: Vec<u32> = ids.map(|id| u32::try_from(id.len()).unwrap_or(u32::MAX)).collect();
        let mut start = 0;
        // A document has at most 2^32 - 1 bytes, and these are fewer.
        lengths.into_iter().map(move |len| {
            let id = Self { all: Arc::clone(&all), start, len };
            start = start.saturating_add(len);
            id
        })
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
