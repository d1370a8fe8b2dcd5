//! A report, held against the events of the session that it is of.

use krako_contract::{Progress, Sequence, SessionReport, mapping};
use telemetry::TaskStatus;

use super::SessionReader;
use crate::ending::Ended;
use crate::found::Found;
use crate::replay::{same_unit_failure, unit_failure};

/// Nothing that ended it was told.
pub(super) fn no_end(report: &SessionReport, last: Option<Sequence>) -> Found {
    Found::NoEnd { status: report.status.as_str(), last: last.map_or(0, Sequence::number) }
}

/// Holds every field that events say something of against them. What a session cost is the fabric's own word.
pub(super) fn against(reader: &SessionReader, report: &SessionReport) -> Result<(), Found> {
    report.check().map_err(Found::InvalidReport)?;
    let graph = &reader.replay.graph;
    let differs = |field: &str, told: &dyn std::fmt::Display, own: &dyn std::fmt::Display| {
        Err(Found::Report { field: field.to_owned(), told: told.to_string(), own: own.to_string() })
    };
    if report.execution_session_id != *reader.session() {
        return differs("execution_session_id", &report.execution_session_id, reader.session());
    }
    if report.graph_id != *reader.graph_id() {
        return differs("graph_id", &report.graph_id, reader.graph_id());
    }
    if report.graph_digest != *graph.digest() {
        return differs("graph_digest", &report.graph_digest, graph.digest());
    }
    let last = reader.intake.last();
    let Some(ended) = &reader.replay.ended else { return Err(no_end(report, last)) };
    let said = &ended.said;
    if report.status != ended.status {
        return differs("status", &report.status.as_str(), &ended.status.as_str());
    }
    let last = last.map_or(0, Sequence::number);
    if report.last_sequence != last {
        return differs("last_sequence", &report.last_sequence, &last);
    }
    let reason = |reason: Option<krako_contract::StopReason>| reason.map_or("none", |reason| reason.as_str());
    if report.stop_reason != said.stop_reason {
        return differs("stop_reason", &reason(report.stop_reason), &reason(said.stop_reason));
    }
    if !same_unit_failure(report.failure.as_ref(), said.failure.as_ref()) {
        let words = |failure: Option<&_>| failure.map_or(String::from("none"), unit_failure);
        return differs("failure", &words(report.failure.as_ref()), &words(said.failure.as_ref()));
    }
    match report.semantic_digest {
        Some(told) if told == said.semantic_digest => {}
        Some(told) => return differs("semantic_digest", &told, &said.semantic_digest),
        None => return differs("semantic_digest", &"absent", &said.semantic_digest),
    }
    output(report, ended)?;
    progress(&report.progress, ended)?;
    if let (Some(told), Some(own)) = (
        report.telemetry.as_ref().and_then(|telemetry| telemetry.region.as_ref()),
        reader.replay.region.as_ref(),
    ) && told != own
    {
        return differs("telemetry/region", told, own);
    }
    telemetry(reader, report, ended)
}

/// Nothing of an output is in what is found: only whether it is the root's (I9).
fn output(report: &SessionReport, ended: &Ended) -> Result<(), Found> {
    let told = report.final_output.as_ref().map(krako_contract::Json::value);
    // A cancelled session has none in its report, and `null` is none (decision 0019).
    let own = ended.outcome.final_output.as_ref().map(|output| output.value());
    let own = own.filter(|output| ended.said.stop_reason.is_some() && !output.is_null());
    if told.filter(|output| !output.is_null()) == own {
        return Ok(());
    }
    let words = |there: bool, of: &str| if there { String::from(of) } else { String::from("none") };
    Err(Found::Report {
        field: String::from("final_output"),
        told: words(told.is_some(), "an output that is not the root's"),
        own: words(own.is_some(), "the root's"),
    })
}

fn progress(told: &Progress, ended: &Ended) -> Result<(), Found> {
    let mut own = Progress::default();
    for record in ended.outcome.telemetry_bundle.iter() {
        own.total += 1;
        *match record.status {
            TaskStatus::Success => &mut own.completed,
            TaskStatus::Failed => &mut own.failed,
            TaskStatus::Skipped => &mut own.skipped,
        } += 1;
    }
    let words = |progress: &Progress| {
        let Progress { total, waiting, running, completed, failed, skipped } = progress;
        format!(
            "{completed} completed, {failed} failed, {skipped} skipped, {} open, of {total}",
            waiting.saturating_add(*running)
        )
    };
    if *told == own {
        Ok(())
    } else {
        Err(Found::Report { field: String::from("progress"), told: words(told), own: words(&own) })
    }
}

fn telemetry(reader: &SessionReader, report: &SessionReport, ended: &Ended) -> Result<(), Found> {
    let Some(told) = &report.telemetry else { return Ok(()) };
    let graph = &reader.replay.graph;
    let bundle = &ended.outcome.telemetry_bundle;
    let differences = mapping::compare(graph, bundle, told);
    let own = mapping::session_telemetry(bundle);
    let (Ok(differences), Ok(own)) = (differences, own) else { return Ok(()) };
    let Some(difference) = differences.first() else { return Ok(()) };
    let field = difference.field;
    let of = |telemetry: &krako_contract::SessionTelemetry| match difference.work_unit {
        Some(index) => {
            telemetry.tasks.get(index.as_usize()).map_or(String::from("nothing"), |unit| match field {
                "work_unit_id" => format!("`{}`", unit.work_unit_id),
                "kind" => unit.kind.as_str().to_owned(),
                "status" => unit.status.as_str().to_owned(),
                "duration_ms" => unit.duration_ms.to_string(),
                "tokens_in" => unit.tokens_in.to_string(),
                "tokens_out" => unit.tokens_out.to_string(),
                "attempt_index" => unit.attempt_index.to_string(),
                _ => unit.validation_status.as_str().to_owned(),
            })
        }
        None => match field {
            "tasks" => format!("{} records", telemetry.tasks.len()),
            "total_tokens" => telemetry.summary.total_tokens.to_string(),
            "session_latency_ms" => telemetry.summary.session_latency_ms.to_string(),
            "model_invocation_count" => telemetry.summary.model_invocation_count.to_string(),
            _ => telemetry.summary.deterministic_task_count.to_string(),
        },
    };
    let place = match difference.work_unit {
        Some(index) => format!("telemetry/tasks/{}/{field}", graph.task(index).id),
        None => format!("telemetry/{field}"),
    };
    Err(Found::Report { field: place, told: of(told), own: of(&own) })
}
