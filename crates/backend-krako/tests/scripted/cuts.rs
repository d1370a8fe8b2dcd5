//! A connection that is lost at every byte: one session, and the same result.

use std::sync::{Arc, Mutex};

use backend_api::ExecutionStatus;
use krako_contract::write;

use crate::server::{Piece, Reply};
use crate::session::{Recorded, record, small};
use crate::world::{Asked, World, events, run};

/// After how many bytes, and by what; by nothing, the answer just ends.
type Cut = (usize, Option<Piece>);

/// Fabrics side by side: what a run waits for, the others use.
const LANES: usize = 4;

/// Runs once for each place in `text`, cut there by `cut` the first time that it is asked for.
async fn cut_everywhere(recorded: &Recorded, what: Asked, text: &str, cut: Option<Piece>, every: usize) {
    let places: Vec<usize> = (0..text.len()).step_by(every).collect();
    let lanes: Vec<_> = (0..LANES)
        .map(|lane| {
            let places = places.iter().copied().skip(lane).step_by(LANES).collect();
            tokio::spawn(cut_at(recorded.clone(), what, text.to_owned(), cut.clone(), places))
        })
        .collect();
    for lane in lanes {
        lane.await.unwrap();
    }
}

async fn cut_at(recorded: Recorded, what: Asked, text: String, cut: Option<Piece>, places: Vec<usize>) {
    let graph = small();
    // Where and how the next answer is cut, if it is.
    let next: Arc<Mutex<Option<Cut>>> = Arc::default();
    let (served, whole) = (Arc::clone(&next), text.clone().into_bytes());
    let world = World::start(recorded.clone(), move |asked, _, _| {
        if asked != what {
            return None;
        }
        let (place, cut) = served.lock().unwrap().take()?;
        let pieces = std::iter::once(Piece::Bytes(whole[..place].to_vec())).chain(cut).collect();
        Some(match what {
            Asked::Events => events(pieces),
            _ => Reply { pieces, ..Reply::json(202, "") },
        })
    })
    .await;
    let backend = world.backend().await;
    let runs = places.len();
    for place in places {
        *next.lock().unwrap() = Some((place, cut.clone()));
        let result = run(&backend, &graph).await.unwrap();
        let of = format!("cut at {place} by {cut:?}: {:?}", result.failure);
        assert_eq!(result.status, ExecutionStatus::Success, "{of}");
        assert_eq!(result.final_output, recorded.outcome.final_output, "{of}");
        assert_eq!(result.execution_metadata.semantic_digest, recorded.outcome.semantic_digest, "{of}");
    }
    assert_eq!(world.count(Asked::Cancel), 0);
    let submitted = world.count(Asked::Execute);
    assert_eq!(submitted, if what == Asked::Execute { 2 * runs } else { runs });
    // A submission that is sent again is the same to the byte.
    let bodies: std::collections::BTreeSet<_> = world
        .server
        .heard()
        .into_iter()
        .filter(|heard| heard.method == "POST")
        .map(|heard| heard.body)
        .collect();
    assert_eq!(bodies.len(), 1);
}

// shows C5.1, C5.4
#[tokio::test]
async fn a_stream_that_is_cut_at_any_byte_is_taken_up_again() {
    let recorded = record(&small(), "run 7", 0);
    let text = recorded.stream(None);
    cut_everywhere(&recorded, Asked::Events, &text, None, 1).await;
    cut_everywhere(&recorded, Asked::Events, &text, Some(Piece::Reset), 7).await;
}

#[tokio::test]
async fn a_connection_that_is_dropped_in_a_stream_is_made_again() {
    let recorded = record(&small(), "run 7", 0);
    let text = recorded.stream(None);
    cut_everywhere(&recorded, Asked::Events, &text, Some(Piece::Drop), 13).await;
    cut_everywhere(&recorded, Asked::Events, &text, Some(Piece::GoAway), 31).await;
}

// shows C5.1
#[tokio::test]
async fn a_submission_whose_answer_is_cut_at_any_byte_is_sent_again_and_is_one_session() {
    let recorded = record(&small(), "run 7", 0);
    let text = write(&recorded.accepted);
    cut_everywhere(&recorded, Asked::Execute, &text, Some(Piece::Reset), 1).await;
    cut_everywhere(&recorded, Asked::Execute, &text, Some(Piece::Drop), 13).await;
}
