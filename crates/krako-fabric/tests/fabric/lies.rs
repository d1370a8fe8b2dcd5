//! A worker that lies is refused, or what it says becomes what the engine makes of it.

use std::time::Duration;

use krako_contract::{ErrorCategory, NodeId, SessionStatus, WorkUnitKind};
use krako_fabric::{
    Claim, Heartbeat, LeaseId, LeaseProgress, NodeDesk, NodeError, Offer, OrderOutcome, OrderReport,
    WorkOrder,
};
use serde_json::json;

use crate::support::{Fabric, by_hand, config, offer_of_model, two_tasks};

/// A node that a test is.
struct Hand<'f> {
    fabric: &'f Fabric,
    id: NodeId,
}

impl<'f> Hand<'f> {
    fn new(fabric: &'f Fabric, id: &str) -> Self {
        Self { fabric, id: NodeId::new(id).unwrap() }
    }

    async fn claim(&self, pool: WorkUnitKind) -> Result<Vec<WorkOrder>, NodeError> {
        let offer = match pool {
            WorkUnitKind::Cpu => Offer { operations: vec!["echo".into()], models: vec![] },
            WorkUnitKind::LlmPod => offer_of_model(),
        };
        by_hand(self.fabric, &self.id, pool, offer).await
    }

    fn output(&self, lease: &LeaseId, output: serde_json::Value) -> OrderReport {
        OrderReport {
            node_id: self.id.clone(),
            lease: lease.clone(),
            elapsed_us: 10,
            tokens_in: 0,
            tokens_out: 0,
            tokens_estimated: false,
            outcome: OrderOutcome::Output { output },
            retry_after_ms: None,
        }
    }

    async fn report(&self, report: OrderReport) -> Result<(), NodeError> {
        NodeDesk::report(&*self.fabric.orchestrator, report).await
    }
}

/// A fabric whose session waits for the model, and that model's order.
async fn at_the_model<'f>(fabric: &'f Fabric, run: &str) -> (Hand<'f>, WorkOrder) {
    let hand = Hand::new(fabric, "hand");
    let pod = Hand::new(fabric, "pod");
    // Both have to be there before anything is taken.
    assert_eq!(hand.claim(WorkUnitKind::Cpu).await, Ok(vec![]));
    assert_eq!(pod.claim(WorkUnitKind::LlmPod).await, Ok(vec![]));
    fabric.submit("northwind", &two_tasks(), run).await.unwrap();
    let order = hand.claim(WorkUnitKind::Cpu).await.unwrap().remove(0);
    hand.report(hand.output(&order.lease, json!({"text": "hello"}))).await.unwrap();
    let order = pod.claim(WorkUnitKind::LlmPod).await.unwrap().remove(0);
    (pod, order)
}

// shows C2.4, C11.1
#[tokio::test(start_paused = true)]
async fn an_output_that_the_schema_refuses_is_no_output() {
    let fabric = Fabric::new(config()).await;
    let (pod, order) = at_the_model(&fabric, "run").await;
    pod.report(pod.output(&order.lease, json!({"answer": 7}))).await.unwrap();
    // The engine has it tried again.
    let again = pod.claim(WorkUnitKind::LlmPod).await.unwrap().remove(0);
    assert_eq!((again.attempt_index, again.work_unit_id), (1, order.work_unit_id));
    pod.report(pod.output(&again.lease, json!({"answer": "hi", "more": 1}))).await.unwrap();
    let report = fabric.run(&two_tasks()).await;
    assert_eq!(report.status, SessionStatus::Failed);
    assert_eq!(report.failure.unwrap().error_type, ErrorCategory::ValidationError);
}

