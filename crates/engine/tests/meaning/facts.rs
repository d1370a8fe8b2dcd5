//! What cannot be true is refused, and what was true can be replayed.

use engine::{
    AttemptOutcome, AttemptReport, Fact, FactRefused, Next, ReplayError, Run, StartWork, Usage, replay,
};
use kora_ir::{CheckedGraph, Limits};
use serde_json::json;
use telemetry::{SkipReason, TaskStatus};

use crate::graphs::{G, T};
use crate::script::{Act, End, Script, output, play};

fn pair() -> CheckedGraph {
    let model = T { id: "m".into(), model: true, tokens: 5, ms: 100, retries: 1, ..T::default() };
    let free = T { id: "f".into(), ms: 100, ..T::default() };
    let last = T { id: "last".into(), deps: vec!["f".into(), "m".into()], ms: 100, ..T::default() };
    G { tasks: vec![model, free, last], budgets: json!({}), fail_fast: false }.check()
}

/// Runs a graph to its end and records the facts.
fn record(graph: &CheckedGraph, script: &Script) -> (engine::RunOutcome, Vec<Fact>) {
    let mut run = Run::new(graph.clone());
    let mut facts = Vec::new();
    while let Some(start) = run.next_start() {
        facts.push(Fact::Started { task: start.task });
        let report = play(graph, script, &start);
        facts.push(Fact::Attempt(report.clone()));
        if let Next::Retry { .. } = run.report(report).unwrap() {
            facts.push(Fact::Resumed { task: start.task, waited_us: 7 });
            run.resume(start.task, 7).unwrap();
        }
    }
    (run.finish(3).unwrap(), facts)
}

#[test]
fn a_recorded_run_replays_to_the_same_outcome() {
    let graph = pair();
    let script = Script([(("m".into(), 0), Act { end: End::Mismatch, tokens: 2, ms: 1 })].into());
    let (outcome, facts) = record(&graph, &script);
    assert_eq!(replay(graph, facts, 3), Ok(outcome));
}

#[test]
fn a_record_that_lies_or_ends_early_is_found_out() {
    let graph = pair();
    let (_, facts) = record(&graph, &Script::default());
    let early = replay(graph.clone(), facts[..facts.len() - 1].iter().cloned(), 3);
    assert!(matches!(early, Err(ReplayError::EndsEarly(_))), "{early:?}");
    let twice = facts.iter().flat_map(|fact| [fact.clone(), fact.clone()]);
    assert!(matches!(replay(graph, twice, 3), Err(ReplayError::Refused { position: 1, .. })));
}

// shows C11.2
#[test]
fn a_model_cannot_have_started_before_the_deterministic_work_that_was_ready() {
    let graph = pair();
    let (m, f) = (graph.index_of("m").unwrap(), graph.index_of("f").unwrap());
    let mut run = Run::new(graph.clone());
    assert_eq!(run.start_task(m), Err(FactRefused::ModelBeforeDeterministic { task: "m".into() }));
    run.start_task(f).unwrap();
    assert_eq!(run.start_task(m), Err(FactRefused::ModelBeforeDeterministic { task: "m".into() }));
    assert!(run.next_start().is_none(), "the engine keeps to it itself");
    let start = Run::new(graph.clone()).next_start().unwrap();
    run.report(play(&graph, &Script::default(), &start)).unwrap();
    assert_eq!(run.start_task(m), Ok(()));
}

// shows C11.2
#[test]
fn a_deterministic_task_cannot_have_spent_tokens() {
    let graph = pair();
    let mut run = Run::new(graph.clone());
    let start = run.next_start().unwrap();
    let mut report = play(&graph, &Script::default(), &start);
    report.usage = Usage { tokens_in: 0, tokens_out: 1, estimated: false };
    assert!(matches!(run.report(report), Err(FactRefused::TokensWithoutModel { .. })));
}

#[test]
fn an_attempt_is_reported_once_and_by_its_own_number() {
    let graph = pair();
    let mut run = Run::new(graph.clone());
    let start = run.next_start().unwrap();
    let report = play(&graph, &Script::default(), &start);
    let wrong = AttemptReport { attempt: 1, ..report.clone() };
    assert!(matches!(run.report(wrong), Err(FactRefused::WrongAttempt { told: 1, running: 0, .. })));
    assert_eq!(run.report(report.clone()), Ok(Next::Settled));
    assert!(matches!(run.report(report), Err(FactRefused::NotRunning { .. })));
    assert!(matches!(run.resume(start.task, 0), Err(FactRefused::NotWaiting { .. })));
}

