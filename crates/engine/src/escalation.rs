//! Which declared edge a settled task takes, if any (S9). Nothing here can name a task that KORA did not (C1.4).

use kora_ir::{EscalationCondition, EscalationEdge, TaskIndex, ValidatedOutput};
use telemetry::FailureCategory;

/// What an edge is decided from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settled<'a> {
    /// The output, if the task succeeded.
    pub(crate) output: Option<&'a ValidatedOutput>,
    /// The category, if it failed.
    pub(crate) failed: Option<FailureCategory>,
    /// Whether the last output broke the schema.
    pub(crate) schema_mismatch: bool,
}

/// What the edges say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Choice {
    /// None holds.
    Stay,
    /// Wake this task.
    Take(TaskIndex),
    /// It depends on what the run has left, and tasks before this one have yet to settle.
    Undecided,
}

/// Takes the first edge that holds. `tokens_left` is what the run has left once every task up to this one has
/// settled: `None` while that is not known.
pub(crate) fn choose(edges: &[EscalationEdge], settled: Settled<'_>, tokens_left: Option<u64>) -> Choice {
    for edge in edges {
        let holds = match &edge.on {
            EscalationCondition::Failure => settled.failed.is_some(),
            EscalationCondition::SchemaMismatch => settled.schema_mismatch,
            EscalationCondition::ConfidenceBelowThreshold { pointer, threshold } => settled
                .output
                .and_then(|output| output.value().pointer(pointer)?.as_f64())
                .is_some_and(|confidence| confidence < *threshold),
            EscalationCondition::BudgetRemaining { min_tokens } => match tokens_left {
                Some(left) => left >= *min_tokens,
                None => return Choice::Undecided,
            },
        };
        if holds {
            return Choice::Take(edge.to);
        }
    }
    Choice::Stay
}
