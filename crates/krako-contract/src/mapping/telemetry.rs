//! KORA's telemetry in Krako's names, and where a fabric's differs from what its events come to (C8.1, C8.2).

use std::fmt;

use kora_ir::TaskIndex;
use telemetry::{TaskRecord, TaskStatus, TelemetryBundle};

use super::work_unit::kind;
use crate::{
    BillingId, InvalidWireName, Region, SessionTelemetry, SessionTotals, UnitRecord, UnitStatus, WorkUnitId,
};

fn unit_status(status: TaskStatus) -> UnitStatus {
    match status {
        TaskStatus::Success => UnitStatus::Success,
        TaskStatus::Failed => UnitStatus::Failed,
        TaskStatus::Skipped => UnitStatus::Skipped,
    }
}

fn unit_record(record: &TaskRecord) -> Result<UnitRecord, InvalidWireName> {
    Ok(UnitRecord {
        work_unit_id: WorkUnitId::new(record.task_id.as_str())?,
        kind: kind(record.task_type),
        status: unit_status(record.status),
        duration_ms: record.duration_ms,
        tokens_in: record.tokens_in,
        tokens_out: record.tokens_out,
        attempt_index: record.retry_count,
        validation_status: record.validation_status.into(),
    })
}

/// A run's telemetry as a fabric reports it.
///
/// # Errors
///
/// [`InvalidWireName`] if the graph was checked with limits that allow longer ids than the wire has.
pub fn session_telemetry(bundle: &TelemetryBundle) -> Result<SessionTelemetry, InvalidWireName> {
    let totals = bundle.summary();
    let cloud = bundle.cloud();
    let region = cloud.and_then(|cloud| cloud.region.as_deref()).map(Region::new).transpose()?;
    let billing_id = cloud.and_then(|cloud| cloud.billing_id.as_deref()).map(BillingId::new).transpose()?;
    Ok(SessionTelemetry {
        tasks: bundle.iter().map(|record| unit_record(&record)).collect::<Result<_, _>>()?,
        summary: SessionTotals {
            total_tokens: totals.total_tokens,
            session_latency_ms: totals.total_latency_ms,
            model_invocation_count: totals.model_invocation_count,
            deterministic_task_count: totals.deterministic_task_count,
        },
        region,
        billing_id,
    })
}

/// Where a fabric's telemetry says something else than its own events.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "which field, of which unit")]
pub struct Difference {
    /// The unit, if it is of one.
    pub work_unit: Option<TaskIndex>,
    /// The field's name.
    pub field: &'static str,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.work_unit {
            Some(index) => write!(f, "`{}` of work unit {}", self.field, index.as_usize()),
            None => write!(f, "`{}`", self.field),
        }
    }
}

/// Holds a fabric's telemetry against the bundle that its events come to. Empty if it says the same. At most one
/// difference a unit is told.
///
/// # Errors
///
/// As [`session_telemetry`].
pub fn compare(
    graph: &kora_ir::CheckedGraph,
    bundle: &TelemetryBundle,
    told: &SessionTelemetry,
) -> Result<Vec<Difference>, InvalidWireName> {
    let own = session_telemetry(bundle)?;
    let mut differences = Vec::new();
    if own.tasks.len() != told.tasks.len() {
        differences.push(Difference { work_unit: None, field: "tasks" });
    }
    for ((index, _), (own, told)) in graph.iter().zip(own.tasks.iter().zip(&told.tasks)) {
        let field = [
            ("work_unit_id", own.work_unit_id == told.work_unit_id),
            ("kind", own.kind == told.kind),
            ("status", own.status == told.status),
            ("duration_ms", own.duration_ms == told.duration_ms),
            ("tokens_in", own.tokens_in == told.tokens_in),
            ("tokens_out", own.tokens_out == told.tokens_out),
            ("attempt_index", own.attempt_index == told.attempt_index),
            ("validation_status", own.validation_status == told.validation_status),
        ];
        if let Some((field, _)) = field.into_iter().find(|(_, same)| !same) {
            differences.push(Difference { work_unit: Some(index), field });
        }
    }
    for (field, same) in [
        ("total_tokens", own.summary.total_tokens == told.summary.total_tokens),
        ("session_latency_ms", own.summary.session_latency_ms == told.summary.session_latency_ms),
        ("model_invocation_count", own.summary.model_invocation_count == told.summary.model_invocation_count),
        (
            "deterministic_task_count",
            own.summary.deterministic_task_count == told.summary.deterministic_task_count,
        ),
    ] {
        if !same {
            differences.push(Difference { work_unit: None, field });
        }
    }
    Ok(differences)
}

#[cfg(test)]
mod tests {
    use telemetry::{CloudFields, Event, Fold};

    use super::*;
    use crate::testing::graph;

    // shows C8.1, C8.2
    #[test]
    fn a_fabric_that_reports_something_else_than_its_events_is_told_where() {
        let graph = graph();
        let mut fold = Fold::new(&graph);
        fold.apply(&Event::Completed { task: graph.root() });
        let cloud = CloudFields { region: Some("eu-1".into()), ..CloudFields::default() };
        let bundle = fold.finish(7).with_cloud(cloud);
        let mut told = session_telemetry(&bundle).unwrap();
        assert_eq!(told.region.as_ref().map(Region::as_str), Some("eu-1"));
        assert_eq!(told.tasks.iter().filter(|unit| unit.status == UnitStatus::Success).count(), 1);
        assert_eq!(compare(&graph, &bundle, &told), Ok(vec![]));
        told.tasks[1].tokens_out += 1;
        told.summary.session_latency_ms = 0;
        let said: Vec<_> = compare(&graph, &bundle, &told).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(said, ["`tokens_out` of work unit 1", "`session_latency_ms`"]);
    }
}
