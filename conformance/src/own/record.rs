//! What is noted about one task while it runs, and how that reads in the telemetry bundle (C8.1, C8.2).

use std::time::Duration;

use kora_ir::{Task, TaskType};
use serde_json::{Value, json};

use super::failure::Failure;

/// One task's record.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) task_id: String,
    pub(super) task_type: TaskType,
    pub(super) status: &'static str,
    /// Of all attempts, waits between them not counted.
    pub(super) elapsed: Duration,
    pub(super) tokens_in: u64,
    pub(super) tokens_out: u64,
    pub(super) estimated: bool,
    pub(super) attempts: u32,
    pub(super) validation: &'static str,
    pub(super) stages: Vec<&'static str>,
    pub(super) skip_reason: Option<&'static str>,
    pub(super) escalated_to: Option<String>,
    pub(super) failure: Option<Failure>,
}

impl Record {
    /// A task that nothing has happened to.
    pub(super) fn new(task: &Task) -> Self {
        Self {
            task_id: task.id.to_string(),
            task_type: task.task_type,
            status: "skipped",
            elapsed: Duration::ZERO,
            tokens_in: 0,
            tokens_out: 0,
            estimated: false,
            attempts: 0,
            validation: "skipped",
            stages: vec!["TASK_CONSTRUCTED", "DAG_VALIDATED"],
            skip_reason: None,
            escalated_to: None,
            failure: None,
        }
    }

    pub(super) fn start_attempt(&mut self) {
        self.attempts += 1;
        self.stages.push(match self.task_type {
            TaskType::Deterministic => "DETERMINISTIC_EXECUTION",
            TaskType::Model => "MODEL_INVOCATION",
            TaskType::Aggregation => "AGGREGATION",
        });
    }

    pub(super) fn validated(&mut self, passed: bool) {
        self.stages.push("SCHEMA_VALIDATION");
        self.validation = if passed { "pass" } else { "fail" };
    }

    pub(super) fn complete(&mut self) {
        self.status = "success";
        self.stages.push("TASK_COMPLETED");
    }

    pub(super) fn fail(&mut self, failure: Failure) {
        self.status = "failed";
        self.stages.push("TASK_FAILED");
        self.failure = Some(failure);
    }

    pub(super) fn skip(&mut self, reason: &'static str) {
        self.status = "skipped";
        self.skip_reason = Some(reason);
    }

    pub(super) fn document(&self) -> Value {
        let mut document = json!({
            "task_id": self.task_id,
            "task_type": self.task_type.as_str(),
            "status": self.status,
            "duration_ms": millis(self.elapsed),
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "retry_count": self.attempts.saturating_sub(1),
            "validation_status": self.validation,
            "stages": self.stages,
        });
        if self.estimated {
            document["tokens_estimated"] = json!(true);
        }
        if let Some(reason) = self.skip_reason {
            document["skip_reason"] = json!(reason);
        }
        if let Some(to) = &self.escalated_to {
            document["escalated_to"] = json!(to);
        }
        if let Some(failure) = &self.failure {
            document["failure"] = failure.document();
        }
        document
    }
}

/// The telemetry bundle of these records.
pub(super) fn bundle(records: &[Record], total: Duration) -> Value {
    let invocations = records.iter().filter(|record| record.task_type.is_model());
    let executed = records.iter().filter(|record| !record.task_type.is_model() && record.attempts > 0);
    json!({
        "tasks": records.iter().map(Record::document).collect::<Vec<_>>(),
        "summary": {
            "total_tokens": records.iter().map(|record| record.tokens_in + record.tokens_out).sum::<u64>(),
            "total_latency_ms": millis(total),
            "model_invocation_count": invocations.map(|record| u64::from(record.attempts)).sum::<u64>(),
            "deterministic_task_count": executed.count(),
        },
    })
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
