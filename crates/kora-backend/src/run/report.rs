//! What came of a run, for people: a table of tasks, totals, the failure and how to mend it.

use std::fmt::Write as _;

use backend_api::{ExecutionResult, ExecutionStatus};
use comfy_table::{CellAlignment, Table, presets};
use kora_ir::CheckedGraph;
use telemetry::{SkipReason, TaskRecord, TaskStatus, ValidationStatus};

use super::mending;
use crate::screen::{self, BAD, FAINT, GOOD, ODD, STRONG, counted};
use crate::task_place;

/// Rows of the table. Of larger graphs only what did not go as usual is shown.
const MAX_ROWS: usize = 100;

/// A run and where its graph came from.
#[derive(Debug)]
pub(super) struct Report<'r> {
    pub(super) graph: &'r CheckedGraph,
    pub(super) result: &'r ExecutionResult,
    /// What the graph's file is called.
    pub(super) name: String,
    /// Whether scripts stood in for models.
    pub(super) stand_in: bool,
}

impl Report<'_> {
    /// The heading, the table of tasks and the totals.
    pub(super) fn table(&self) -> String {
        let metadata = &self.result.execution_metadata;
        let outcome = match self.result.status {
            ExecutionStatus::Success => format!("{GOOD}success{GOOD:#}"),
            ExecutionStatus::Failed => format!("{BAD}failed{BAD:#}"),
        };
        let mut text = format!(
            "{STRONG}{}{STRONG:#}  {outcome} in {} ms  {FAINT}run {}{FAINT:#}\n\n",
            screen::visible(&metadata.graph_id),
            metadata.duration_ms,
            metadata.run_id
        );
        let records = self.result.telemetry_bundle.tasks();
        let all = records.len() <= MAX_ROWS;
        let shown: Vec<&TaskRecord> =
            records.iter().filter(|record| all || !is_usual(record)).take(MAX_ROWS).collect();
        self.rows(&shown, &mut text);
        if shown.len() < records.len() {
            let _ = writeln!(
                text,
                "{FAINT}… {} of {} tasks not shown; `--json` has them all{FAINT:#}",
                records.len() - shown.len(),
                records.len()
            );
        }
        self.totals(&mut text);
        if self.result.final_output.is_some() {
            let _ = writeln!(text, "\n{STRONG}final output{STRONG:#}");
        }
        text
    }

    /// What failed, where, and how to mend it. Nothing if nothing did.
    pub(super) fn failure(&self) -> String {
        let Some(failure) = &self.result.failure else { return String::new() };
        let mut text = format!(
            "\n{BAD}{}{BAD:#}{STRONG} in task `{}`{STRONG:#}\n  what   {}\n",
            failure.error_type.as_str(),
            failure.task_id,
            screen::visible(&failure.message)
        );
        if let Some(breach) = &failure.breach {
            let _ = writeln!(
                text,
                "  cap    {}: {} declared, {} used",
                breach.cap.as_str(),
                breach.declared,
                breach.used
            );
        }
        if let Some(index) = self.graph.index_of(failure.task_id.as_str()) {
            let place = task_place::of_task(self.graph, index);
            let line = place.map_or_else(String::new, |place| {
                let before = &self.graph.source().as_bytes()[..place.offset];
                format!(":{}", before.iter().filter(|byte| **byte == b'\n').count() + 1)
            });
            let _ = writeln!(text, "  where  {}{line}  {}", self.name, self.graph.pointer(index));
        }
        let _ = writeln!(text, "  mend   {}", mending::advice(failure));
        text
    }

    fn rows(&self, records: &[&TaskRecord], text: &mut String) {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["task", "type", "status", "tokens in", "out", "retries", "ms", "validation"]);
        for record in records {
            table.add_row([
                record.task_id.to_string(),
                record.task_type.as_str().to_owned(),
                status(record),
                tokens(record, record.tokens_in),
                tokens(record, record.tokens_out),
                record.retry_count.to_string(),
                record.duration_ms.to_string(),
                validation(record.validation_status).to_owned(),
            ]);
        }
        for column in 3..7 {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let styles = std::iter::once(STRONG).chain(records.iter().map(|record| match record.status {
            TaskStatus::Success => anstyle::Style::new(),
            TaskStatus::Failed => BAD,
            TaskStatus::Skipped => FAINT,
        }));
        for (line, style) in table.lines().zip(styles) {
            let _ = writeln!(text, "{style}{}{style:#}", line.trim_end());
        }
    }

    fn totals(&self, text: &mut String) {
        let bundle = &self.result.telemetry_bundle;
        let totals = bundle.summary();
        let _ = writeln!(
            text,
            "\n{}: {} executed without a model, {}, {}, {} ms",
            counted(bundle.tasks().len(), "task"),
            totals.deterministic_task_count,
            counted(totals.model_invocation_count, "model invocation"),
            counted(totals.total_tokens, "token"),
            totals.total_latency_ms
        );
        if bundle.tasks().iter().any(|record| record.tokens_estimated) {
            let _ =
                writeln!(text, "{FAINT}≤ the model did not say: the highest that it can have been{FAINT:#}");
        }
        if self.stand_in && totals.model_invocation_count > 0 {
            let _ = writeln!(
                text,
                "{ODD}a script answered in place of models, where it serves them (--scripted-model){ODD:#}"
            );
        }
        let _ = writeln!(
            text,
            "{FAINT}semantic digest {}{FAINT:#}",
            self.result.execution_metadata.semantic_digest
        );
    }
}

fn is_usual(record: &TaskRecord) -> bool {
    record.status == TaskStatus::Success && record.retry_count == 0 && record.escalated_to.is_none()
}

fn status(record: &TaskRecord) -> String {
    let status = match record.status {
        TaskStatus::Success => String::from("success"),
        TaskStatus::Failed => match &record.failure {
            Some(failure) => format!("failed {}", failure.error_type.as_str()),
            None => String::from("failed"),
        },
        TaskStatus::Skipped => match record.skip_reason {
            Some(reason) => format!("skipped ({})", skipped(reason)),
            None => String::from("skipped"),
        },
    };
    match &record.escalated_to {
        Some(to) => format!("{status} → {to}"),
        None => status,
    }
}

fn skipped(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::Condition => "not needed",
        SkipReason::Dormant => "not woken",
        SkipReason::FailFast => "fail fast",
        SkipReason::Cancelled => "cancelled",
    }
}

fn validation(status: ValidationStatus) -> &'static str {
    match status {
        ValidationStatus::Pass => "pass",
        ValidationStatus::Fail => "fail",
        ValidationStatus::Skipped => "-",
    }
}

fn tokens(record: &TaskRecord, count: u64) -> String {
    if !record.task_type.is_model() {
        String::from("-")
    } else if record.tokens_estimated {
        format!("≤{count}")
    } else {
        count.to_string()
    }
}
