//! How often the log is written for a session, told by a disk whose syncs take their time.

use std::time::Duration;

use kora_ir::CheckedGraph;
use krako_contract::{EventKind, Happening, NodeId, SessionStatus, WorkUnitKind};
use krako_fabric::{Offer, Sessions};
use operations::OperationRegistry;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Fabric, by_hand, config, graph};

const SYNC: Duration = Duration::from_millis(20);

/// So many tasks that need nothing, and one that needs all of them.
fn wide(width: usize) -> CheckedGraph {
    let id = |task: usize| format!("task-{task}");
    let task = |task: usize, dependencies: Vec<String>| {
        json!({
            "version": "1.0",
            "id": id(task),
            "type": "deterministic",
            "dependencies": dependencies,
            "input": {"text": "hello"},
            "run": {"operation": "echo"},
            "schema": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}
        })
    };
    let mut tasks: Vec<Value> = (0..width).map(|free| task(free, Vec::new())).collect();
    tasks.push(task(width, (0..width).map(id).collect()));
    graph(&json!({ "kora_version": "1.0.0", "graph_id": "wide", "root": id(width), "tasks": tasks }))
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_done_at_once_is_written_when_it_begins_and_when_it_ends() {
    let fabric = Fabric::with_nodes(config(), None).await;
    fabric.disk.delay_syncs(SYNC);
    let began = Instant::now();
    let accepted = fabric.submit("northwind", &wide(0), "run").await.unwrap();
    let after_one = began.elapsed();
    let report = fabric.ended("northwind", &accepted.execution_session_id).await;
    let after_both = began.elapsed();
    assert_eq!((accepted.status, report.status), (SessionStatus::Running, SessionStatus::Success));
    assert!(after_one >= SYNC && after_one < SYNC * 2, "{after_one:?}");
    assert!(after_both >= SYNC * 2 && after_both < SYNC * 3, "{after_both:?}");
}

#[tokio::test(start_paused = true)]
async fn who_has_a_long_order_is_told_soon() {
    let config = config();
    let fabric = Fabric::new(config.clone()).await;
    let node = NodeId::new("slow").unwrap();
    let operations = OperationRegistry::standard().names().map(str::to_owned).collect();
    let offer = Offer { operations, models: Vec::new() };
    let claim = by_hand(&fabric, &node, WorkUnitKind::Cpu, offer);
    let submitted = async { fabric.submit("northwind", &wide(0), "run").await.unwrap() };
    let (orders, accepted) = tokio::join!(claim, submitted);
    assert_eq!(orders.unwrap().len(), 1);
    let last = async || {
        let events = fabric.events("northwind", &accepted.execution_session_id).await;
        match &events.last().unwrap().happening {
            Happening::Unit(unit) => unit.event.kind(),
            Happening::Session(_) | Happening::Unknown(_) => panic!("not of the unit"),
        }
    };
    assert_eq!(last().await, EventKind::UnitStarted);
    tokio::time::sleep(config.claim_linger * 2).await;
    assert_eq!(last().await, EventKind::UnitClaimed);
}

#[tokio::test(start_paused = true)]
async fn what_is_done_waits_for_the_disk_and_in_no_slot() {
    let mut fabric = Fabric::new(config()).await;
    fabric.cpu(1);
    fabric.settle().await;
    fabric.disk.delay_syncs(SYNC);
    let began = Instant::now();
    let report = fabric.run(&wide(16)).await;
    assert_eq!(report.status, SessionStatus::Success);
    // When it begins; when the first and when the last of the sixteen is done; when it ends.
    assert!(began.elapsed() < SYNC * 6, "{:?}", began.elapsed());
    // It still works at one at a time.
    assert_eq!(fabric.orchestrator.capabilities().await.unwrap().max_concurrency, 1);
}
