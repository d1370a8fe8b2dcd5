//! What a driver tells the engine.

use kora_ir::{SchemaMismatch, TaskIndex, ValidatedOutput};
use thiserror::Error;

/// One thing that a driver saw. A run is a function of its graph and of these (I7).
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// An attempt started.
    Started {
        /// The task.
        task: TaskIndex,
    },
    /// An attempt ended.
    Attempt(AttemptReport),
    /// The wait before a retry is over.
    Resumed {
        /// The task.
        task: TaskIndex,
        /// Microseconds that it waited.
        waited_us: u64,
    },
    /// The run's `max_latency_ms` is over.
    LatencyExceeded {
        /// Milliseconds since the start of the run.
        elapsed_ms: u64,
    },
    /// Nobody wants the run any more (S13).
    Cancelled,
}

/// How one attempt ended, and what it spent.
#[expect(clippy::exhaustive_structs, reason = "a driver must say all of it")]
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptReport {
    /// The task.
    pub task: TaskIndex,
    /// Counted from 0.
    pub attempt: u32,
    /// Microseconds from start to end.
    pub elapsed_us: u64,
    /// Tokens spent. All zero for tasks that call no model.
    pub usage: Usage,
    /// How it ended.
    pub outcome: AttemptOutcome,
}

/// Tokens that an attempt spent.
#[expect(clippy::exhaustive_structs, reason = "a driver must say all of it")]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Usage {
    /// Prompt tokens.
    pub tokens_in: u64,
    /// Generated tokens.
    pub tokens_out: u64,
    /// Whether a count was not stated and is the highest it can have been.
    pub estimated: bool,
}

/// How an attempt ended.
#[expect(clippy::exhaustive_enums, reason = "each way has its own rule in the engine")]
#[derive(Clone, Debug, PartialEq)]
pub enum AttemptOutcome {
    /// With an output that the task's schema admitted.
    Output(ValidatedOutput),
    /// With an output that it refused. Retryable (S8).
    SchemaMismatch(SchemaMismatch),
    /// The operation or the model failed.
    Failed {
        /// For people; holds no content (I9).
        message: String,
        /// Whether another attempt may go better (S8).
        transient: bool,
    },
    /// The driver cut it off because its time was over.
    TimedOut,
    /// The driver or the model cut it off because its tokens were over.
    TokensExhausted,
    /// The driver stopped it because the engine no longer wanted it.
    Cancelled,
}

/// What becomes of a task after an attempt.
#[expect(clippy::exhaustive_enums, reason = "a task settles or is tried again")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// It settled, one way or another.
    Settled,
    /// It may be tried again after a wait of the driver's choice: then call [`Run::resume`](crate::Run::resume).
    Retry {
        /// The attempt to come, counted from 0.
        attempt: u32,
        /// Microseconds left to the task, the wait included. Never 0.
        time_left_us: u64,
    },
}

/// A fact that cannot be true of this run. The run is unchanged.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum FactRefused {
    /// No such task in the graph.
    #[error("the graph has no task {0}")]
    UnknownTask(usize),
    /// The task cannot start: something before it is open, it has started, or it does not count any more.
    #[error("task `{task}` is not ready to start")]
    NotReady {
        /// Its id.
        task: String,
    },
    /// A model is said to have started while a task that needs none was ready or running (S5, C11.2).
    #[error("model task `{task}` cannot have started before the deterministic work that was ready")]
    ModelBeforeDeterministic {
        /// Its id.
        task: String,
    },
    /// The task is not running: never started, or already reported.
    #[error("task `{task}` is not running")]
    NotRunning {
        /// Its id.
        task: String,
    },
    /// The run's time is not over, or was never capped.
    #[error("{told} ms are said to exceed `max_latency_ms`, which is {}", .declared.map_or_else(|| String::from("not declared"), |ms| ms.to_string()))]
    LatencyNotExceeded {
        /// As declared.
        declared: Option<u64>,
        /// As told, in milliseconds.
        told: u64,
    },
    /// Another attempt is running.
    #[error("attempt {told} of task `{task}` was reported, and attempt {running} is running")]
    WrongAttempt {
        /// Its id.
        task: String,
        /// As reported.
        told: u32,
        /// The one that runs.
        running: u32,
    },
    /// The task is not waiting for a retry.
    #[error("task `{task}` is not waiting for a retry")]
    NotWaiting {
        /// Its id.
        task: String,
    },
    /// A task that calls no model is said to have spent tokens (C11.2).
    #[error("task `{task}` is {task_type} and cannot have spent tokens")]
    TokensWithoutModel {
        /// Its id.
        task: String,
        /// Its type.
        task_type: &'static str,
    },
}
