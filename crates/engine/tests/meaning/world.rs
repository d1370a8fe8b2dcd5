//! A driver without a clock: who starts and who finishes first is a list of choices.

use engine::{Next, Run, RunOutcome, Start};
use kora_ir::CheckedGraph;
use telemetry::{SkipReason, TaskStatus, ValidationStatus};

use crate::oracle::{Meaning, TaskMeaning};
use crate::script::{Script, play};

/// Runs a graph. At every turn `choose(n)` picks one of `n` things that may happen next: start what may start, if
/// there is room, or let one of the attempts under way finish.
pub(crate) fn run(
    graph: &CheckedGraph,
    script: &Script,
    concurrency: usize,
    choose: &mut dyn FnMut(usize) -> usize,
) -> RunOutcome {
    let mut run = Run::new(graph.clone());
    let mut under_way: Vec<Start> = Vec::new();
    let mut waiting = Vec::new();
    let mut stalled = false;
    while !run.is_finished() {
        let may_start = usize::from(under_way.len() < concurrency && !stalled);
        let choices = may_start + under_way.len() + waiting.len();
        assert!(choices > 0, "the run is not finished and nothing can happen");
        let choice = choose(choices);
        if choice < may_start {
            match run.next_start() {
                Some(start) => under_way.push(start),
                None => stalled = true,
            }
        } else if choice < may_start + under_way.len() {
            let start = under_way.swap_remove(choice - may_start);
            let next = run.report(play(graph, script, &start)).expect("the attempt is under way");
            if let Next::Retry { .. } = next {
                waiting.push(start.task);
            }
            stalled = false;
        } else {
            let task = waiting.swap_remove(choice - may_start - under_way.len());
            run.resume(task, 0).expect("the task waits");
            stalled = false;
        }
    }
    run.finish(0).expect("the run is finished")
}

/// An outcome in the oracle's words.
pub(crate) fn meaning(outcome: &RunOutcome) -> Meaning {
    let tasks =
        outcome.telemetry_bundle.tasks().iter().zip(&outcome.outputs).map(|(record, output)| TaskMeaning {
            id: record.task_id.to_string(),
            status: match record.status {
                TaskStatus::Success => "success",
                TaskStatus::Failed => "failed",
                TaskStatus::Skipped => "skipped",
            },
            stages: record.stages.iter().map(|stage| stage.as_str()).collect(),
            failure: record.failure.as_ref().map(|failure| {
                (failure.error_type.as_str(), failure.breach.map(|breach| breach.cap.as_str()))
            }),
            validation: match record.validation_status {
                ValidationStatus::Pass => "pass",
                ValidationStatus::Fail => "fail",
                ValidationStatus::Skipped => "skipped",
            },
            output: output.as_ref().map(|output| output.value().clone()),
            escalated_to: record.escalated_to.as_ref().map(ToString::to_string),
        });
    Meaning {
        tasks: tasks.collect(),
        final_output: outcome.final_output.as_ref().map(|output| output.value().clone()),
        failure: outcome
            .failure
            .as_ref()
            .map(|failure| (failure.task_id.to_string(), failure.error_type.as_str())),
    }
}

/// What must hold of every outcome, whatever it means (C7.1, C7.2, C7.3, C8.1, C8.2).
pub(crate) fn check_invariants(graph: &CheckedGraph, outcome: &RunOutcome) {
    let bundle = &outcome.telemetry_bundle;
    assert_eq!(bundle.tasks().len(), graph.tasks().len());
    let (mut total, mut calls) = (0, 0);
    for (task, record) in graph.tasks().iter().zip(bundle.tasks()) {
        assert_eq!((&task.id, task.task_type), (&record.task_id, record.task_type));
        assert!(record.retry_count <= task.budget.max_retries(), "{record:?}");
        assert!(record.tokens_out <= task.budget.max_tokens(), "{record:?}");
        assert!(task.task_type.is_model() || record.tokens_in + record.tokens_out == 0);
        assert_eq!(record.status == TaskStatus::Failed, record.failure.is_some());
        assert_eq!(record.status == TaskStatus::Skipped, record.skip_reason.is_some());
        total += record.tokens_in + record.tokens_out;
        let discarded = record.skip_reason == Some(SkipReason::FailFast);
        let invoked =
            record.stages.iter().filter(|stage| stage.as_str() == "MODEL_INVOCATION").count() as u64;
        calls += if discarded { record.tokens_in } else { invoked };
    }
    assert_eq!(bundle.summary().total_tokens, total);
    assert_eq!(bundle.summary().model_invocation_count, calls);
    let budgets = graph.budgets();
    let tokens_out: u64 = bundle.tasks().iter().map(|record| record.tokens_out).sum();
    assert!(budgets.max_tokens().is_none_or(|max| tokens_out <= max), "{tokens_out} tokens of {budgets:?}");
    assert!(budgets.max_llm_calls().is_none_or(|max| calls <= max), "{calls} calls of {budgets:?}");
}
