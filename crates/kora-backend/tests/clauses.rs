//! The clauses that a local run can show, each on a small graph of `fixtures/clauses` that people can run too.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what cannot be set up is a failed test")]

mod shared;

use std::sync::Arc;

use backend_api::{Budgeted, Failure, FailureCategory, Refusal};
use kora_ir::{CheckedGraph, ViolationCode};
use models::ScriptedAdapter;
use shared::{Clock, Fixture, Outcome};
use telemetry::{SkipReason, Stage, TaskRecord, TaskStatus, TelemetryBundle, ValidationStatus};

type Ran = (CheckedGraph, Box<backend_api::ExecutionResult>, Option<Arc<ScriptedAdapter>>);

fn ran(name: &str) -> Ran {
    match Fixture::named(&format!("clauses/{name}")).run(4, Clock::Paused) {
        Outcome::Ran { graph, result, adapter } => (graph, result, adapter),
        Outcome::Refused(refusal) => panic!("{name} was refused: {refusal}"),
    }
}

fn refused(name: &str) -> Refusal {
    match Fixture::named(&format!("clauses/{name}")).run(4, Clock::Paused) {
        Outcome::Ran { result, .. } => panic!("{name} ran: {:?}", result.status),
        Outcome::Refused(refusal) => refusal,
    }
}

/// The failure of a run that must fail.
#[track_caller]
fn failure(name: &str) -> (Failure, TelemetryBundle) {
    let (_, result, _) = ran(name);
    assert_eq!(result.final_output, None, "a failed root has no output");
    (result.failure.expect("it fails"), result.telemetry_bundle)
}

#[track_caller]
fn breach(name: &str, category: FailureCategory, cap: Budgeted) -> (u64, u64) {
    let (failure, _) = failure(name);
    assert_eq!(failure.error_type, category);
    let breach = failure.breach.expect("a breach says which cap");
    assert_eq!(breach.cap, cap);
    (breach.declared, breach.used)
}

fn record<'b>(bundle: &'b TelemetryBundle, id: &str) -> &'b TaskRecord {
    bundle.task(id).unwrap()
}

// shows C2.1, C4.1, C6.1
#[test]
fn a_deterministic_graph_means_the_same_every_time_and_at_any_concurrency() {
    for name in ["C2.1-pure", "C4.1-operations", "C6.1-done-in-another-order"] {
        let fixture = Fixture::named(&format!("clauses/{name}"));
        let first = fixture.run(1, Clock::Paused).meaning();
        for max_concurrency in [1, 2, 3, 16, 64] {
            assert_eq!(
                fixture.run(max_concurrency, Clock::Real).meaning(),
                first,
                "{name} at {max_concurrency}"
            );
        }
    }
}

// shows C6.1
#[test]
fn who_is_done_first_changes_nothing() {
    let (_, result, adapter) = ran("C6.1-done-in-another-order");
    let mut calls = adapter.unwrap().calls();
    calls.sort_by_key(|call| call.ended.unwrap().0);
    let done: Vec<&str> = calls.iter().map(|call| call.task_id.as_str()).collect();
    assert_eq!(
        done,
        ["colour-d", "colour-c", "colour-b", "colour-a"],
        "the stand-in saw them end in this order"
    );
    let recorded: Vec<&str> =
        result.telemetry_bundle.tasks().iter().map(|record| record.task_id.as_str()).collect();
    assert_eq!(recorded, ["colour-a", "colour-b", "colour-c", "colour-d", "all"]);
}

// shows C2.2, C7.1
#[test]
fn retries_share_one_cap_that_only_goes_down() {
    for name in ["C2.2-retries-share-the-cap", "C7.1-nothing-is-given-back"] {
        let (graph, _, adapter) = ran(name);
        let declared = graph.task(graph.root()).budget.max_tokens();
        let told: Vec<u64> = adapter.unwrap().calls().iter().map(|call| call.max_output_tokens).collect();
        assert_eq!(told[0], declared);
        assert!(told.is_sorted_by(|before, after| before > after), "{told:?}");
        let (_, used) = breach(name, FailureCategory::BudgetBreach, Budgeted::TaskTokens);
        assert_eq!(used, declared + 1, "cut off at the first token beyond the cap");
    }
}

