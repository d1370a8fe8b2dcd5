//! Escalation edges: declared by KORA, evaluated by the engine, never invented (S9, C1.4, C5.5).

use crate::TaskIndex;

/// "When this happens to the task, run that task instead", in the order declared; the first that holds is taken.
#[derive(Clone, Debug, PartialEq)]
pub struct EscalationEdge {
    /// What must hold once the task has settled.
    pub on: EscalationCondition,
    /// The task to wake. Dormant until then; always later in canonical order.
    pub to: TaskIndex,
}

/// When an edge is taken.
#[expect(clippy::exhaustive_enums, reason = "KORA's interface specification closes the set")]
#[derive(Clone, Debug, PartialEq)]
pub enum EscalationCondition {
    /// The task failed, whatever the category.
    Failure,
    /// The task failed because its last output broke its schema.
    SchemaMismatch,
    /// The task succeeded, and the number at `pointer` of its output is below `threshold`.
    ///
    /// An output without a number there takes no edge: a confidence that was not stated is not a low one.
    ConfidenceBelowThreshold {
        /// JSON pointer into the output.
        pointer: String,
        /// Compared with `<`.
        threshold: f64,
    },
    /// The run may still spend at least `min_tokens`, once the task and all before it in canonical order have settled;
    /// whether the task succeeded or failed.
    BudgetRemaining {
        /// Generated tokens.
        min_tokens: u64,
    },
}
