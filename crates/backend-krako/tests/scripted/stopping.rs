//! A run that nobody wants any more (S13).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::server::{Piece, Reply};
use crate::session::{record, small};
use crate::world::{Asked, World, events, given_up, run};

#[tokio::test]
async fn a_run_that_is_dropped_is_cancelled_at_the_fabric_once() {
    let recorded = record(&small(), "run 7", 0);
    let first = recorded.stream(None).split_inclusive("\n\n").next().unwrap().to_owned();
    let world = World::start(recorded, move |asked, _, _| {
        let begun = Piece::Bytes(first.clone().into_bytes());
        (asked == Asked::Events).then(|| events(vec![begun, Piece::Silence]))
    })
    .await;
    let backend = world.backend().await;
    let graph = small();
    tokio::select! {
        result = run(&backend, &graph) => panic!("it ended: {result:?}"),
        () = world.until_asked(Asked::Events) => {}
    }
    world.until_asked(Asked::Cancel).await;
    // Whatever else there was to send has been sent.
    backend_api::ExecutionBackend::health_check(&backend).await;
    assert_eq!(world.count(Asked::Cancel), 1);
    assert_eq!(world.count(Asked::Execute), 1);
}

#[tokio::test]
async fn a_run_that_is_dropped_while_it_is_submitted_is_cancelled_when_it_is_known() {
    let recorded = record(&small(), "run 7", 0);
    let accepted = krako_contract::write(&recorded.accepted);
    let gone = Arc::new(AtomicBool::new(false));
    let held = Arc::clone(&gone);
    let world = World::start(recorded, move |asked, _, _| {
        // The answer is held back until the caller is gone.
        let pieces = vec![Piece::Until(Arc::clone(&held)), Piece::Bytes(accepted.clone().into_bytes())];
        (asked == Asked::Execute).then(|| Reply { pieces, ..Reply::json(202, "") })
    })
    .await;
    let backend = world.backend().await;
    let graph = small();
    tokio::select! {
        result = run(&backend, &graph) => panic!("it ended: {result:?}"),
        () = world.until_asked(Asked::Execute) => {}
    }
    gone.store(true, Ordering::Relaxed);
    world.until_asked(Asked::Cancel).await;
    assert_eq!(world.count(Asked::Events), 0);
}

#[tokio::test]
async fn a_session_that_somebody_else_cancelled_is_no_success() {
    let graph = small();
    let recorded = crate::session::cancelled(&graph, "run 7");
    let world = World::start(recorded, |_, _, _| None).await;
    let result = run(&world.backend().await, &graph).await.unwrap();
    assert_eq!(given_up(&result), "the session was cancelled, and not by this caller");
    assert_eq!(world.count(Asked::Cancel), 0);
}
