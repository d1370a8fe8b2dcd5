//! Nobody wants the run any more (S13).

use std::future::Future;
use std::time::Duration;

use backend_api::{ExecutionBackend, HealthStatus};
use models::CallEnd;
use serde_json::json;

use crate::support::{World, budget, context, graph, model};

#[tokio::test(start_paused = true)]
async fn a_run_that_nobody_waits_for_any_more_does_not_begin() {
    let world = World::new(1, &json!({ "otherwise": { "act": { "reply": {} } } }), vec![]);
    let graph = graph(&[model("a", &[], &budget(9, 60_000, 0))], &json!({}));
    let context = context();
    let mut run = Box::pin(world.backend.execute_taskgraph(&graph, &context));
    // Asked once, so that it is under way, and dropped before anything was found out.
    let asked = std::future::poll_fn(|cx| std::task::Poll::Ready(run.as_mut().poll(cx).is_pending())).await;
    assert!(asked);
    drop(run);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(world.adapter.calls().len() <= 1, "at most what had started by then");
    assert_eq!(world.backend.health_check().await.capacity_summary.active_runs, 0);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_future_drops_the_calls_and_starts_nothing_more() {
    let world = World::new(1, &json!({ "otherwise": { "act": "hang" } }), vec![]);
    let tasks = [model("a", &[], &budget(9, 60_000, 0)), model("b", &[], &budget(9, 60_000, 0))];
    let graph = graph(&tasks, &json!({}));
    let context = context();
    let run = world.backend.execute_taskgraph(&graph, &context);
    tokio::time::timeout(Duration::from_millis(100), run).await.unwrap_err();
    // The attempt's own task ends at its next turn.
    tokio::time::sleep(Duration::from_millis(1)).await;
    let calls = world.adapter.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].ended.map(|(_, end)| end), Some(CallEnd::Dropped));
    let status = world.backend.health_check().await;
    assert_eq!((status.capacity_summary.active_runs, status.status), (0, HealthStatus::Healthy));
}
