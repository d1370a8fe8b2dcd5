//! What a fabric says instead of taking a graph, and what KORA is told (C10.3).

use backend_api::{BackendMode, ExecutionBackend, HealthStatus, InterfaceVersion, Refusal};
use backend_krako::{ConnectError, KrakoBackend, KrakoLimits};
use kora_ir::{CheckedGraph, Limits};

use crate::server::Reply;
use crate::session::{record, reply, small};
use crate::world::{Asked, World, context, run};

fn error(status: u16, error_type: &str, message: &str) -> Reply {
    Reply::json(status, format!(r#"{{"error_type": "{error_type}", "message": "{message}"}}"#))
}

/// What becomes of a submission that is always answered so, and how often it is sent.
async fn refused(reply: Reply) -> (Refusal, usize) {
    let graph = small();
    let world = World::start(record(&graph, "run 7", 0), move |asked, _, _| {
        (asked == Asked::Execute).then(|| reply.clone())
    })
    .await;
    let mut config = world.config();
    config.limits = KrakoLimits { submission_patience_ms: 40, ..config.limits };
    let backend = KrakoBackend::connect(config).await.unwrap();
    let refusal = run(&backend, &graph).await.unwrap_err();
    assert_eq!(world.count(Asked::Events), 0, "nothing is followed that did not begin");
    (refusal, world.count(Asked::Execute))
}

// shows C10.3, C5.1
#[tokio::test]
async fn what_is_refused_is_refused_once_and_in_words_of_koras() {
    let check = async |status, error_type, expected: &str, said: &str| {
        let (refusal, sent) = refused(error(status, error_type, "because")).await;
        assert_eq!((refusal.error_type(), sent), (expected, 1), "{status} {error_type}");
        assert_eq!(refusal.to_string(), said);
    };
    check(401, "UNAUTHENTICATED", "UNAUTHENTICATED", "not authenticated: because").await;
    check(403, "FORBIDDEN", "UNAUTHENTICATED", "not authenticated: because").await;
    check(
        409,
        "CONFLICT",
        "UNAVAILABLE",
        "unavailable: its `request_id` was used for another graph: because",
    )
    .await;
    check(500, "INTERNAL_ERROR", "UNAVAILABLE", "unavailable: INTERNAL_ERROR (500): because").await;
    check(413, "PAYLOAD_TOO_LARGE", "UNAVAILABLE", "unavailable: PAYLOAD_TOO_LARGE (413): because").await;
    let said = "unavailable: the fabric did not take the submission: because";
    check(400, "VALIDATION_ERROR", "UNAVAILABLE", said).await;
}

#[tokio::test]
async fn what_passes_is_waited_out_within_its_bound() {
    for (status, error_type) in [(429, "TOO_MANY_REQUESTS"), (503, "UNAVAILABLE"), (408, "REQUEST_TIMEOUT")] {
        // Longer than the patience of the test: not waited for, and passed on.
        let (refusal, sent) = refused(error(status, error_type, "full").header("retry-after", "9")).await;
        let Refusal::Unavailable { reason, retry_after_ms } = refusal else { panic!("{refusal:?}") };
        assert_eq!((reason.as_str(), retry_after_ms, sent), ("full", Some(9_000), 1), "{status}");
        let (refusal, sent) = refused(error(status, error_type, "full").header("retry-after", "0")).await;
        assert!(sent > 1, "{status}: {refusal}");
    }
}

#[tokio::test]
async fn a_fabric_that_was_full_takes_the_graph_later() {
    let graph = small();
    let world = World::start(record(&graph, "run 7", 0), |asked, times, _| match (asked, times) {
        (Asked::Execute, 0) => Some(error(429, "TOO_MANY_REQUESTS", "full").header("retry-after", "0")),
        (Asked::Execute, 1) => Some(error(503, "UNAVAILABLE", "draining").header("retry-after", "0")),
        _ => None,
    })
    .await;
    assert!(run(&world.backend().await, &graph).await.unwrap().failure.is_none());
}

// shows C11.4
#[tokio::test]
async fn a_redirect_is_no_answer() {
    let (refusal, sent) =
        refused(Reply::json(307, "").header("location", "https://elsewhere.example/")).await;
    assert!(refusal.to_string().contains("307, a redirect; nothing is sent elsewhere"), "{refusal}");
    assert_eq!(sent, 1);
}

// shows C10.3, C1.3
#[tokio::test]
async fn another_version_and_another_backend_are_refused_before_anything_is_sent() {
    let graph = small();
    let world = World::start(record(&graph, "run 7", 0), |_, _, _| None).await;
    let backend = world.backend().await;
    let mut newer = context();
    newer.interface_version = InterfaceVersion { major: 2, minor: 0, patch: 0 };
    let refusal = backend.execute_taskgraph(&graph, &newer).await.unwrap_err();
    assert_eq!(refusal.error_type(), "VERSION_MISMATCH");
    let mut local = context();
    local.backend_mode = BackendMode::Local;
    let refusal = backend.execute_taskgraph(&graph, &local).await.unwrap_err();
    assert!(matches!(refusal, Refusal::WrongBackend { .. }));
    assert_eq!(world.count(Asked::Execute), 0);
}

// shows C11.3
#[tokio::test]
async fn what_must_stay_on_this_machine_is_not_sent() {
    let local = "\"constraints\": {\"privacy\": \"local_only\"}, \"run\": { \"model\"";
    let text = reply().source().replace("\"run\": { \"model\"", local);
    let graph = CheckedGraph::parse(&text, &Limits::default()).unwrap();
    let world = World::start(record(&graph, "req-2026-03-09-0001", 0), |_, _, _| None).await;
    let refusal = run(&world.backend().await, &graph).await.unwrap_err();
    let said = refusal.to_string();
    assert!(said.contains("task `draft` needs a model on this machine, as it is `local_only`"), "{said}");
    assert_eq!(world.count(Asked::Execute), 0);
}

#[tokio::test]
async fn a_fabric_of_another_version_is_not_connected_to() {
    let graph = small();
    let world = World::start(record(&graph, "run 7", 0), |asked, _, _| {
        (asked == Asked::Capabilities)
            .then(|| Reply::json(200, r#"{"api_version": "2.0", "max_concurrency": "many"}"#))
    })
    .await;
    let error = KrakoBackend::connect(world.config()).await.unwrap_err();
    let ConnectError::Refused(refusal) = error else { panic!("{error:?}") };
    assert_eq!(refusal.error_type(), "VERSION_MISMATCH", "{refusal}");
}

// shows C3.5
#[tokio::test]
async fn a_fabric_that_is_gone_is_unavailable_and_says_why() {
    let graph = small();
    let world = World::start(record(&graph, "run 7", 0), |asked, times, _| {
        (asked == Asked::Capabilities && times > 0).then(|| error(503, "UNAVAILABLE", "draining"))
    })
    .await;
    let status = world.backend().await.health_check().await;
    assert_eq!(status.status, HealthStatus::Unavailable);
    let model = &status.capacity_summary.models[0];
    assert!(model.detail.as_ref().unwrap().contains("503") && !model.reachable, "{model:?}");
}
