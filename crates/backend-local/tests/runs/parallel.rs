//! Many at once, and one meaning.

use std::sync::Arc;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use backend_api::StreamingExecution;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{World, budget, closure, context, graph, model, operation};

fn mixed(max_tokens: u64) -> kora_ir::CheckedGraph {
    let mut tasks = vec![operation("start", &[], "constant", &json!({}))];
    tasks[0]["run"]["args"] = json!({ "value": { "n": 1 } });
    for number in 0..8 {
        tasks.push(model(&format!("m{number}"), &["start"], &budget(20, 10_000, 2)));
    }
    let all: Vec<String> = (0..8).map(|number| format!("m{number}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let mut end = operation("end", &all[..4], "echo", &json!({}));
    end["type"] = json!("aggregation");
    tasks.push(end);
    graph(&tasks, &json!({ "budgets": { "max_tokens": max_tokens, "max_llm_calls": 20 } }))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    // shows C2.1, C2.6, C6.1
    #[test]
    fn delays_and_concurrency_change_no_digest(
        delays in prop::collection::vec(0_u64..200, 24),
        acts in prop::collection::vec(0_u8..6, 24),
        max_tokens in 20_u64..200,
    ) {
        let script = |delays: &[u64]| {
            let tasks: serde_json::Map<String, Value> = (0..8).map(|task| {
                let steps: Vec<Value> = (0..3).map(|attempt| {
                    let place = task * 3 + attempt;
                    let act = match acts[place] {
                        0 => json!({ "text": "no JSON" }),
                        1 => json!({ "error": { "kind": "server_error" } }),
                        2 => json!("overrun"),
                        _ => json!({ "reply": { "n": place } }),
                    };
                    json!({ "act": act, "delay_ms": delays[place], "tokens_out": place % 9, "tokens_in": 1 })
                }).collect();
                (format!("m{task}"), json!(steps))
            }).collect();
            json!({ "tasks": tasks })
        };
        let graph = mixed(max_tokens);
        let digests: Vec<String> = [(1, vec![0; 24]), (2, delays.clone()), (8, delays), (64, vec![7; 24])]
            .into_iter()
            .map(|(concurrency, delays)| {
                let world = World::new(concurrency, &script(&delays), vec![]);
                runtime().block_on(world.run(&graph)).execution_metadata.semantic_digest.to_string()
            })
            .collect();
        prop_assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{digests:?}");
    }
}

// shows C3.6
#[tokio::test(start_paused = true)]
async fn no_more_run_at_once_than_is_said() {
    for (concurrency, peak) in [(1, 1), (3, 3), (64, 8)] {
        let script = json!({ "otherwise": { "act": { "reply": {} }, "delay_ms": 50 } });
        let world = World::new(concurrency, &script, vec![]);
        let tasks: Vec<Value> =
            (0..8).map(|number| model(&format!("m{number}"), &[], &budget(20, 10_000, 0))).collect();
        world.run(&graph(&tasks, &json!({}))).await;
        assert_eq!(world.adapter.peak_concurrency(), peak);
    }
}

#[tokio::test]
async fn slow_operations_run_beside_each_other() {
    // Each waits until four are at it: one thread would wait for ever.
    let barrier = Arc::new(Barrier::new(4));
    let meet = closure("meet", move |_| {
        barrier.wait();
        Ok(json!({}))
    });
    let world = World::new(4, &json!({}), vec![meet]);
    let tasks: Vec<Value> = ["a", "b", "c", "d"].map(|id| operation(id, &[], "meet", &json!({}))).into();
    let result = world.run(&graph(&tasks, &json!({}))).await;
    assert_eq!(result.failure, None);
}

// shows C11.2, C4.1
#[tokio::test]
async fn no_model_starts_while_an_operation_is_ready_or_running() {
    let left = Arc::new(AtomicUsize::new(6));
    let counter = Arc::clone(&left);
    let count = closure("count", move |_| {
        std::thread::sleep(std::time::Duration::from_millis(2));
        counter.fetch_sub(1, Ordering::SeqCst);
        Ok(json!({}))
    });
    let script = json!({ "otherwise": { "act": { "reply": {} } } });
    let world = World::new(4, &script, vec![count]);
    let mut tasks: Vec<Value> =
        (0..6).map(|number| operation(&format!("o{number}"), &[], "count", &json!({}))).collect();
    tasks.push(model("m", &[], &json!({})));
    let graph = graph(&tasks, &json!({}));
    let observer = Arc::new(Watch { left, graph: graph.clone() });
    let result = world.backend.execute_streaming(&graph, &context(), observer).await.unwrap();
    assert_eq!(result.failure, None);
    assert_eq!(world.adapter.calls().len(), 1);
}

#[derive(Debug)]
struct Watch {
    left: Arc<AtomicUsize>,
    graph: kora_ir::CheckedGraph,
}

impl backend_api::RunObserver for Watch {
    fn observe(&self, graph: &kora_ir::CheckedGraph, event: &telemetry::Event) {
        assert_eq!(graph.digest(), self.graph.digest());
        if let telemetry::Event::AttemptStarted { task, .. } = event
            && graph.task(*task).task_type.is_model()
        {
            assert_eq!(self.left.load(Ordering::SeqCst), 0, "a model started beside operations");
        }
    }
}
