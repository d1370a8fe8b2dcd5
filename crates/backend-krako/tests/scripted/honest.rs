//! A fabric that does what it says.

use std::sync::{Arc, Mutex};

use backend_api::{
    ExecutionBackend, ExecutionStatus, Extension, HealthStatus, RunObserver, StreamingExecution,
};
use kora_ir::CheckedGraph;
use krako_contract::{Anchoring, Submission};

use crate::server::Piece;
use crate::session::{SESSION, record, reply, small};
use crate::world::{Asked, TOKEN, World, asked, context, events, run};

// shows C1.2, C5.1, C5.2, C5.3, C5.5, C8.3
#[tokio::test]
async fn a_session_is_submitted_followed_and_answered() {
    let graph = reply();
    let recorded = record(&graph, "req-2026-03-09-0001", 1);
    let world = World::start(recorded.clone(), |_, _, _| None).await;
    let result = run(&world.backend().await, &graph).await.unwrap();
    assert_eq!(result.status, ExecutionStatus::Success);
    assert_eq!(result.final_output, recorded.outcome.final_output);
    assert_eq!(result.telemetry_bundle.summary(), recorded.outcome.telemetry_bundle.summary());
    assert_eq!(result.execution_metadata.semantic_digest, recorded.outcome.semantic_digest);
    assert_eq!(result.execution_metadata.run_id.as_str(), "run 7");
    let cloud = result.telemetry_bundle.cloud().unwrap();
    assert_eq!(cloud.execution_session_id.as_deref(), Some(SESSION));
    assert_eq!(cloud.region.as_deref(), Some("eu-west"));
    // The graph travelled as the text that it was.
    let heard = world.server.heard();
    let submitted = heard.iter().find(|heard| asked(heard) == Some(Asked::Execute)).unwrap();
    assert_eq!(submitted.header("prefer"), Some("wait=0"));
    let read = Submission::read(
        &submitted.body,
        &krako_contract::WireLimits::default(),
        &kora_ir::Limits::default(),
        Anchoring::InGraph,
    )
    .unwrap();
    assert_eq!(read.graph().source(), graph.source().trim());
    assert_eq!(world.server.connections(), 1, "one connection for all of it");
    // Ended sessions are not cancelled.
    assert_eq!(world.count(Asked::Cancel), 0);
}

#[derive(Debug, Default)]
struct Seen(Mutex<Vec<telemetry::Event>>);

impl RunObserver for Seen {
    fn observe(&self, _: &CheckedGraph, event: &telemetry::Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

// shows C12.1, C12.4
#[tokio::test]
async fn an_observer_sees_the_run_once_whatever_the_stream_goes_through() {
    let graph = reply();
    let recorded = record(&graph, "req-2026-03-09-0001", 2);
    let honest = World::start(recorded.clone(), |_, _, _| None).await;
    let first = Arc::new(Seen::default());
    let backend = honest.backend().await;
    let observed = backend.execute_streaming(&graph, &context(), Arc::clone(&first) as _).await.unwrap();

    let text = recorded.stream(None);
    let third = text.len() / 3;
    let cut = World::start(recorded.clone(), move |asked, times, _| {
        // Twice the beginning, then all of it from the start: everything comes again.
        let whole = text.clone().into_bytes();
        match (asked, times) {
            (Asked::Events, 0) => Some(events(vec![Piece::Bytes(whole[..third].to_vec()), Piece::Reset])),
            (Asked::Events, 1) => Some(events(vec![Piece::Bytes(whole[..2 * third].to_vec())])),
            (Asked::Events, _) => Some(events(vec![Piece::Bytes(whole)])),
            _ => None,
        }
    })
    .await;
    let second = Arc::new(Seen::default());
    let backend = cut.backend().await;
    let again = backend.execute_streaming(&graph, &context(), Arc::clone(&second) as _).await.unwrap();
    assert_eq!(again.final_output, observed.final_output);
    assert_eq!(*first.0.lock().unwrap(), *second.0.lock().unwrap());
    assert!(!first.0.lock().unwrap().is_empty());
}

// shows C3.5, C3.6
#[tokio::test]
async fn health_and_capabilities_are_the_fabrics() {
    let world = World::start(record(&small(), "run 7", 0), |_, _, _| None).await;
    let backend = world.backend().await;
    let capabilities = backend.capability_descriptor();
    assert!(capabilities.distributed && !capabilities.operations.is_empty());
    assert!(capabilities.extensions.contains(&Extension::Streaming));
    assert!(!capabilities.extensions.contains(&Extension::PartialGraph));
    let before = world.count(Asked::Capabilities);
    assert_ne!(backend.health_check().await.status, HealthStatus::Unavailable);
    assert_eq!(world.count(Asked::Capabilities), before + 1, "read anew");
}

// shows C11.4
#[tokio::test]
async fn the_token_is_sent_with_everything_and_shown_nowhere() {
    let graph = small();
    let world = World::start(record(&graph, "run 7", 0), |_, _, _| None).await;
    let backend = world.backend().await;
    let result = run(&backend, &graph).await.unwrap();
    backend.health_check().await;
    for heard in world.server.heard() {
        assert_eq!(heard.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    }
    for shown in [
        format!("{backend:?}"),
        format!("{backend:#?}"),
        format!("{:?}", world.config()),
        format!("{result:?}"),
    ] {
        assert!(!shown.contains(TOKEN), "{shown}");
    }
}
