//! Names of things: a task's id as KORA wrote it, its index as the engine counts it, a graph's digest.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// A task's id, as written in the graph and unique in it.
///
/// Made only by reading a graph, so it is within [`Limits::max_id_bytes`](crate::Limits::max_id_bytes) and of the
/// allowed characters.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct TaskId(Arc<str>);

impl TaskId {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