// shows C7.2, C7.6
#[test]
fn an_output_that_cost_too_much_is_a_breach_and_never_an_output() {
    let graph = pair();
    let mut run = Run::new(graph.clone());
    let free = run.next_start().unwrap();
    run.report(play(&graph, &Script::default(), &free)).unwrap();
    let start = run.next_start().unwrap();
    let task = graph.task(start.task);
    let output = task.schema.admit(output(task, 1.0)).unwrap();
    let usage = Usage { tokens_in: 1, tokens_out: 6, estimated: false };
    let outcome = AttemptOutcome::Output(output);
    run.report(AttemptReport { task: start.task, attempt: 0, elapsed_us: 0, usage, outcome }).unwrap();
    let outcome = run.finish(1).unwrap();
    let record = outcome.telemetry_bundle.task("m").unwrap();
    let failure = record.failure.as_deref().unwrap();
    assert_eq!(failure.error_type.as_str(), "BUDGET_BREACH");
    assert_eq!(failure.breach.map(|breach| (breach.declared, breach.used)), Some((5, 6)));
    assert_eq!(outcome.outputs[start.task.as_usize()], None);
}

// shows C7.4, C7.5
#[test]
fn time_counts_attempts_and_waits_together() {
    let graph = pair();
    let script =
        Script([(("m".into(), 0), Act { end: End::Fails { transient: true }, tokens: 1, ms: 60 })].into());
    let mut run = Run::new(graph.clone());
    let free = run.next_start().unwrap();
    run.report(play(&graph, &script, &free)).unwrap();
    let start = run.next_start().unwrap();
    let next = run.report(play(&graph, &script, &start)).unwrap();
    assert_eq!(next, Next::Retry { attempt: 1, time_left_us: 40_000 });
    assert_eq!(run.resume(start.task, 40_000), Ok(Next::Settled));
    let outcome = run.finish(100).unwrap();
    let failure = outcome.failure.unwrap();
    assert_eq!(failure.error_type.as_str(), "TIMEOUT");
    assert_eq!(failure.breach.map(|breach| breach.cap.as_str()), Some("task.max_time_ms"));
}

// shows C7.4
#[test]
fn a_retry_that_no_time_is_left_for_is_a_timeout_at_once() {
    let graph = pair();
    let script =
        Script([(("m".into(), 0), Act { end: End::Fails { transient: true }, tokens: 1, ms: 100 })].into());
    let mut run = Run::new(graph.clone());
    let free = run.next_start().unwrap();
    run.report(play(&graph, &script, &free)).unwrap();
    let start = run.next_start().unwrap();
    assert_eq!(run.report(play(&graph, &script, &start)), Ok(Next::Settled));
    let failure = run.finish(100).unwrap().failure.unwrap();
    assert_eq!((failure.task_id.as_str(), failure.error_type.as_str()), ("m", "TIMEOUT"));
}

#[test]
fn a_target_sees_the_output_of_the_task_that_it_stands_in_for() {
    let first = T { id: "a".into(), model: true, tokens: 5, ms: 100, ..T::default() };
    let escalation = vec![json!({ "on": "confidence_below_threshold", "threshold": 0.95, "to": "z" })];
    let target = T { id: "z".into(), deps: vec!["a".into()], ms: 100, ..T::default() };
    let mut document =
        G { tasks: vec![T { escalation, ..first }, target], budgets: json!({}), fail_fast: false }.document();
    document["tasks"][1]["input"] = json!({ "draft": { "$from": "a", "pointer": "/by" } });
    let graph = CheckedGraph::parse(&document.to_string(), &Limits::default()).unwrap();
    let mut run = Run::new(graph.clone());
    let start = run.next_start().unwrap();
    run.report(play(&graph, &Script::default(), &start)).unwrap();
    let start = run.next_start().unwrap();
    let StartWork::Operation { input, .. } = &start.work else { unreachable!("the target computes") };
    assert_eq!(**input, json!({ "draft": "a" }));
}

