//! The fold that turns run events into the bundle (I5).

use std::sync::OnceLock;

use kora_ir::{CheckedGraph, TaskNames, TaskType};

use crate::entry::Entry;
use crate::{Event, Stage, TaskStatus, TelemetryBundle, Totals, ValidationStatus};

/// Builds a bundle event by event. Holds one entry a task and nothing that grows with the number of events.
#[derive(Debug)]
pub struct Fold {
    names: TaskNames,
    // Invariant: one for each name.
    entries: Vec<Entry>,
    invocations: u64,
}

impl Fold {
    /// Starts with an entry for every task of the graph: constructed, and its graph checked.
    pub fn new(graph: &CheckedGraph) -> Self {
        let names = graph.names().clone();
        Self { entries: names.indices().map(|_| Entry::BLANK).collect(), names, invocations: 0 }
    }

    /// Takes one event in. Events of one task must come in the order in which they happened.
    #[inline(always)]
    pub fn apply(&mut self, event: &Event) {
        let index = event.task().as_usize();
        match event {
            Event::AttemptStarted { attempt, .. } => {
                let entry = &mut self.entries[index];
                entry.retry_count = *attempt;
                entry.stages.push(match self.names.task_type(event.task()) {
                    TaskType::Deterministic => Stage::DeterministicExecution,
                    TaskType::Aggregation => Stage::Aggregation,
                    TaskType::Model => {
                        self.invocations += 1;
                        Stage::ModelInvocation
                    }
                });
            }
            Event::AttemptEnded { elapsed_us, tokens_in, tokens_out, estimated, .. } => {
                let entry = &mut self.entries[index];
                entry.elapsed_us = entry.elapsed_us.saturating_add(*elapsed_us);
                entry.tokens_in = entry.tokens_in.saturating_add(*tokens_in);
                entry.tokens_out = entry.tokens_out.saturating_add(*tokens_out);
                entry.tokens_estimated |= estimated;
            }
            Event::Validated { passed, .. } => {
                let entry = &mut self.entries[index];
                entry.stages.push(Stage::SchemaValidation);
                entry.validation_status =
                    if *passed { ValidationStatus::Pass } else { ValidationStatus::Fail };
            }
            // What the schema said of the last output stands, even if the next attempt brings none.
            Event::Retrying { .. } => {}
            Event::Completed { .. } => self.entries[index].complete(),
            Event::Failed { failure, .. } => {
                let entry = &mut self.entries[index];
                entry.status = TaskStatus::Failed;
                entry.failure = Some(failure.clone());
                entry.stages.push(Stage::TaskFailed);
            }
            Event::Skipped { reason, .. } => self.entries[index].skip(*reason),
            Event::Escalated { to, .. } => {
                self.entries[index].escalated_to = Some(*to);
            }
        }
    }

    /// Closes the run after `total_latency_ms` milliseconds.
    pub fn finish(self, total_latency_ms: u64) -> TelemetryBundle {
        let Self { names, entries, invocations } = self;
        let summary = Totals::of(&entries, invocations, total_latency_ms);
        TelemetryBundle { names, entries, records: OnceLock::new(), summary, cloud: None }
    }
}
