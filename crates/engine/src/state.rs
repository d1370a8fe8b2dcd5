//! What the engine remembers of one task.

use kora_ir::{TaskIndex, ValidatedOutput};
use telemetry::FailureCategory;

use crate::ledger::Allowance;
use crate::verdict::Spent;

#[derive(Clone, Debug)]
pub(crate) struct TaskState {
    pub(crate) phase: Phase,
    /// Dependencies that have not resolved, and one more for a dormant task that no edge has woken.
    pub(crate) pending: u32,
    /// Attempts started so far.
    pub(crate) attempts: u32,
    pub(crate) spent: Spent,
    pub(crate) allowance: Allowance,
    /// Its own output, admitted by its schema.
    pub(crate) output: Option<ValidatedOutput>,
    pub(crate) failed: Option<FailureCategory>,
    /// Whether its last output broke its schema.
    pub(crate) schema_mismatch: bool,
    pub(crate) resolution: Resolution,
}

impl TaskState {
    /// Of a task that waits for nothing and has not begun.
    pub(crate) const BLANK: Self = Self {
        phase: Phase::Pending,
        pending: 0,
        attempts: 0,
        spent: Spent::NOTHING,
        allowance: Allowance { tokens: 0, attempts: 0 },
        output: None,
        failed: None,
        schema_mismatch: false,
        resolution: Resolution::Open,
    };
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    /// Something before it is open.
    Pending,
    /// Waits until the run's budgets are known to have room for it.
    Blocked,
    /// May start.
    Ready,
    /// An attempt is under way.
    Running,
    /// Between two attempts.
    Waiting,
    /// Spends no more, and waits to know what the run has left before it takes an edge.
    Deciding,
    /// Done, whatever came of it.
    Settled,
    /// Stopped because it no longer counts.
    Stopped,
}

impl Phase {
    pub(crate) fn spends_no_more(self) -> bool {
        match self {
            Self::Deciding | Self::Settled | Self::Stopped => true,
            Self::Pending | Self::Blocked | Self::Ready | Self::Running | Self::Waiting => false,
        }
    }
}

/// What dependents see of a task.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Resolution {
    /// Nothing yet.
    Open,
    /// The output of this task: itself, or the one that stands in for it.
    By(TaskIndex),
    /// No output will come.
    Failed,
}