// shows C7.4, C7.5
#[test]
fn the_runs_own_time_is_a_budget_and_its_end_a_breach_of_whatever_is_open() {
    let graph = G {
        tasks: vec![
            T { id: "a".into(), ms: 100, ..T::default() },
            T { id: "b".into(), deps: vec!["a".into()], ms: 100, ..T::default() },
        ],
        budgets: json!({ "max_latency_ms": 50 }),
        fail_fast: false,
    }
    .check();
    let mut run = Run::new(graph.clone());
    let start = run.next_start().unwrap();
    let early = run.latency_exceeded(49);
    assert_eq!(early, Err(FactRefused::LatencyNotExceeded { declared: Some(50), told: 49 }));
    run.latency_exceeded(51).unwrap();
    assert_eq!(run.take_unwanted(), [start.task]);
    assert!(run.next_start().is_none());
    assert!(!run.is_finished(), "what is under way has yet to say what it spent");
    let cancelled =
        AttemptReport { outcome: AttemptOutcome::Cancelled, ..play(&graph, &Script::default(), &start) };
    run.report(cancelled).unwrap();
    let outcome = run.finish(51).unwrap();
    for record in outcome.telemetry_bundle.tasks() {
        let breach = record.failure.as_deref().and_then(|failure| failure.breach).unwrap();
        assert_eq!((breach.cap.as_str(), breach.declared, breach.used), ("graph.max_latency_ms", 50, 51));
    }
}

#[test]
fn a_cancelled_run_starts_nothing_more_and_keeps_what_was_spent() {
    let graph = pair();
    let mut run = Run::new(graph.clone());
    let free = run.next_start().unwrap();
    run.report(play(&graph, &Script::default(), &free)).unwrap();
    let start = run.next_start().unwrap();
    run.cancel();
    assert_eq!(run.take_unwanted(), [start.task]);
    assert!(run.next_start().is_none());
    let report =
        AttemptReport { outcome: AttemptOutcome::Cancelled, ..play(&graph, &Script::default(), &start) };
    run.report(report).unwrap();
    let outcome = run.finish(1).unwrap();
    let record = outcome.telemetry_bundle.task("m").unwrap();
    assert_eq!((record.status, record.skip_reason), (TaskStatus::Skipped, Some(SkipReason::Cancelled)));
    assert_eq!(record.tokens_out, 1);
    assert_eq!(outcome.telemetry_bundle.task("f").unwrap().status, TaskStatus::Success);
    assert_eq!(outcome.final_output, None);
}

#[test]
fn a_replay_fails_what_could_never_be_started() {
    let mut document = G {
        tasks: vec![
            T { id: "a".into(), ms: 100, ..T::default() },
            T { id: "b".into(), deps: vec!["a".into()], ms: 100, ..T::default() },
            T { id: "m".into(), deps: vec!["a".into()], model: true, tokens: 5, ms: 100, ..T::default() },
        ],
        budgets: json!({}),
        fail_fast: false,
    }
    .document();
    document["tasks"][1]["input"] = json!({ "no": { "$from": "a", "pointer": "/such/thing" } });
    let graph = CheckedGraph::parse(&document.to_string(), &Limits::default()).unwrap();
    let (outcome, facts) = record(&graph, &Script::default());
    assert_eq!(outcome.failure.as_ref().map(|failure| failure.task_id.as_str()), Some("b"));
    assert_eq!(replay(graph, facts, 3), Ok(outcome));
}

#[test]
fn no_attempt_number_is_too_large_to_be_refused() {
    let graph = pair();
    let mut run = Run::new(graph.clone());
    let start = run.next_start().unwrap();
    let report = AttemptReport { attempt: u32::MAX, ..play(&graph, &Script::default(), &start) };
    assert!(matches!(run.report(report), Err(FactRefused::WrongAttempt { told: u32::MAX, .. })));
}

fn failing(id: &str) -> ((String, u32), Act) {
    ((id.into(), 0), Act { end: End::Fails { transient: false }, tokens: 1, ms: 0 })
}

#[test]
fn what_waited_for_room_when_the_run_was_cut_is_never_started() {
    let model = |id: &str| T { id: id.into(), model: true, tokens: 5, ms: 100, ..T::default() };
    let tasks = vec![model("a"), model("b"), model("c")];
    let graph = G { tasks, budgets: json!({ "max_tokens": 12 }), fail_fast: true }.check();
    let mut run = Run::new(graph.clone());
    let (a, b) = (run.next_start().unwrap(), run.next_start().unwrap());
    assert_eq!(run.next_start(), None, "c waits until a and b have settled");
    run.report(play(&graph, &Script::default(), &b)).unwrap();
    run.report(play(&graph, &Script([failing("a")].into()), &a)).unwrap();
    assert_eq!(run.next_start(), None);
    assert!(run.is_finished());
}

