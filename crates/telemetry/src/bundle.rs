//! The telemetry of a run, whole (C2.5, C8.1, C8.2).

use serde::Serialize;

use crate::{TaskRecord, Totals};

/// Every task's record in canonical order, and the totals over them. Made only by [`Fold::finish`](crate::Fold::finish).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TelemetryBundle {
    // Invariant: one record for every task of the graph, in canonical order (I5).
    pub(crate) tasks: Vec<TaskRecord>,
    // Invariant: computed from `tasks`.
    pub(crate) summary: Totals,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(crate) cloud: Option<CloudFields>,
}

impl TelemetryBundle {
    /// Every task's record, in canonical order.
    pub fn tasks(&self) -> &[TaskRecord] {
        &self.tasks
    }

    /// The record of the task with this id.
    pub fn task(&self, id: &str) -> Option<&TaskRecord> {
        self.tasks.iter().find(|record| record.task_id.as_str() == id)
    }

    /// The totals.
    pub fn summary(&self) -> &Totals {
        &self.summary
    }

    /// What a cloud adds (C8.3).
    pub fn cloud(&self) -> Option<&CloudFields> {
        self.cloud.as_ref()
    }

    /// The same bundle with what a cloud adds (C8.3).
    #[must_use]
    pub fn with_cloud(mut self, cloud: CloudFields) -> Self {
        self.cloud = Some(cloud);
        self
    }
}

/// What a cloud may add to a run's telemetry (C8.3).
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct CloudFields {
    /// The session that ran the graph.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_session_id: Option<String>,
    /// Where it ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// What the cloud bills it under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub billing_id: Option<String>,
}
