//! What happens in a run, as it happens. Everything that telemetry says is folded from these.

use kora_ir::TaskIndex;

use crate::{Failure, SkipReason};

/// One thing that happened to one task.
///
/// Events speak of tasks by index; whoever shows them to people holds the graph and knows the ids.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// An attempt started: the stage of the task's type.
    AttemptStarted {
        /// The task.
        task: TaskIndex,
        /// Counted from 0.
        attempt: u32,
    },
    /// An attempt ended, and this is what it spent.
    AttemptEnded {
        /// The task.
        task: TaskIndex,
        /// Counted from 0.
        attempt: u32,
        /// Microseconds.
        elapsed_us: u64,
        /// Prompt tokens.
        tokens_in: u64,
        /// Generated tokens.
        tokens_out: u64,
        /// Whether a count is the highest possible one, for want of a stated one.
        estimated: bool,
    },
    /// An output was held against the schema.
    Validated {
        /// The task.
        task: TaskIndex,
        /// What the schema said.
        passed: bool,
    },
    /// The task will be tried again.
    Retrying {
        /// The task.
        task: TaskIndex,
        /// Why the attempt before did not do.
        because: Box<Failure>,
    },
    /// The task settled with an output.
    Completed {
        /// The task.
        task: TaskIndex,
    },
    /// The task settled without one.
    Failed {
        /// The task.
        task: TaskIndex,
        /// Why.
        failure: Box<Failure>,
    },
    /// The task was not run.
    Skipped {
        /// The task.
        task: TaskIndex,
        /// Why.
        reason: SkipReason,
    },
    /// A declared edge woke another task to stand in for this one.
    Escalated {
        /// The task that settled.
        task: TaskIndex,
        /// The task that was woken.
        to: TaskIndex,
    },
}

impl Event {
    /// The task that it happened to.
    pub fn task(&self) -> TaskIndex {
        match *self {
            Self::AttemptStarted { task, .. }
            | Self::AttemptEnded { task, .. }
            | Self::Validated { task, .. }
            | Self::Retrying { task, .. }
            | Self::Completed { task }
            | Self::Failed { task, .. }
            | Self::Skipped { task, .. }
            | Self::Escalated { task, .. } => task,
        }
    }
}
