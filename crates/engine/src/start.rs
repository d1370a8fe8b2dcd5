//! What the engine tells a driver to start.

use std::sync::Arc;

use kora_ir::{Filled, Message, TaskIndex};
use serde_json::Value;

/// One attempt that may start now, and what it may spend.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// The task. The graph has the rest of what is known of it.
    pub task: TaskIndex,
    /// Counted from 0.
    pub attempt: u32,
    /// What to do, every reference resolved.
    pub work: StartWork,
    /// Generated tokens that this attempt may use at most (C7.2). 0 for tasks that call no model.
    pub tokens_left: u64,
    /// Microseconds that it may take at most (C7.4).
    pub time_left_us: u64,
}

/// What to do. An operation comes without any handle to a model, and a model without any to an operation (I4).
#[expect(clippy::exhaustive_enums, reason = "a task either computes or asks a model")]
#[derive(Clone, Debug, PartialEq)]
pub enum StartWork {
    /// Run the task's operation.
    Operation {
        /// The task's input.
        input: Filled,
        /// The operation's arguments.
        args: Arc<Value>,
    },
    /// Ask the task's model.
    Model {
        /// The conversation, every placeholder filled.
        messages: Vec<Message<String>>,
    },
}
