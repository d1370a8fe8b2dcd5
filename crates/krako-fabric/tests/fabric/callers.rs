//! What callers ask: again, for too much, of others', to be stopped, to be told.

use std::time::Duration;

use krako_contract::{
    ErrorCategory, ErrorType, Health, LineItemKind, NodeId, Sequence, SessionId, SessionPriority,
    SessionStatus, StopReason, SubmissionOptions, WorkUnitKind,
};
use krako_fabric::{Offer, OrchestratorConfig, OrderOutcome, OrderReport, Sessions};
use serde_json::{Value, json};

use crate::support::{
    Fabric, answers, by_hand, config, graph, locally, same_meaning, submission, submission_with, tenant,
    two_tasks,
};

/// One operation.
fn one(name: &str, more: &Value) -> kora_ir::CheckedGraph {
    let mut document = json!({
        "kora_version": "1.0.0", "graph_id": name, "root": "only",
        "tasks": [{
            "version": "1.0", "id": "only", "type": "deterministic", "dependencies": [], "input": {},
            "run": {"operation": "echo"}, "schema": {"type": "object"}
        }]
    });
    for (name, value) in more.as_object().unwrap() {
        document[name] = value.clone();
    }
    graph(&document)
}

// shows C5.1
#[tokio::test(start_paused = true)]
async fn a_submission_that_comes_again_is_the_same_session() {
    let fabric = Fabric::with_nodes(config(), Some(&answers(100))).await;
    let graph = two_tasks();
    let submit = || fabric.submit("northwind", &graph, "run");
    let (a, b, c) = tokio::join!(submit(), submit(), submit());
    let session = a.unwrap().execution_session_id;
    assert_eq!(
        (b.unwrap().execution_session_id, c.unwrap().execution_session_id),
        (session.clone(), session.clone())
    );
    let first = fabric.ended("northwind", &session).await;
    let after = submit().await.unwrap();
    assert_eq!(after, first);
    let usage = fabric.orchestrator.usage(&tenant("northwind")).await.unwrap();
    let mut billed: Vec<_> =
        usage.line_items.iter().map(|line| (line.work_unit_id.as_str(), line.kind)).collect();
    billed.sort_by_key(|(unit, _)| *unit);
    assert_eq!(billed, [("answer", LineItemKind::LlmTokens), ("message", LineItemKind::WorkunitCpu)]);
    // Another tenant's is another session.
    let theirs = fabric.submit("contoso", &graph, "run").await.unwrap().execution_session_id;
    assert_ne!(theirs, session);
}

