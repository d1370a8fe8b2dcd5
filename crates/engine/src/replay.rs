//! A run again, from the facts that were recorded of it: same graph, same facts, same meaning (I7).

use kora_ir::CheckedGraph;
use thiserror::Error;

use crate::{Fact, FactRefused, Run, RunOutcome, Unfinished};

/// Runs `graph` on recorded facts instead of a driver.
///
/// # Errors
///
/// [`ReplayError`] if the facts are not those of a whole run of this graph: one cannot have been true when it was
/// recorded, or the record ends too early.
pub fn replay(
    graph: CheckedGraph,
    facts: impl IntoIterator<Item = Fact>,
    total_latency_ms: u64,
) -> Result<RunOutcome, ReplayError> {
    let mut run = Run::new(graph);
    for (position, fact) in facts.into_iter().enumerate() {
        run.apply(fact).map_err(|source| ReplayError::Refused { position, source })?;
    }
    run.finish(total_latency_ms).map_err(ReplayError::EndsEarly)
}

/// A record that is not that of a run of the graph.
#[expect(clippy::exhaustive_enums, reason = "a record is wrong somewhere or too short")]
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ReplayError {
    /// A fact cannot have been true.
    #[error("fact {position} cannot be: {source}")]
    Refused {
        /// Counted from 0.
        position: usize,
        /// Why not.
        source: FactRefused,
    },
    /// The record ends before the run does.
    #[error("the record ends before the run does: {0}")]
    EndsEarly(#[source] Unfinished),
}