// shows C2.4, C4.4, C9.1
#[test]
fn an_output_that_its_schema_refuses_goes_nowhere() {
    for (name, id) in [
        ("C2.4-operation-breaks-its-schema", "age"),
        ("C4.4-more-than-the-schema-says", "answer"),
        ("C9.1-validation-error", "answer"),
    ] {
        let (failure, bundle) = failure(name);
        assert_eq!(failure.error_type, FailureCategory::ValidationError);
        assert_eq!(record(&bundle, id).validation_status, ValidationStatus::Fail);
    }
}

// shows C4.2, C4.3
#[test]
fn a_model_may_use_its_cap_to_the_last_token() {
    let (_, result, adapter) = ran("C4.3-up-to-the-cap");
    assert_eq!(result.failure, None);
    assert_eq!(record(&result.telemetry_bundle, "answer").tokens_out, 40);
    assert_eq!(adapter.unwrap().calls().len(), 1);
}

// shows C7.2, C7.5, C7.6, C9.1
#[test]
fn the_token_after_the_last_is_a_breach() {
    let tokens = |name| breach(name, FailureCategory::BudgetBreach, Budgeted::TaskTokens);
    assert_eq!(tokens("C7.2-token-cap"), (40, 41), "an endless reply is cut off");
    assert_eq!(tokens("C9.1-budget-breach"), (4, 5));
    assert_eq!(
        tokens("C7.6-told-afterwards"),
        (40, 55),
        "what is known only afterwards is told all the same"
    );
}

// shows C2.3, C7.3
#[test]
fn retries_end_at_their_cap_with_the_category_of_the_last_attempt() {
    let (failure, bundle) = failure("C7.3-retry-cap");
    assert_eq!(failure.error_type, FailureCategory::ValidationError);
    assert!(failure.retries_exhausted);
    assert_eq!(record(&bundle, "answer").retry_count, 2);
    assert_eq!(bundle.summary().model_invocation_count, 3);
}

// shows C7.4, C9.1
#[test]
fn a_model_that_hangs_is_given_up_when_its_time_is_over() {
    for (name, declared) in [("C7.4-time-cap", 60), ("C9.1-timeout", 50)] {
        let (said, used) = breach(name, FailureCategory::Timeout, Budgeted::TaskTime);
        assert_eq!(said, declared);
        assert!((declared..declared + 2_000).contains(&used), "{used}");
    }
}

// shows C7.5, C7.6
#[test]
fn every_budget_of_the_graph_breaches_under_its_own_name() {
    let budget = FailureCategory::BudgetBreach;
    assert_eq!(breach("C7.5-graph-tokens", budget, Budgeted::GraphTokens), (45, 46));
    assert_eq!(breach("C7.5-graph-calls", budget, Budgeted::GraphLlmCalls), (1, 1));
    assert_eq!(breach("C7.5-graph-cpu-units", budget, Budgeted::GraphCpuUnits), (2, 2));
    let (declared, used) = breach("C7.5-graph-latency", budget, Budgeted::GraphLatency);
    assert!(declared == 150 && used >= 150, "{used} of {declared}");
}

// shows C2.5, C4.5, C8.1
#[test]
fn every_task_has_a_record_whatever_became_of_it() {
    let (graph, result, _) = ran("C8.1-a-record-for-every-task");
    let bundle = &result.telemetry_bundle;
    assert_eq!(bundle.tasks().len(), graph.tasks().len());
    assert_eq!(record(bundle, "sound").retry_count, 1);
    assert_eq!(record(bundle, "not-needed").skip_reason, Some(SkipReason::Condition));
    assert_eq!(record(bundle, "never-woken").skip_reason, Some(SkipReason::Dormant));
    let category = |id| record(bundle, id).failure.as_ref().unwrap().error_type;
    assert_eq!(category("broken"), FailureCategory::ExecutionFailure);
    assert_eq!(category("after-broken"), FailureCategory::DependencyFailure);
    assert!(result.final_output.is_some(), "what does not depend on the failure goes on");

    let (failure, bundle) = failure("C4.5-telemetry-of-a-failure");
    assert_eq!(failure.error_type, FailureCategory::ExecutionFailure);
    assert_eq!(
        record(&bundle, "answer").stages.iter().filter(|stage| **stage == Stage::ModelInvocation).count(),
        2
    );
}

