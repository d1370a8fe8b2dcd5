//! What the engine tells a driver to start.

use kora_ir::{Filled, Message, Task, TaskIndex, Work};
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

/// The arguments of an operation. Most refer to nothing, and lending those costs nothing, where sharing them would.
#[expect(clippy::exhaustive_enums, reason = "arguments refer to others or do not")]
#[derive(Clone, Debug, PartialEq)]
pub enum Arguments {
    /// As the graph has them.
    AsWritten,
    /// With every reference resolved.
    Filled(Box<Value>),
}

impl Arguments {
    /// What the operation of `task` is given. `None` if `task` asks a model.
    pub fn of<'a>(&'a self, task: &'a Task) -> Option<&'a Value> {
        match (self, &task.work) {
            (Self::Filled(args), Work::Operation(_)) => Some(args),
            (Self::AsWritten, Work::Operation(operation)) => operation.args.as_fixed().map(|args| &**args),
            (Self::AsWritten | Self::Filled(_), Work::Model(_)) => None,
        }
    }
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
        args: Arguments,
    },
    /// Ask the task's model.
    Model {
        /// The conversation, every placeholder filled.
        messages: Vec<Message<String>>,
    },
}
