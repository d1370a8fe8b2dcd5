//! Caps, enforced while the work is being done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{World, budget, closure, failed, graph, model, operation};

// shows C4.3, C7.2, C7.5, C7.6
#[tokio::test(start_paused = true)]
async fn a_model_that_would_never_stop_is_cut_off_at_its_cap() {
    let world = World::new(4, &json!({ "otherwise": { "act": "overrun", "ms_per_token": 1 } }), vec![]);
    let result = world.run(&graph(&[model("m", &[], &budget(7, 60_000, 3))], &json!({}))).await;
    let failure = result.failure.unwrap();
    assert_eq!(failure.error_type.as_str(), "BUDGET_BREACH");
    let breach = failure.breach.unwrap();
    assert_eq!((breach.cap.as_str(), breach.declared), ("task.max_tokens", 7));
    assert_eq!(world.adapter.calls().len(), 1, "what is over is not tried again");
}

// shows C7.4, C9.1
#[tokio::test(start_paused = true)]
async fn a_model_that_hangs_is_left_at_its_time() {
    let world = World::new(4, &json!({ "otherwise": { "act": "hang" } }), vec![]);
    let result = world.run(&graph(&[model("m", &[], &budget(7, 250, 3))], &json!({}))).await;
    assert_eq!(failed(&result, "m"), "TIMEOUT");
    assert_eq!(result.telemetry_bundle.summary().total_latency_ms, 250);
}

// shows C7.4
#[tokio::test(start_paused = true)]
async fn waits_between_attempts_count_as_the_tasks_time() {
    let script =
        json!({ "otherwise": { "act": { "error": { "kind": "rate_limited", "retry_after_ms": 90 } } } });
    let world = World::new(4, &script, vec![]);
    let result = world.run(&graph(&[model("m", &[], &budget(7, 250, 9))], &json!({}))).await;
    assert_eq!(failed(&result, "m"), "TIMEOUT");
    let record = result.telemetry_bundle.task("m").unwrap();
    assert_eq!((record.retry_count, record.duration_ms), (2, 0));
}

// shows C7.4, C7.5
#[tokio::test(start_paused = true)]
async fn the_runs_own_time_stops_everything_that_is_open() {
    let world = World::new(4, &json!({ "otherwise": { "act": "hang" } }), vec![]);
    let tasks = [model("a", &[], &budget(7, 60_000, 0)), model("b", &["a"], &budget(7, 60_000, 0))];
    let result = world.run(&graph(&tasks, &json!({ "budgets": { "max_latency_ms": 300 } }))).await;
    assert_eq!((failed(&result, "a"), failed(&result, "b")), ("BUDGET_BREACH", "BUDGET_BREACH"));
    assert_eq!(result.telemetry_bundle.summary().total_latency_ms, 300);
}

// shows C7.4
#[tokio::test]
async fn an_operation_of_ours_is_stopped_at_its_time() {
    let mut task = operation("loop", &[], "cel", &json!({ "budget": { "max_time_ms": 20 } }));
    task["input"] = json!({ "list": (0..300).collect::<Vec<_>>() });
    task["run"]["args"] = json!({ "expression":
        "input.list.map(a, input.list.map(b, input.list.map(c, a + b + c).size()).size()).size()" });
    let world = World::new(2, &json!({}), vec![]);
    let result = world.run(&graph(&[task], &json!({}))).await;
    // Whichever comes first on this machine, the time or the steps, it ends as a failure that says so.
    let category = failed(&result, "loop");
    assert!(["TIMEOUT", "EXECUTION_FAILURE"].contains(&category), "{category}");
}

// shows C7.4, C9.1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_that_does_not_stop_is_given_up_and_the_run_goes_on() {
    let release = Arc::new(AtomicBool::new(false));
    let held = Arc::clone(&release);
    let stuck = closure("stuck", move |_| {
        while !held.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(json!({}))
    });
    let world = World::new(1, &json!({}), vec![stuck]);
    let tasks: Vec<Value> = vec![
        operation("a-stuck", &[], "stuck", &json!({ "budget": { "max_time_ms": 30 } })),
        operation("b-other", &[], "echo", &json!({})),
    ];
    let result = world.run(&graph(&tasks, &json!({}))).await;
    release.store(true, Ordering::SeqCst);
    assert_eq!((failed(&result, "a-stuck"), failed(&result, "b-other")), ("TIMEOUT", "none"));
}

// shows C7.3, C8.1
#[tokio::test(start_paused = true)]
async fn attempts_are_one_and_the_retries_and_no_more() {
    for retries in [0, 1, 2, 5] {
        let world =
            World::new(4, &json!({ "otherwise": { "act": { "text": "no JSON" }, "tokens_out": 1 } }), vec![]);
        let result = world.run(&graph(&[model("m", &[], &budget(100, 60_000, retries))], &json!({}))).await;
        assert_eq!(failed(&result, "m"), "VALIDATION_ERROR");
        assert_eq!(world.adapter.calls().len(), 1 + retries as usize);
        assert_eq!(result.telemetry_bundle.task("m").unwrap().retry_count, retries);
    }
}

// shows C7.6, C8.1
#[tokio::test(start_paused = true)]
async fn tokens_that_nobody_counted_are_settled_as_the_most_they_can_be() {
    let step = json!({ "act": { "reply": { "n": 1 } }, "usage": "unknown" });
    let world = World::new(4, &json!({ "otherwise": step }), vec![]);
    let result = world.run(&graph(&[model("m", &[], &budget(50, 60_000, 0))], &json!({}))).await;
    let record = result.telemetry_bundle.task("m").unwrap();
    assert_eq!((record.tokens_out, record.tokens_estimated), (50, true));
    assert_eq!(result.failure, None);
}