// shows C7.2, C7.5
#[tokio::test(start_paused = true)]
async fn tokens_beyond_the_cap_are_a_breach_whatever_the_output() {
    let fabric = Fabric::new(config()).await;
    let (pod, order) = at_the_model(&fabric, "run").await;
    let report = OrderReport {
        tokens_out: order.tokens_left + 1,
        ..pod.output(&order.lease, json!({"answer": "hi"}))
    };
    pod.report(report).await.unwrap();
    let report = fabric.run(&two_tasks()).await;
    assert_eq!(report.failure.unwrap().error_type, ErrorCategory::BudgetBreach);
    assert_eq!(report.final_output, None);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_true_is_refused_and_the_claim_stands() {
    let fabric = Fabric::new(config()).await;
    let hand = Hand::new(&fabric, "hand");
    let pod = Hand::new(&fabric, "pod");
    assert_eq!(hand.claim(WorkUnitKind::Cpu).await, Ok(vec![]));
    assert_eq!(pod.claim(WorkUnitKind::LlmPod).await, Ok(vec![]));
    fabric.submit("northwind", &two_tasks(), "run").await.unwrap();
    let order = hand.claim(WorkUnitKind::Cpu).await.unwrap().remove(0);
    let honest = hand.output(&order.lease, json!({"text": "hello"}));
    let lies = [
        OrderReport { tokens_out: 1, ..honest.clone() },
        OrderReport { tokens_in: u64::MAX, ..honest.clone() },
        OrderReport { outcome: OrderOutcome::TokensExhausted, ..honest.clone() },
    ];
    for lie in lies {
        assert!(matches!(hand.report(lie).await, Err(NodeError::Refused(_))));
    }
    // Longer than the claim is old: what passed here is what counts.
    hand.report(OrderReport { elapsed_us: u64::MAX, ..honest }).await.unwrap();
    assert_eq!(pod.claim(WorkUnitKind::LlmPod).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_report_counts_once_and_is_of_whoever_claimed() {
    let fabric = Fabric::new(config()).await;
    let (pod, order) = at_the_model(&fabric, "run").await;
    let other = Hand::new(&fabric, "other");
    let honest = pod.output(&order.lease, json!({"answer": "hi"}));
    let stolen = other.output(&order.lease, json!({"answer": "stolen"}));
    assert_eq!(other.report(stolen).await, Err(NodeError::LeaseOver));
    let invented: LeaseId = serde_json::from_value(json!("1.99")).unwrap();
    assert_eq!(pod.report(pod.output(&invented, json!({}))).await, Err(NodeError::LeaseOver));
    // Told twice at once, as after a lost answer: both are heard, and it counts once.
    let twice = tokio::join!(pod.report(honest.clone()), pod.report(honest.clone()));
    assert_eq!(twice, (Ok(()), Ok(())));
    assert_eq!(pod.report(honest).await, Err(NodeError::LeaseOver));
    let report = fabric.run(&two_tasks()).await;
    assert_eq!(report.final_output.unwrap().value(), &json!({"answer": "hi"}));
    assert_eq!(report.telemetry.unwrap().summary.model_invocation_count, 1);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_lives_and_never_ends_is_given_up() {
    let fabric = Fabric::new(config()).await;
    let (pod, order) = at_the_model(&fabric, "run").await;
    let mut stopped = false;
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let progress = LeaseProgress { lease: order.lease.clone(), tokens_out: 3, elapsed_us: u64::MAX };
        let beat = Heartbeat { node_id: pod.id.clone(), leases: vec![progress] };
        stopped |= fabric.orchestrator.heartbeat(beat).await.unwrap().stop.contains(&order.lease);
    }
    assert!(stopped);
    let report = fabric.run(&two_tasks()).await;
    assert_eq!(report.failure.unwrap().error_type, ErrorCategory::Timeout);
}

// shows C11.2
#[tokio::test(start_paused = true)]
async fn a_node_is_of_one_pool_and_contradicts_nobody() {
    let fabric = Fabric::new(config()).await;
    let node = |name: &str| NodeId::new(name).unwrap();
    let claim = |name: &str, pool, offer: Offer| {
        fabric.orchestrator.claim(Claim {
            node_id: node(name),
            pool,
            offer,
            slots: 1,
            works_at: 0,
            wait_ms: 1,
        })
    };
    let both = Offer { operations: vec!["echo".into()], ..offer_of_model() };
    for pool in [WorkUnitKind::Cpu, WorkUnitKind::LlmPod] {
        assert!(matches!(claim("both", pool, both.clone()).await, Err(NodeError::Refused(_))));
    }
    claim("pod", WorkUnitKind::LlmPod, offer_of_model()).await.unwrap();
    let mut other = offer_of_model();
    other.models[0].context_tokens = Some(7);
    assert!(matches!(claim("other", WorkUnitKind::LlmPod, other).await, Err(NodeError::Refused(_))));
    let many = Offer { operations: (0..1001).map(|n| n.to_string()).collect(), models: vec![] };
    assert!(matches!(claim("many", WorkUnitKind::Cpu, many).await, Err(NodeError::Refused(_))));
    let none = Claim {
        node_id: node("none"),
        pool: WorkUnitKind::Cpu,
        offer: Offer::default(),
        slots: 0,
        works_at: 0,
        wait_ms: 0,
    };
    assert!(matches!(fabric.orchestrator.claim(none).await, Err(NodeError::Refused(_))));
    let beat = Heartbeat {
        node_id: node("pod"),
        leases: vec![
            LeaseProgress {
                lease: serde_json::from_value(json!("1.1")).unwrap(),
                tokens_out: 0,
                elapsed_us: 0
            };
            1000
        ],
    };
    assert!(matches!(fabric.orchestrator.heartbeat(beat).await, Err(NodeError::Refused(_))));
}
