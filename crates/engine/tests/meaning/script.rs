//! How attempts go: a world in which everything is known beforehand, except who finishes first.

use std::collections::BTreeMap;

use engine::{AttemptOutcome, AttemptReport, Start, Usage};
use kora_ir::{CheckedGraph, SchemaMismatch, Task};
use serde_json::{Value, json};

/// What one attempt would do if nothing stopped it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Act {
    pub(crate) end: End,
    /// Generated tokens that it wants. Operations want none.
    pub(crate) tokens: u64,
    /// Milliseconds that it takes.
    pub(crate) ms: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum End {
    /// An output that the schema admits, with this confidence.
    Output {
        confidence: f64,
    },
    /// An output that it refuses.
    Mismatch,
    Fails {
        transient: bool,
    },
}

/// What every attempt of every task would do. What is not listed gives an output at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script(pub(crate) BTreeMap<(String, u32), Act>);

impl Script {
    pub(crate) fn act(&self, task: &Task, attempt: u32) -> Act {
        let listed = self.0.get(&(task.id.to_string(), attempt)).cloned();
        let default = Act { end: End::Output { confidence: 0.9 }, tokens: 1, ms: 0 };
        let act = listed.unwrap_or(default);
        if task.task_type.is_model() { act } else { Act { tokens: 0, ..act } }
    }
}

/// The output of a task in this world: its own name, and how sure it is.
pub(crate) fn output(task: &Task, confidence: f64) -> Value {
    json!({ "by": task.id, "confidence": confidence })
}

/// Plays an attempt as a driver would: cut off at the caps that the engine gave.
pub(crate) fn play(graph: &CheckedGraph, script: &Script, start: &Start) -> AttemptReport {
    let task = graph.task(start.task);
    let act = script.act(task, start.attempt);
    let over_tokens = act.tokens > start.tokens_left && task.task_type.is_model();
    let over_time = act.ms * 1000 > start.time_left_us;
    let outcome = match act.end {
        _ if over_tokens => AttemptOutcome::TokensExhausted,
        _ if over_time => AttemptOutcome::TimedOut,
        End::Output { confidence } => {
            AttemptOutcome::Output(task.schema.admit(output(task, confidence)).expect("the world's schema"))
        }
        End::Mismatch => {
            AttemptOutcome::SchemaMismatch(SchemaMismatch { faults: vec!["as scripted".into()] })
        }
        End::Fails { transient } => AttemptOutcome::Failed { message: "as scripted".into(), transient },
    };
    AttemptReport {
        task: start.task,
        attempt: start.attempt,
        elapsed_us: (act.ms * 1000).min(start.time_left_us),
        usage: Usage {
            tokens_in: u64::from(task.task_type.is_model()),
            tokens_out: if over_tokens { start.tokens_left } else { act.tokens },
            estimated: false,
        },
        outcome,
    }
}