// shows C8.2
#[test]
fn totals_are_the_sums_of_the_records() {
    let (_, result, _) = ran("C8.2-totals");
    let totals = result.telemetry_bundle.summary();
    assert_eq!(
        (totals.total_tokens, totals.model_invocation_count, totals.deterministic_task_count),
        (31, 2, 2)
    );
    assert_eq!(totals.total_latency_ms, result.execution_metadata.duration_ms);
}

// shows C9.1
#[test]
fn what_depends_on_a_failure_is_not_run_and_is_not_the_cause() {
    let (failure, bundle) = failure("C9.1-dependency-failure");
    assert_eq!((failure.task_id.as_str(), failure.error_type), ("first", FailureCategory::ValidationError));
    let second = record(&bundle, "second");
    assert_eq!(second.failure.as_ref().unwrap().error_type, FailureCategory::DependencyFailure);
    assert!(!second.stages.contains(&Stage::ModelInvocation));
    assert_eq!(self::failure("C9.1-execution-failure").0.error_type, FailureCategory::ExecutionFailure);
}

// shows C1.4
#[test]
fn a_declared_edge_is_taken_and_its_task_stands_in() {
    let (_, result, _) = ran("C1.4-only-declared-edges");
    assert_eq!(result.failure, None, "what was stood in for is no failure of the run");
    let source = record(&result.telemetry_bundle, "answer");
    assert_eq!(
        (source.status, source.escalated_to.as_ref().unwrap().as_str()),
        (TaskStatus::Failed, "again")
    );
}

// shows C10.3
#[test]
fn another_major_is_refused_before_anything_runs_and_a_newer_minor_is_not() {
    for name in ["C10.3-other-major", "C10.3-no-version", "C10.3-task-of-another-major"] {
        assert_eq!(refused(name).error_type(), "VERSION_MISMATCH", "{name}");
    }
    assert_eq!(ran("C10.3-newer-minor").1.failure, None);
}

// shows C11.1
#[test]
fn a_raw_reply_is_in_no_part_of_the_result() {
    let (_, result, _) = ran("C11.1-raw-replies-stay-closed");
    let whole = serde_json::to_string(&result).unwrap();
    assert!(whole.contains("VALIDATION_ERROR"));
    assert!(!whole.contains("hunter2") && !whole.contains("password"), "{whole}");
}

// shows C11.2
#[test]
fn a_model_is_asked_only_where_the_graph_says_so_and_only_if_no_rule_does() {
    let Refusal::InvalidGraph(invalid) = refused("C11.2-no-model-in-a-deterministic-task") else {
        panic!("the graph is invalid");
    };
    let codes: Vec<_> = invalid.violations.iter().map(|violation| violation.code).collect();
    assert_eq!(codes, [ViolationCode::ModelNotAllowed; 2]);

    let (_, result, adapter) = ran("C11.2-a-rule-saves-the-model");
    assert!(adapter.unwrap().calls().is_empty());
    assert_eq!(result.final_output.unwrap().value()["text"], "red");
}

// shows C11.3
#[test]
fn nothing_heavier_than_declared_is_ever_asked() {
    let (_, _, adapter) = ran("C11.3-nothing-heavier");
    let asked: Vec<_> = adapter.unwrap().calls().iter().map(|call| call.model.to_string()).collect();
    assert_eq!(asked, ["stand-in-small"; 2], "though a large one stood by");
}

// shows C3.7, C11.3
#[test]
fn what_a_backend_has_not_is_refused_all_at_once() {
    for (name, tasks) in [
        ("C3.7-unknown-operation", vec!["sum", "shown"]),
        ("C11.3-unknown-model", vec!["answer"]),
        ("C11.3-local-only", vec!["answer"]),
    ] {
        let Refusal::BeyondCapabilities(unmet) = refused(name) else { panic!("{name} is beyond") };
        let said: Vec<_> = unmet.iter().map(|unmet| unmet.task_id.as_str()).collect();
        assert_eq!(said, tasks, "{name}");
    }
}
