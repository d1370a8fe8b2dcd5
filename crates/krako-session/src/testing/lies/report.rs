//! Lies of a report, of a session whose events are all true.

use krako_contract::{
    ErrorCategory, GraphId, Json, Progress, Region, SessionId, SessionStatus, SessionTelemetry, Sha256Text,
    StopReason, UnitRecord, UnitStatus, Validation, WorkUnitId, WorkUnitKind,
};
use serde_json::json;

use super::content::failure;
use crate::testing::lie::Lie;
use crate::testing::story::Story;
use crate::testing::world::Told;

fn telemetry(told: &mut Told) -> &mut SessionTelemetry {
    told.report.telemetry.as_mut().expect("it ended")
}

fn record<'t>(told: &'t mut Told, unit: &str) -> &'t mut UnitRecord {
    let mut records = telemetry(told).tasks.iter_mut();
    records.find(|record| record.work_unit_id.as_str() == unit).expect("every unit has a record")
}

fn other_digest() -> Sha256Text {
    Sha256Text::new(&format!("sha256:{}", "e".repeat(64))).expect("a digest")
}

/// A lie of the report of a session that went well.
const fn plain(name: &'static str, edit: fn(&mut Told)) -> Lie {
    Lie { name, story: Story::Plain, found: "report", edit }
}

pub(super) const LIES: &[Lie] = &[
    plain("a report of another session", |told| {
        told.report.execution_session_id = SessionId::new("ses_other").expect("a wire name");
    }),
    plain("a report of another graph", |told| {
        told.report.graph_id = GraphId::new("other").expect("a wire name");
    }),
    plain("a report of another graph's digest", |told| told.report.graph_digest = other_digest()),
    plain("a report of another run's digest", |told| told.report.semantic_digest = Some(other_digest())),
    plain("a report without the run's digest", |told| told.report.semantic_digest = None),
    plain("a final output other than the root's", |told| {
        told.report.final_output = Some(Json::new(json!({"by": "mallory", "confidence": 1})));
    }),
    plain("another task's output as the final one", |told| {
        told.report.final_output = Some(Json::new(json!({"by": "draft", "confidence": 0.9})));
    }),
    plain("no final output though there is one", |told| told.report.final_output = None),
    plain("a report that has seen fewer events", |told| told.report.last_sequence -= 1),
    plain("a report that has seen more events", |told| told.report.last_sequence += 1),
    plain("a unit is counted as failed that completed", |told| {
        told.report.progress =
            Progress { total: 6, completed: 3, failed: 1, skipped: 2, ..Progress::default() };
    }),
    plain("fewer units than the graph has", |told| {
        told.report.progress = Progress { total: 5, completed: 4, skipped: 1, ..Progress::default() };
    }),
    plain("raised tokens", |told| record(told, "draft").tokens_out += 100),
    plain("lowered tokens", |told| record(told, "draft").tokens_in = 0),
    plain("another duration", |told| record(told, "facts").duration_ms += 1),
    plain("a retry that there was none of", |told| record(told, "facts").attempt_index = 1),
    plain("a validation that there was none of", |told| {
        record(told, "letter").validation_status = Validation::Pass;
    }),
    plain("a model's unit on the other pool", |told| record(told, "draft").kind = WorkUnitKind::Cpu),
    plain("a unit that succeeded and was not run", |told| {
        record(told, "letter").status = UnitStatus::Success;
    }),
    plain("a record under another name", |told| {
        record(told, "facts").work_unit_id = WorkUnitId::new("letter").expect("a wire name");
    }),
    plain("a record too few", |told| drop(telemetry(told).tasks.pop())),
    plain("a record too many", |told| {
        let again = telemetry(told).tasks[0].clone();
        telemetry(told).tasks.push(again);
    }),
    plain("false totals of tokens", |told| telemetry(told).summary.total_tokens += 1),
    plain("a false latency", |told| telemetry(told).summary.session_latency_ms -= 1),
    plain("a false count of models asked", |told| telemetry(told).summary.model_invocation_count += 1),
    plain("a false count of operations", |told| telemetry(told).summary.deterministic_task_count -= 1),
    Lie {
        name: "a report of success though the root failed",
        story: Story::Exhausted,
        found: "report",
        edit: |told| {
            told.report.status = SessionStatus::Success;
            told.report.stop_reason = Some(StopReason::Success);
            told.report.failure = None;
        },
    },
    Lie {
        name: "a report of failure though everything succeeded",
        story: Story::Plain,
        found: "report",
        edit: |told| {
            told.report.status = SessionStatus::Failed;
            told.report.stop_reason = Some(StopReason::SubstrateFailure);
            told.report.failure = Some(failure("reply", ErrorCategory::ExecutionFailure));
        },
    },
    Lie {
        name: "a report of a cancellation that was none",
        story: Story::Plain,
        found: "report",
        edit: |told| {
            told.report.status = SessionStatus::Cancelled;
            told.report.stop_reason = None;
            told.report.final_output = None;
        },
    },
    Lie {
        name: "a report with a false stop reason",
        story: Story::Exhausted,
        found: "report",
        edit: |told| told.report.stop_reason = Some(StopReason::SubstrateFailure),
    },
    Lie {
        name: "a report with another root cause",
        story: Story::Exhausted,
        found: "report",
        edit: |told| {
            let failure = told.report.failure.as_mut().expect("it failed");
            failure.work_unit_id = WorkUnitId::new("facts").expect("a wire name");
        },
    },
    Lie {
        name: "a report of a session under way, which ended",
        story: Story::Plain,
        found: "report",
        edit: |told| {
            told.report.status = SessionStatus::Running;
            told.report.stop_reason = None;
            told.report.final_output = None;
            told.report.telemetry = None;
        },
    },
    Lie {
        name: "a report that contradicts itself",
        story: Story::Plain,
        found: "invalid_report",
        edit: |told| told.report.stop_reason = None,
    },
    Lie {
        name: "a report of another region",
        story: Story::Plain,
        found: "report",
        edit: |told| {
            if let krako_contract::SessionEvent::Started(started) = told.session("execution.session.started")
            {
                started.region = Region::new("eu-1").ok();
            }
            telemetry(told).region = Region::new("us-1").ok();
        },
    },
];
