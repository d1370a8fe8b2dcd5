//! Every lie of the session's own table, told by a fabric over TLS: found out, in the right words.

use krako_session::testing::{Story, lies};

use crate::session::Recorded;
use crate::world::{Asked, World, context, given_up};

/// What becomes of a story of the table, and whether the session was cancelled then.
async fn told(recorded: Recorded) -> (backend_api::ExecutionResult, World) {
    let mut context = context();
    context.run_id = backend_api::RunId::new(recorded.accepted.request_id.as_str()).unwrap();
    let world = World::start(recorded, |_, _, _| None).await;
    let backend = world.backend().await;
    let graph = Story::graph();
    let result = backend_api::ExecutionBackend::execute_taskgraph(&backend, &graph, &context).await;
    (result.unwrap(), world)
}

// shows C5.4, C5.5, C2.2, C2.3, C2.4, C7.6, C11.1, C11.2
#[tokio::test]
async fn every_lie_is_found_out_over_the_wire() {
    for lie in lies() {
        let expected = lie.find_out().unwrap().to_string();
        let (result, world) = told(Recorded::told(lie.tell())).await;
        assert_eq!(given_up(&result), expected, "{}", lie.name);
        // Every task has its record, whatever was made up (C8.1).
        assert_eq!(result.telemetry_bundle.iter().count(), Story::graph().tasks().len(), "{}", lie.name);
        // Nobody follows it any more.
        world.until_asked(Asked::Cancel).await;
    }
}

// shows C2.6, C6.1
#[tokio::test]
async fn the_truth_is_believed() {
    for story in Story::ALL {
        let told_story = story.tell();
        let (result, _world) = told(Recorded::told(told_story.clone())).await;
        if story == Story::Cancelled {
            assert_eq!(given_up(&result), "the session was cancelled, and not by this caller");
        } else {
            assert_eq!(result.failure, told_story.outcome.failure, "{story:?}");
            assert_eq!(result.final_output, told_story.outcome.final_output, "{story:?}");
        }
        assert_eq!(
            result.execution_metadata.semantic_digest, told_story.outcome.semantic_digest,
            "{story:?}"
        );
    }
}
