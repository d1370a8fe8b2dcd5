//! The telemetry of a run, whole (C2.5, C8.1, C8.2).

use std::sync::OnceLock;

use kora_ir::{TaskIndex, TaskNames};
use serde::{Serialize, Serializer};

use crate::entry::Entry;
use crate::{Failure, TaskRecord, Totals};

/// Every task's record in canonical order, and the totals over them. Made only by [`Fold::finish`](crate::Fold::finish).
#[derive(Clone, Debug)]
pub struct TelemetryBundle {
    pub(crate) names: TaskNames,
    // Invariant: one entry for every task of the graph, in canonical order (I5).
    pub(crate) entries: Vec<Entry>,
    // Invariant: the entries, with what the graph knows. Written out when first read: not everybody does.
    pub(crate) records: OnceLock<Vec<TaskRecord>>,
    // Invariant: computed from the entries.
    pub(crate) summary: Totals,
    pub(crate) cloud: Option<CloudFields>,
}

impl TelemetryBundle {
    /// Every task's record, in canonical order.
    pub fn tasks(&self) -> &[TaskRecord] {
        self.records.get_or_init(|| self.iter().collect())
    }

    /// The record of the task with this id.
    pub fn task(&self, id: &str) -> Option<&TaskRecord> {
        self.tasks().iter().find(|record| record.task_id.as_str() == id)
    }

    /// Why a task failed, if it did.
    pub fn failure(&self, index: TaskIndex) -> Option<&Failure> {
        self.entries[index.as_usize()].failure.as_deref()
    }

    /// The records one by one, none of them kept.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = TaskRecord> {
        self.names.indices().zip(&self.entries).map(|(index, entry)| entry.record(index, &self.names))
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

impl PartialEq for TelemetryBundle {
    fn eq(&self, other: &Self) -> bool {
        self.names == other.names
            && self.entries == other.entries
            && self.summary == other.summary
            && self.cloud == other.cloud
    }
}

impl Serialize for TelemetryBundle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Document<'a> {
            #[serde(serialize_with = "records")]
            tasks: &'a TelemetryBundle,
            summary: Totals,
            #[serde(flatten, skip_serializing_if = "Option::is_none")]
            cloud: Option<&'a CloudFields>,
        }
        Document { tasks: self, summary: self.summary, cloud: self.cloud.as_ref() }.serialize(serializer)
    }
}

fn records<S: Serializer>(bundle: &TelemetryBundle, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(bundle.iter())
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
