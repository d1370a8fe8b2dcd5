//! Workers that die, stop, panic or never end.

use std::sync::Arc;
use std::time::Duration;

use krako_contract::{Happening, NodeId, SessionStatus, UnitEvent, WorkUnitKind};
use krako_fabric::{
    Heartbeat, LeaseProgress, NodeConfig, NodeError, Offer, OrchestratorConfig, OrderOutcome, OrderReport,
    OrderWork,
    worker::{CpuNode, PodNode},
};
use operations::{
    Example, Meter, Operation, OperationCall, OperationError, OperationLimits, OperationRegistry,
    PreparedOperation,
};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::support::{
    Fabric, answers, by_hand, config, golden, graph, locally, locally_with, offer_of_model, router,
    same_meaning, two_tasks,
};

fn claims(events: &[krako_contract::Event], of: &str) -> usize {
    let is_claim = |event: &&krako_contract::Event| match &event.happening {
        Happening::Unit(unit) => {
            unit.work_unit_id.as_str() == of && matches!(unit.event, UnitEvent::Claimed(_))
        }
        Happening::Session(_) | Happening::Unknown(_) => false,
    };
    events.iter().filter(is_claim).count()
}

// shows C2.6, C7.3
#[tokio::test(start_paused = true)]
async fn work_of_a_dead_node_is_given_again_and_means_the_same() {
    let script = answers(3000);
    let local = locally(&two_tasks(), Some(&script)).await.unwrap();
    let mut fabric = Fabric::new(config()).await;
    fabric.cpu(1);
    let pod = fabric.pod(Some(&script), 1);
    fabric.settle().await;
    let session = fabric.submit("northwind", &two_tasks(), "run").await.unwrap().execution_session_id;
    tokio::time::sleep(Duration::from_secs(1)).await;
    fabric.kill(pod);
    fabric.pod(Some(&script), 1);
    let report = fabric.ended("northwind", &session).await;
    same_meaning("dead pod", &report, &local);
    assert_eq!(claims(&fabric.events("northwind", &session).await, "answer"), 2);
    let telemetry = report.telemetry.unwrap();
    assert_eq!((telemetry.tasks[1].attempt_index, telemetry.summary.model_invocation_count), (0, 1));
}

// shows C2.6
#[tokio::test(start_paused = true)]
async fn every_golden_graph_survives_the_death_of_its_nodes() {
    for fixture in golden() {
        let local = locally(&fixture.graph, fixture.script.as_ref()).await.unwrap();
        let mut fabric = Fabric::new(config()).await;
        // Whoever dies at once takes what there is with it.
        let dead = NodeId::new("dead").unwrap();
        let offer = Offer {
            operations: OperationRegistry::standard().names().map(str::to_owned).collect(),
            models: vec![],
        };
        assert_eq!(by_hand(&fabric, &dead, WorkUnitKind::Cpu, offer.clone()).await, Ok(vec![]));
        let doomed = fabric.pod(fixture.script.as_ref(), 2);
        fabric.settle().await;
        let session = fabric.submit("northwind", &fixture.graph, "run").await.unwrap().execution_session_id;
        assert_eq!(by_hand(&fabric, &dead, WorkUnitKind::Cpu, offer).await.unwrap().len(), 1);
        fabric.cpu(3);
        tokio::time::sleep(Duration::from_millis(3)).await;
        fabric.kill(doomed);
        fabric.pod(fixture.script.as_ref(), 2);
        let report = fabric.ended("northwind", &session).await;
        same_meaning(&fixture.name, &report, &local);
    }
}

