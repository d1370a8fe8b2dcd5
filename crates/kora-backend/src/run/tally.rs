//! How far a run is: told by its events, asked by the progress line and by whoever interrupts it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use backend_api::RunObserver;
use kora_ir::{CheckedGraph, TaskIndex};
use serde::Serialize;
use telemetry::Event;

/// Task ids that are listed before the rest is only counted.
const LISTED: usize = 20;

/// What has happened so far.
#[derive(Debug)]
pub(crate) struct Tally {
    tasks: usize,
    so_far: Mutex<SoFar>,
}

#[derive(Debug, Default)]
struct SoFar {
    settled: usize,
    failed: usize,
    // Under way, with the number of the attempt from 0.
    running: BTreeMap<usize, (TaskIndex, u32)>,
    tokens_in: u64,
    tokens_out: u64,
}

/// Numbers for the progress line.
#[derive(Clone, Debug)]
pub(super) struct Glance {
    pub(super) settled: usize,
    pub(super) failed: usize,
    pub(super) tokens: u64,
    /// Some of what is under way.
    pub(super) running: Vec<TaskIndex>,
    /// How many are under way.
    pub(super) running_count: usize,
}

/// What an interrupted run had done.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Cancelled {
    /// Tasks that had settled.
    settled: usize,
    /// Tasks of the graph.
    tasks: usize,
    /// Tasks that were stopped, at most 20.
    stopped: Vec<String>,
    /// How many were stopped.
    stopped_count: usize,
    /// Prompt tokens of the attempts that had ended: spent tokens stay spent.
    tokens_in: u64,
    /// Generated tokens of the attempts that had ended.
    tokens_out: u64,
}

impl Tally {
    pub(super) fn new(tasks: usize) -> Self {
        Self { tasks, so_far: Mutex::default() }
    }

    /// How far the run is, with at most `listed` of the tasks under way.
    pub(super) fn glance(&self, listed: usize) -> Glance {
        let so_far = self.so_far();
        Glance {
            settled: so_far.settled,
            failed: so_far.failed,
            tokens: so_far.tokens_in.saturating_add(so_far.tokens_out),
            running: so_far.running.values().take(listed).map(|(task, _)| *task).collect(),
            running_count: so_far.running.len(),
        }
    }

    /// What had been done when the run was interrupted.
    pub(super) fn cancelled(&self, graph: &CheckedGraph) -> Cancelled {
        let so_far = self.so_far();
        let stopped = so_far.running.values().take(LISTED).map(|(task, attempt)| {
            let id = &graph.task(*task).id;
            if *attempt == 0 { id.to_string() } else { format!("{id} (retry {attempt})") }
        });
        Cancelled {
            settled: so_far.settled,
            tasks: self.tasks,
            stopped: stopped.collect(),
            stopped_count: so_far.running.len(),
            tokens_in: so_far.tokens_in,
            tokens_out: so_far.tokens_out,
        }
    }

    fn so_far(&self) -> MutexGuard<'_, SoFar> {
        // Counting cannot leave it half done.
        self.so_far.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunObserver for Tally {
    fn observe(&self, _: &CheckedGraph, event: &Event) {
        let mut so_far = self.so_far();
        let task = event.task();
        if let Event::AttemptStarted { attempt, .. } = event {
            so_far.running.insert(task.as_usize(), (task, *attempt));
        } else if let Event::AttemptEnded { tokens_in, tokens_out, .. } = event {
            so_far.running.remove(&task.as_usize());
            so_far.tokens_in = so_far.tokens_in.saturating_add(*tokens_in);
            so_far.tokens_out = so_far.tokens_out.saturating_add(*tokens_out);
        } else if matches!(event, Event::Completed { .. } | Event::Skipped { .. }) {
            so_far.settled += 1;
        } else if let Event::Failed { .. } = event {
            so_far.settled += 1;
            so_far.failed += 1;
        }
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cancelled: {} of {} tasks had settled", self.settled, self.tasks)?;
        if self.stopped.is_empty() {
            f.write_str("; none was under way")?;
        } else {
            let named: Vec<String> = self.stopped.iter().map(|id| format!("`{id}`")).collect();
            write!(f, "; stopped {}", named.join(", "))?;
            let more = self.stopped_count - self.stopped.len();
            if more > 0 {
                write!(f, " and {more} more")?;
            }
        }
        if self.tokens_in + self.tokens_out > 0 {
            write!(f, "; {} prompt and {} generated tokens are spent", self.tokens_in, self.tokens_out)?;
        }
        Ok(())
    }
}