#[tokio::test(start_paused = true)]
async fn one_anchor_is_of_one_graph_and_one_tenant() {
    let fabric = Fabric::with_nodes(config(), Some(&answers(0))).await;
    fabric.submit("northwind", &two_tasks(), "run").await.unwrap();
    let conflict = fabric.submit("northwind", &one("other", &json!({})), "run").await.unwrap_err();
    assert_eq!(conflict.error_type, ErrorType::Conflict);
    assert!(conflict.document.message.contains("use another `request_id`"), "{}", conflict.document.message);
    let named = one("g", &json!({"tenant_id": "contoso"}));
    let refused = fabric.submit("northwind", &named, "named").await.unwrap_err();
    assert_eq!(refused.error_type, ErrorType::Forbidden);
    // What is another's does not exist, and neither does what nobody has.
    let session = fabric.submit("northwind", &two_tasks(), "run").await.unwrap().execution_session_id;
    let (theirs, nobody) = (tenant("contoso"), SessionId::new("ses_nobody").unwrap());
    for (of, session) in [(&theirs, &session), (&tenant("northwind"), &nobody)] {
        let sessions: &dyn Sessions = &*fabric.orchestrator;
        let wait = Duration::ZERO;
        assert_eq!(sessions.report(of, session, wait).await.unwrap_err().error_type, ErrorType::NotFound);
        assert_eq!(sessions.cancel(of, session).await.unwrap_err().error_type, ErrorType::NotFound);
        let events = sessions.events(of, session, None, wait).await;
        assert_eq!(events.unwrap_err().error_type, ErrorType::NotFound);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_session_ends_soon_and_its_model_is_stopped() {
    let fabric = Fabric::with_nodes(config(), Some(&answers(4_000))).await;
    let session = fabric.submit("northwind", &two_tasks(), "run").await.unwrap().execution_session_id;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let begun = tokio::time::Instant::now();
    let stopping = fabric.orchestrator.cancel(&tenant("northwind"), &session).await.unwrap();
    assert_eq!(stopping.status, SessionStatus::Running);
    let report = fabric.ended("northwind", &session).await;
    assert!(begun.elapsed() <= Duration::from_millis(2500), "{:?}", begun.elapsed());
    assert_eq!((report.status, report.stop_reason), (SessionStatus::Cancelled, None));
    assert_eq!(report.check(), Ok(()));
    // Its operation had ended before, and is billed.
    assert_eq!(report.progress.completed, 1);
    let again = fabric.orchestrator.cancel(&tenant("northwind"), &session).await.unwrap();
    assert_eq!(again, report);
    // The pod is free for others.
    let next = fabric.submit("northwind", &two_tasks(), "next").await.unwrap().execution_session_id;
    assert_eq!(fabric.ended("northwind", &next).await.status, SessionStatus::Success);
}

// shows C7.4, C7.5
#[tokio::test(start_paused = true)]
async fn a_session_is_over_when_its_time_is() {
    let graph = {
        let text = two_tasks().source().replacen('{', "{\"budgets\": {\"max_latency_ms\": 1500},", 1);
        graph(&serde_json::from_str(&text).unwrap())
    };
    let script = answers(4_000);
    let local = locally(&graph, Some(&script)).await.unwrap();
    let fabric = Fabric::with_nodes(config(), Some(&script)).await;
    let report = fabric.run(&graph).await;
    same_meaning("latency", &report, &local);
    assert_eq!(report.stop_reason, Some(StopReason::BudgetExhausted));
    assert_eq!(report.failure.unwrap().error_type, ErrorCategory::BudgetBreach);
    let took = report.telemetry.unwrap().summary.session_latency_ms;
    assert!((1500..=4000).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn more_than_may_be_under_way_is_put_off() {
    let config = OrchestratorConfig { max_sessions: 3, max_sessions_per_tenant: 2, ..config() };
    let fabric = Fabric::with_nodes(config, Some(&answers(1000))).await;
    let graph = two_tasks();
    let first = fabric.submit("northwind", &graph, "1").await.unwrap().execution_session_id;
    fabric.submit("northwind", &graph, "2").await.unwrap();
    let refused = fabric.submit("northwind", &graph, "3").await.unwrap_err();
    assert_eq!((refused.error_type, refused.retry_after_s), (ErrorType::TooManyRequests, Some(1)));
    assert!(refused.document.message.contains("tenant `northwind` has 2"), "{}", refused.document.message);
    // One that is under way is found all the same.
    assert_eq!(fabric.submit("northwind", &graph, "1").await.unwrap().execution_session_id, first);
    fabric.submit("contoso", &graph, "1").await.unwrap();
    let refused = fabric.submit("contoso", &graph, "2").await.unwrap_err();
    assert_eq!(refused.error_type, ErrorType::TooManyRequests);
    fabric.ended("northwind", &first).await;
    fabric.submit("contoso", &graph, "2").await.unwrap();
}

/// Ends whatever it is given, and tells in which order it was given it: which tenant's, by the session.
async fn given(fabric: &Fabric, count: usize) -> Vec<SessionId> {
    let node = NodeId::new("hand").unwrap();
    let echo = Offer { operations: vec!["echo".into()], models: vec![] };
    let mut given = Vec::new();
    while given.len() < count {
        let order = by_hand(fabric, &node, WorkUnitKind::Cpu, echo.clone()).await.unwrap().remove(0);
        given.push(order.execution_session_id);
        let report = OrderReport {
            node_id: node.clone(),
            lease: order.lease,
            elapsed_us: 0,
            tokens_in: 0,
            tokens_out: 0,
            tokens_estimated: false,
            outcome: OrderOutcome::Output { output: json!({}) },
            retry_after_ms: None,
        };
        fabric.desk().report(report).await.unwrap();
    }
    given
}

#[tokio::test(start_paused = true)]
async fn tenants_take_turns_and_urgent_sessions_of_a_tenant_come_first() {
    let fabric = Fabric::new(config()).await;
    let echo = Offer { operations: vec!["echo".into()], models: vec![] };
    by_hand(&fabric, &NodeId::new("hand").unwrap(), WorkUnitKind::Cpu, echo).await.unwrap();
    let graph = one("g", &json!({}));
    let mut much = Vec::new();
    for run in 0..50 {
        much.push(fabric.submit("much", &graph, &format!("{run}")).await.unwrap().execution_session_id);
    }
    let urgent = SubmissionOptions { priority: Some(SessionPriority::High), region: None };
    let urgent = submission_with(&graph, "urgent", urgent);
    let urgent = fabric.orchestrator.submit(&tenant("much"), urgent).await.unwrap().execution_session_id;
    let mut little = Vec::new();
    for run in 0..2 {
        little.push(fabric.submit("little", &graph, &format!("{run}")).await.unwrap().execution_session_id);
    }
    let expected =
        [&urgent, &little[0], &much[0], &little[1], &much[1], &much[2], &much[3]].map(SessionId::clone);
    assert_eq!(given(&fabric, 7).await, expected);
    assert_eq!(given(&fabric, 46).await.len(), 46);
}

#[tokio::test(start_paused = true)]
async fn events_are_told_page_by_page_as_they_become_durable() {
    let config = OrchestratorConfig { max_page: 3, ..config() };
    let fabric = Fabric::with_nodes(config, Some(&answers(1000))).await;
    let session = fabric.submit("northwind", &two_tasks(), "run").await.unwrap().execution_session_id;
    let (of, mut after, mut ended, mut pages) = (tenant("northwind"), None, false, 0);
    while !ended {
        let page = fabric.orchestrator.events(&of, &session, after, Duration::from_secs(5)).await.unwrap();
        assert!(page.events.len() <= 3 && !page.events.is_empty());
        for event in &page.events {
            let expected = after.map_or(1, |after: Sequence| after.number() + 1);
            assert_eq!(event.sequence.number(), expected);
            after = Some(event.sequence);
        }
        (ended, pages) = (page.ended, pages + 1);
    }
    assert!(pages > 3);
    let report = fabric.ended("northwind", &session).await;
    assert_eq!(report.last_sequence, after.unwrap().number());
    let beyond = Some(Sequence::new(report.last_sequence + 1).unwrap());
    let refused = fabric.orchestrator.events(&of, &session, beyond, Duration::ZERO).await.unwrap_err();
    assert_eq!(refused.error_type, ErrorType::ValidationError);
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_takes_no_session_and_loses_none() {
    let fabric = Fabric::with_nodes(config(), Some(&answers(1000))).await;
    let session = fabric.submit("northwind", &two_tasks(), "run").await.unwrap().execution_session_id;
    fabric.disk.leave_room(Some(0));
    let refused = fabric.submit("northwind", &two_tasks(), "more").await.unwrap_err();
    assert_eq!(refused.error_type, ErrorType::Unavailable);
    tokio::time::sleep(Duration::from_secs(5)).await;
    fabric.disk.leave_room(None);
    assert_eq!(fabric.ended("northwind", &session).await.status, SessionStatus::Success);
    // It was never there, so it can be submitted now.
    let more = fabric.submit("northwind", &two_tasks(), "more").await.unwrap().execution_session_id;
    assert_eq!(fabric.ended("northwind", &more).await.status, SessionStatus::Success);
}

#[tokio::test(start_paused = true)]
async fn whoever_drains_ends_what_runs_and_takes_no_more() {
    let fabric = Fabric::with_nodes(config(), Some(&answers(1000))).await;
    let session = fabric.submit("northwind", &two_tasks(), "run").await.unwrap().execution_session_id;
    let late = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let refused = fabric.submit("northwind", &two_tasks(), "late").await.unwrap_err();
        assert_eq!(refused.error_type, ErrorType::Unavailable);
        fabric.orchestrator.health().await.unwrap().status
    };
    let (left, health) = tokio::join!(fabric.orchestrator.drain(Duration::from_secs(60)), late);
    assert_eq!((left, health), (0, Health::Unavailable));
    assert_eq!(fabric.ended("northwind", &session).await.status, SessionStatus::Success);
}

#[tokio::test(start_paused = true)]
async fn whoever_drains_for_too_short_a_time_is_told_and_nothing_is_lost() {
    let mut fabric = Fabric::with_nodes(config(), Some(&answers(4000))).await;
    let session = fabric.submit("northwind", &two_tasks(), "run").await.unwrap().execution_session_id;
    assert_eq!(fabric.orchestrator.drain(Duration::from_millis(100)).await, 1);
    fabric.crash(1).await;
    fabric.cpu(1);
    fabric.pod(Some(&answers(0)), 1);
    assert_eq!(fabric.ended("northwind", &session).await.status, SessionStatus::Success);
}

// shows C3.5, C3.6
#[tokio::test(start_paused = true)]
async fn a_fabric_offers_what_its_nodes_offer() {
    let mut fabric = Fabric::new(config()).await;
    assert_eq!(fabric.orchestrator.health().await.unwrap().status, Health::Unavailable);
    fabric.cpu(3);
    fabric.settle().await;
    assert_eq!(fabric.orchestrator.health().await.unwrap().status, Health::Degraded);
    fabric.pod(Some(&answers(0)), 2);
    fabric.settle().await;
    assert_eq!(fabric.orchestrator.health().await.unwrap().status, Health::Healthy);
    let told = fabric.orchestrator.capabilities().await.unwrap();
    assert_eq!((told.max_concurrency, told.distributed, told.models.len()), (5, true, 1));
    assert!(told.operations.iter().any(|name| name.as_str() == "echo"));
    // A node that is not heard of any more offers nothing.
    fabric.kill(1);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let told = fabric.orchestrator.capabilities().await.unwrap();
    assert_eq!((told.max_concurrency, told.models.len()), (3, 0));
    let refused =
        fabric.orchestrator.submit(&tenant("a"), submission(&two_tasks(), "run")).await.unwrap_err();
    assert_eq!(refused.error_type, ErrorType::Unavailable);
}