// shows C7.2, C7.6
#[tokio::test(start_paused = true)]
async fn what_a_dead_node_had_spent_stays_spent() {
    let fabric = Fabric::new(config()).await;
    let (first, second) = (NodeId::new("first").unwrap(), NodeId::new("second").unwrap());
    let echo = Offer { operations: vec!["echo".into()], models: vec![] };
    by_hand(&fabric, &first, WorkUnitKind::LlmPod, offer_of_model()).await.unwrap();
    let cpu = NodeId::new("cpu").unwrap();
    by_hand(&fabric, &cpu, WorkUnitKind::Cpu, echo.clone()).await.unwrap();
    let session = fabric.submit("northwind", &two_tasks(), "run").await.unwrap().execution_session_id;
    let order = by_hand(&fabric, &cpu, WorkUnitKind::Cpu, echo).await.unwrap().remove(0);
    let report = OrderReport {
        node_id: cpu,
        lease: order.lease,
        elapsed_us: 0,
        tokens_in: 0,
        tokens_out: 0,
        tokens_estimated: false,
        outcome: OrderOutcome::Output { output: json!({"text": "hello"}) },
        retry_after_ms: None,
    };
    fabric.desk().report(report.clone()).await.unwrap();
    let order = by_hand(&fabric, &first, WorkUnitKind::LlmPod, offer_of_model()).await.unwrap().remove(0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let progress = LeaseProgress { lease: order.lease.clone(), tokens_out: 10, elapsed_us: 1_500_000 };
    let beat = Heartbeat { node_id: first.clone(), leases: vec![progress] };
    assert_eq!(fabric.desk().heartbeat(beat.clone()).await.unwrap().stop, []);
    tokio::time::sleep(Duration::from_secs(20)).await;
    let again = by_hand(&fabric, &second, WorkUnitKind::LlmPod, offer_of_model()).await.unwrap().remove(0);
    assert_eq!((again.attempt_index, again.tokens_left, again.time_left_us), (0, 54, 3_500_000));
    assert_ne!(again.lease, order.lease);
    // The first one lives after all, and is told so.
    assert_eq!(fabric.desk().heartbeat(beat).await.unwrap().stop, std::slice::from_ref(&order.lease));
    let output = OrderOutcome::Output { output: json!({"answer": "hi"}) };
    let late = OrderReport { node_id: first, lease: order.lease, outcome: output, tokens_out: 4, ..report };
    assert_eq!(fabric.desk().report(late.clone()).await, Err(NodeError::LeaseOver));
    let good = OrderReport { node_id: second, lease: again.lease, ..late };
    fabric.desk().report(good).await.unwrap();
    let report = fabric.ended("northwind", &session).await;
    assert_eq!(report.status, SessionStatus::Success);
    assert_eq!(report.telemetry.unwrap().tasks[1].tokens_out, 14);
}

// shows C7.3
#[tokio::test(start_paused = true)]
async fn an_attempt_that_four_nodes_were_lost_at_has_failed_and_is_tried_again() {
    let fabric = Fabric::new(config()).await;
    let node = NodeId::new("node").unwrap();
    let echo = Offer { operations: vec!["echo".into()], models: vec![] };
    by_hand(&fabric, &node, WorkUnitKind::Cpu, echo.clone()).await.unwrap();
    by_hand(&fabric, &NodeId::new("pod").unwrap(), WorkUnitKind::LlmPod, offer_of_model()).await.unwrap();
    let session = fabric.submit("northwind", &two_tasks(), "run").await.unwrap().execution_session_id;
    let mut attempts = Vec::new();
    while attempts.len() < 8 {
        let orders = by_hand(&fabric, &node, WorkUnitKind::Cpu, echo.clone()).await.unwrap();
        attempts.extend(orders.iter().map(|order| order.attempt_index));
    }
    assert_eq!(attempts, [0, 0, 0, 0, 1, 1, 1, 1]);
    let report = fabric.ended("northwind", &session).await;
    let failure = report.failure.unwrap();
    assert_eq!(failure.message.as_str(), "the fabric lost 4 nodes at it");
    assert!(failure.retries_exhausted);
}

#[tokio::test(start_paused = true)]
async fn what_no_node_takes_fails_in_the_end() {
    let config = OrchestratorConfig { max_queued: Duration::from_secs(30), ..config() };
    let mut fabric = Fabric::with_nodes(config, Some(&answers(0))).await;
    // Gone before anything was taken, and not yet missed.
    fabric.kill(0);
    fabric.kill(1);
    fabric.settle().await;
    let session = fabric.submit("northwind", &two_tasks(), "run").await.unwrap().execution_session_id;
    let report = fabric.ended("northwind", &session).await;
    let message = report.failure.unwrap().message;
    assert!(message.as_str().starts_with("no `cpu` node took it within 30000 ms"), "{message:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_told_to_stop_ends_what_it_has_and_takes_no_more() {
    let fabric = Fabric::with_nodes(config(), None).await;
    let script = answers(3000);
    let (stop, stopped) = oneshot::channel::<()>();
    let node = PodNode::new(NodeId::new("leaving").unwrap(), fabric.desk(), router(Some(&script)), 1);
    let leaving = tokio::spawn(node.run(async { drop(stopped.await) }));
    fabric.settle().await;
    let session = fabric.submit("northwind", &two_tasks(), "run").await.unwrap().execution_session_id;
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.send(()).unwrap();
    leaving.await.unwrap().unwrap();
    let report = fabric.ended("northwind", &session).await;
    assert_eq!(report.status, SessionStatus::Success);
    assert_eq!(claims(&fabric.events("northwind", &session).await, "answer"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_end_in_time_when_its_node_leaves_is_given_back() {
    let mut fabric = Fabric::with_nodes(config(), None).await;
    let (stop, stopped) = oneshot::channel::<()>();
    let node = PodNode::new(NodeId::new("leaving").unwrap(), fabric.desk(), router(Some(&answers(4000))), 1)
        .with(NodeConfig { drain: Duration::from_millis(500), ..NodeConfig::default() });
    let leaving = tokio::spawn(node.run(async { drop(stopped.await) }));
    fabric.settle().await;
    let session = fabric.submit("northwind", &two_tasks(), "run").await.unwrap().execution_session_id;
    tokio::time::sleep(Duration::from_secs(1)).await;
    fabric.pod(Some(&answers(0)), 1);
    stop.send(()).unwrap();
    leaving.await.unwrap().unwrap();
    let report = fabric.ended("northwind", &session).await;
    assert_eq!(report.status, SessionStatus::Success);
    assert_eq!(claims(&fabric.events("northwind", &session).await, "answer"), 2);
}

/// Does what operations must not do.
#[derive(Debug)]
struct Bad(&'static str, Value, Example);

impl Bad {
    fn registry() -> OperationRegistry {
        let mut registry = OperationRegistry::standard_within(OperationLimits::default());
        for name in ["bad.panics", "bad.never_ends"] {
            let example = Example { args: json!({}), input: json!({}), output: json!({}) };
            registry.register(Self(name, json!({"type": "object"}), example)).unwrap();
        }
        registry
    }
}

impl Operation for Bad {
    fn name(&self) -> &str {
        self.0
    }

    fn summary(&self) -> &str {
        ""
    }

    fn args_schema(&self) -> &Value {
        &self.1
    }

    fn example(&self) -> &Example {
        &self.2
    }

    fn prepare(&self, _: &Value) -> Result<Arc<dyn PreparedOperation>, OperationError> {
        Ok(Arc::new(Prepared(self.0)))
    }
}

#[derive(Debug)]
struct Prepared(&'static str);

impl PreparedOperation for Prepared {
    fn run(&self, _: &OperationCall<'_>, meter: &mut Meter) -> Result<Value, OperationError> {
        assert_ne!(self.0, "bad.panics", "as it was told to");
        loop {
            meter.check_stopped()?;
            std::thread::yield_now();
        }
    }
}

// shows C7.4, C2.6
#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_panics_or_never_ends_fails_as_on_one_machine() {
    // To tell of a panic takes its time on a busy machine, and is not what is meant by too late.
    for (name, max_time_ms) in [("bad.panics", 60_000), ("bad.never_ends", 100)] {
        let graph = graph(&json!({
            "kora_version": "1.0.0", "graph_id": "bad", "root": "bad",
            "tasks": [{
                "version": "1.0", "id": "bad", "type": "deterministic", "dependencies": [], "input": {},
                "run": {"operation": name}, "schema": {"type": "object"},
                "budget": {"max_time_ms": max_time_ms, "max_retries": 1}
            }]
        }));
        let local = locally_with(&graph, None, Bad::registry()).await.unwrap();
        let fabric = Fabric::new(OrchestratorConfig { operations: Bad::registry(), ..config() }).await;
        let node = CpuNode::new(NodeId::new("cpu").unwrap(), fabric.desk(), Bad::registry(), 2);
        let node = tokio::spawn(node.run(std::future::pending()));
        tokio::time::sleep(Duration::from_millis(50)).await;
        let report = fabric.run(&graph).await;
        same_meaning(name, &report, &local);
        let (failure, expected) = (report.failure.unwrap(), local.failure.unwrap());
        assert_eq!(failure.error_type.as_str(), expected.error_type.as_str());
        node.abort();
    }
}

#[test]
fn an_order_says_of_its_content_what_it_needs_and_of_its_graph_nothing_more() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let fabric = Fabric::new(config()).await;
        let cpu = NodeId::new("cpu").unwrap();
        let echo = Offer { operations: vec!["echo".into()], models: vec![] };
        by_hand(&fabric, &cpu, WorkUnitKind::Cpu, echo.clone()).await.unwrap();
        by_hand(&fabric, &NodeId::new("pod").unwrap(), WorkUnitKind::LlmPod, offer_of_model()).await.unwrap();
        fabric.submit("northwind", &two_tasks(), "run").await.unwrap();
        let order = by_hand(&fabric, &cpu, WorkUnitKind::Cpu, echo).await.unwrap().remove(0);
        let OrderWork::Cpu { operation, args: None, input, .. } = &order.work else { panic!("{order:?}") };
        assert_eq!((operation.as_str(), input), ("echo", &json!({"text": "hello"})));
        let told = serde_json::to_string(&order).unwrap();
        assert!(!told.contains("Answer") && !told.contains("northwind"), "{told}");
    });
}
