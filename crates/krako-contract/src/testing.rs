//! What tests of this crate share: one small graph.

use kora_ir::{CheckedGraph, Limits};

/// The graph of the examples.
pub(crate) const GRAPH: &str = include_str!("../examples/graph.json");

pub(crate) fn graph() -> CheckedGraph {
    CheckedGraph::parse(GRAPH, &Limits::default()).unwrap()
}
