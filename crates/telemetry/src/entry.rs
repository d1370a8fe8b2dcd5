//! What is counted of one task while a run goes on: the record without what the graph knows.

use kora_ir::{TaskIndex, TaskNames};

use crate::{Failure, SkipReason, Stage, Stages, TaskRecord, TaskStatus, ValidationStatus};

/// One task's record in the making. Small, because there is one for each of a million tasks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) elapsed_us: u64,
    pub(crate) tokens_in: u64,
    pub(crate) tokens_out: u64,
    /// Those after the two that every task of a checked graph has behind it.
    pub(crate) stages: Stages,
    pub(crate) failure: Option<Box<Failure>>,
    pub(crate) escalated_to: Option<TaskIndex>,
    pub(crate) retry_count: u32,
    pub(crate) tokens_estimated: bool,
    pub(crate) status: TaskStatus,
    pub(crate) validation_status: ValidationStatus,
    pub(crate) skip_reason: Option<SkipReason>,
}

impl Entry {
    /// Of a task that was constructed and its graph checked.
    pub(crate) const BLANK: Self = Self {
        elapsed_us: 0,
        tokens_in: 0,
        tokens_out: 0,
        stages: Stages::new_const(),
        failure: None,
        escalated_to: None,
        retry_count: 0,
        tokens_estimated: false,
        status: TaskStatus::Skipped,
        validation_status: ValidationStatus::Skipped,
        skip_reason: None,
    };

    pub(crate) fn complete(&mut self) {
        self.status = TaskStatus::Success;
        self.stages.push(Stage::TaskCompleted);
    }

    pub(crate) fn skip(&mut self, reason: SkipReason) {
        self.skip_reason = Some(reason);
        match reason {
            // Its declared output was validated just before: it completed, without having been run.
            SkipReason::Condition => self.stages.push(Stage::TaskCompleted),
            SkipReason::Dormant => {}
            // What had been done does not count, though what it spent stays spent (S10, S13).
            SkipReason::FailFast | SkipReason::Cancelled => {
                self.status = TaskStatus::Skipped;
                self.validation_status = ValidationStatus::Skipped;
                self.stages.clear();
                self.failure = None;
                self.escalated_to = None;
            }
        }
    }

    /// Every stage in order.
    pub(crate) fn all_stages(&self) -> impl Iterator<Item = Stage> {
        [Stage::TaskConstructed, Stage::DagValidated].into_iter().chain(self.stages.iter().copied())
    }

    /// The record, for whoever reads it.
    pub(crate) fn record(&self, index: TaskIndex, names: &TaskNames) -> TaskRecord {
        TaskRecord {
            task_id: names.id(index),
            task_type: names.task_type(index),
            status: self.status,
            duration_ms: self.elapsed_us / 1000,
            tokens_in: self.tokens_in,
            tokens_out: self.tokens_out,
            tokens_estimated: self.tokens_estimated,
            retry_count: self.retry_count,
            validation_status: self.validation_status,
            stages: self.all_stages().collect(),
            skip_reason: self.skip_reason,
            escalated_to: self.escalated_to.map(|to| names.id(to)),
            failure: self.failure.clone(),
        }
    }
}