#[test]
fn what_is_not_wanted_any_more_is_named_once() {
    let free = |id: &str| T { id: id.into(), ms: 100, ..T::default() };
    let graph =
        G { tasks: vec![free("a"), free("b"), free("c")], budgets: json!({}), fail_fast: true }.check();
    let mut run = Run::new(graph.clone());
    let [a, b, c] = [(); 3].map(|()| run.next_start().unwrap());
    let script = Script([failing("a"), failing("b")].into());
    run.report(play(&graph, &script, &b)).unwrap();
    assert_eq!(run.take_unwanted(), [c.task]);
    run.report(play(&graph, &script, &a)).unwrap();
    assert_eq!(run.take_unwanted(), []);
}

// shows C8.1
#[test]
fn a_task_that_completed_stays_completed_when_the_runs_time_is_over() {
    let escalation = vec![json!({ "on": "budget_remaining", "min_tokens": 3, "to": "y" })];
    let model = |id: &str| T { id: id.into(), model: true, tokens: 5, ms: 100, ..T::default() };
    let tasks = vec![model("a"), T { escalation, ..model("x") }, model("y")];
    let graph =
        G { tasks, budgets: json!({ "max_tokens": 100, "max_latency_ms": 50 }), fail_fast: false }.check();
    let mut run = Run::new(graph.clone());
    let (a, x) = (run.next_start().unwrap(), run.next_start().unwrap());
    run.report(play(&graph, &Script::default(), &x)).unwrap();
    run.latency_exceeded(51).unwrap();
    let cancelled =
        AttemptReport { outcome: AttemptOutcome::Cancelled, ..play(&graph, &Script::default(), &a) };
    run.report(cancelled).unwrap();
    let outcome = run.finish(51).unwrap();
    assert_eq!(outcome.telemetry_bundle.task("x").unwrap().status, TaskStatus::Success);
    assert_eq!(outcome.failure.unwrap().task_id.as_str(), "a");
}

// shows C2.5
#[test]
fn the_events_of_a_run_fold_to_its_bundle_closing_ones_included() {
    let free = |id: &str| T { id: id.into(), ms: 100, ..T::default() };
    let graph = G { tasks: vec![free("a"), free("b")], budgets: json!({}), fail_fast: true }.check();
    let mut run = Run::new(graph.clone()).observed();
    let mut fold = telemetry::Fold::new(&graph);
    let start = run.next_start().unwrap();
    run.report(play(&graph, &Script([failing("a")].into()), &start)).unwrap();
    run.close().unwrap();
    run.drain_events().for_each(|event| fold.apply(&event));
    assert_eq!(fold.finish(3), run.finish(3).unwrap().telemetry_bundle);
}

#[test]
fn what_fails_before_anything_can_start_is_told_to_an_observer_too() {
    let model = T { id: "a".into(), model: true, tokens: 0, ms: 100, ..T::default() };
    let graph = G { tasks: vec![model], budgets: json!({}), fail_fast: false }.check();
    let mut run = Run::new(graph.clone()).observed();
    let mut fold = telemetry::Fold::new(&graph);
    run.drain_events().for_each(|event| fold.apply(&event));
    assert_eq!(run.next_start(), None);
    assert_eq!(fold.finish(0), run.finish(0).unwrap().telemetry_bundle);
}

#[test]
fn an_attempt_under_way_can_be_given_again_and_a_wait_be_waited_again() {
    let task = |id: &str| T { id: id.into(), model: true, tokens: 9, ms: 100, retries: 1, ..T::default() };
    let graph = G { tasks: vec![task("a"), task("b")], budgets: json!({}), fail_fast: false }.check();
    let mut run = Run::new(graph.clone());
    let (a, b) = (run.next_start().unwrap(), run.next_start().unwrap());
    assert_eq!((run.under_way(a.task), run.under_way(b.task)), (Some(a.clone()), Some(b.clone())));
    let failed = AttemptOutcome::Failed { message: "m".into(), transient: true };
    let report = AttemptReport { outcome: failed, ..play(&graph, &Script::default(), &a) };
    let next = run.report(report).unwrap();
    assert_eq!(run.waiting().collect::<Vec<_>>(), [(a.task, next)]);
    assert_eq!((run.under_way(a.task), run.output(a.task)), (None, None));
    run.resume(a.task, 5).unwrap();
    assert_eq!(run.waiting().count(), 0);
    let again = run.next_start().unwrap();
    assert_eq!((again.attempt, run.under_way(a.task)), (1, Some(again.clone())));
    run.report(play(&graph, &Script::default(), &b)).unwrap();
    assert!(run.output(b.task).is_some());
    // Nobody waits for what does not count.
    run.cancel();
    assert_eq!(run.waiting().count(), 0);
}
