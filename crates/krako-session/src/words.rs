//! Run events in words, for whoever reads what a fabric said and what is so.

use kora_ir::CheckedGraph;
use telemetry::{Event as RunEvent, Failure, SkipReason};

/// What a run event says, as the end of "says that …".
pub(crate) fn says(graph: &CheckedGraph, event: &RunEvent) -> String {
    let name = |index| graph.task(index).id.as_str();
    let task = name(event.task());
    match event {
        RunEvent::AttemptStarted { attempt, .. } => format!("attempt {attempt} of `{task}` started"),
        RunEvent::AttemptEnded { attempt, .. } => format!("attempt {attempt} of `{task}` ended"),
        RunEvent::Validated { passed, .. } => {
            let what = if *passed { "passed" } else { "broke" };
            format!("the output of `{task}` {what} its schema")
        }
        RunEvent::Retrying { because, .. } => format!("`{task}` is tried again after {}", failure(because)),
        RunEvent::Completed { .. } => format!("`{task}` completed"),
        RunEvent::Failed { failure: why, .. } => format!("`{task}` failed with {}", failure(why)),
        RunEvent::Skipped { reason, .. } => format!("`{task}` was skipped ({})", skipped(*reason)),
        RunEvent::Escalated { to, .. } => format!("`{task}` escalates to `{}`", name(*to)),
        _ => format!("something happened to `{task}`"),
    }
}

/// A failure without its message, which is the words of whoever told it.
pub(crate) fn failure(failure: &Failure) -> String {
    let breach = failure
        .breach
        .map(|breach| format!(" ({} of {} of {})", breach.used, breach.declared, breach.cap.as_str()));
    let exhausted = if failure.retries_exhausted { ", its retries used up" } else { "" };
    format!("{}{}{exhausted}", failure.error_type.as_str(), breach.unwrap_or_default())
}

fn skipped(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::Condition => "its condition held",
        SkipReason::Dormant => "no edge woke it",
        SkipReason::FailFast => "something before it failed",
        SkipReason::Cancelled => "the run was cancelled",
    }
}

/// Whether two run events say the same. Messages are words for people, cut on the wire, and decide nothing.
pub(crate) fn same(told: &RunEvent, own: &RunEvent) -> bool {
    match (told, own) {
        (RunEvent::Retrying { task, because }, RunEvent::Retrying { task: other, because: why })
        | (RunEvent::Failed { task, failure: because }, RunEvent::Failed { task: other, failure: why }) => {
            task == other && same_failure(because, why)
        }
        (told, own) => told == own,
    }
}

pub(crate) fn same_failure(told: &Failure, own: &Failure) -> bool {
    (told.error_type, &told.task_id, told.breach, told.retries_exhausted)
        == (own.error_type, &own.task_id, own.breach, own.retries_exhausted)
}
