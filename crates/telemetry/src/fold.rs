//! The fold that turns run events into the bundle (I5).

use kora_ir::{CheckedGraph, TaskType};
use smallvec::smallvec;

use crate::{Event, SkipReason, Stage, TaskRecord, TaskStatus, TelemetryBundle, Totals, ValidationStatus};

/// Builds a bundle event by event. Holds one record a task and nothing that grows with the number of events.
#[derive(Debug)]
pub struct Fold {
    records: Vec<TaskRecord>,
    invocations: u64,
}

impl Fold {
    /// Starts with a record for every task of the graph: constructed, and its graph checked.
    pub fn new(graph: &CheckedGraph) -> Self {
        let records = graph
            .tasks()
            .iter()
            .map(|task| TaskRecord {
                task_id: task.id.clone(),
                task_type: task.task_type,
                status: TaskStatus::Skipped,
                duration_ms: 0,
                elapsed_us: 0,
                tokens_in: 0,
                tokens_out: 0,
                tokens_estimated: false,
                retry_count: 0,
                validation_status: ValidationStatus::Skipped,
                stages: smallvec![Stage::TaskConstructed, Stage::DagValidated],
                skip_reason: None,
                escalated_to: None,
                failure: None,
            })
            .collect();
        Self { records, invocations: 0 }
    }

    /// Takes one event in. Events of one task must come in the order in which they happened.
    #[inline]
    pub fn apply(&mut self, event: &Event) {
        let index = event.task().as_usize();
        match event {
            Event::AttemptStarted { attempt, .. } => {
                let record = &mut self.records[index];
                record.retry_count = *attempt;
                record.stages.push(match record.task_type {
                    TaskType::Deterministic => Stage::DeterministicExecution,
                    TaskType::Aggregation => Stage::Aggregation,
                    TaskType::Model => {
                        self.invocations += 1;
                        Stage::ModelInvocation
                    }
                });
            }
            Event::AttemptEnded { elapsed_us, tokens_in, tokens_out, estimated, .. } => {
                let record = &mut self.records[index];
                record.elapsed_us = record.elapsed_us.saturating_add(*elapsed_us);
                record.tokens_in = record.tokens_in.saturating_add(*tokens_in);
                record.tokens_out = record.tokens_out.saturating_add(*tokens_out);
                record.tokens_estimated |= estimated;
            }
            Event::Validated { passed, .. } => {
                let record = &mut self.records[index];
                record.stages.push(Stage::SchemaValidation);
                record.validation_status =
                    if *passed { ValidationStatus::Pass } else { ValidationStatus::Fail };
            }
            // What the schema said of the last output stands, even if the next attempt brings none.
            Event::Retrying { .. } => {}
            Event::Completed { .. } => self.records[index].complete(),
            Event::Failed { failure, .. } => {
                let record = &mut self.records[index];
                record.status = TaskStatus::Failed;
                record.failure = Some(failure.clone());
                record.stages.push(Stage::TaskFailed);
            }
            Event::Skipped { reason, .. } => self.records[index].skip(*reason),
            Event::Escalated { to, .. } => {
                self.records[index].escalated_to = Some(self.records[to.as_usize()].task_id.clone());
            }
        }
    }

    /// Closes the run after `total_latency_ms` milliseconds.
    pub fn finish(self, total_latency_ms: u64) -> TelemetryBundle {
        let Self { mut records, invocations } = self;
        for record in &mut records {
            record.duration_ms = record.elapsed_us / 1000;
        }
        let summary = Totals::of(&records, invocations, total_latency_ms);
        TelemetryBundle { tasks: records, summary, cloud: None }
    }
}

impl TaskRecord {
    fn complete(&mut self) {
        self.status = TaskStatus::Success;
        self.stages.push(Stage::TaskCompleted);
    }

    fn skip(&mut self, reason: SkipReason) {
        self.skip_reason = Some(reason);
        match reason {
            // Its declared output was validated just before: it completed, without having been run.
            SkipReason::Condition => self.stages.push(Stage::TaskCompleted),
            SkipReason::Dormant => {}
            // What had been done does not count, though what it spent stays spent (S10, S13).
            SkipReason::FailFast | SkipReason::Cancelled => {
                self.status = TaskStatus::Skipped;
                self.validation_status = ValidationStatus::Skipped;
                self.stages.truncate(2);
                self.failure = None;
                self.escalated_to = None;
            }
        }
    }
}
