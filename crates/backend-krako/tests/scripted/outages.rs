//! Fabrics that stall, forget, or never come to an end.

use backend_api::ExecutionStatus;
use backend_krako::{KrakoBackend, KrakoLimits};
use krako_contract::{KEEP_ALIVE, write};

use crate::server::{Piece, Reply};
use crate::session::{Recorded, record, small, timed};
use crate::world::{Asked, World, events, given_up, run};

fn recorded() -> Recorded {
    record(&small(), "run 7", 0)
}

fn unavailable() -> Reply {
    Reply::json(503, r#"{"error_type": "UNAVAILABLE", "message": "no node"}"#).header("retry-after", "0")
}

#[tokio::test]
async fn after_three_failures_in_a_row_the_session_is_asked_how_far_it_is() {
    let running = recorded().accepted;
    let world = World::start(recorded(), move |asked, times, _| match asked {
        Asked::Events if times < 4 => Some(unavailable()),
        // Not ended yet, and nothing new; then it has.
        Asked::Report if times < 3 => Some(Reply::json(200, write(&running))),
        _ => None,
    })
    .await;
    let result = run(&world.backend().await, &small()).await.unwrap();
    assert_eq!(result.status, ExecutionStatus::Success);
    assert!(world.count(Asked::Report) >= 4);
    assert_eq!(world.count(Asked::Events), 5);
}

async fn lost(
    limits: impl Fn(KrakoLimits) -> KrakoLimits,
    otherwise: impl Fn(Asked, usize) -> Option<Reply> + Send + 'static,
) -> String {
    let world = World::start(recorded(), move |asked, times, _| otherwise(asked, times)).await;
    let mut config = world.config();
    config.limits = limits(config.limits);
    config.transport.stream_idle_ms = 20;
    let backend = KrakoBackend::connect(config).await.unwrap();
    let result = run(&backend, &small()).await.unwrap();
    assert_eq!(result.telemetry_bundle.iter().count(), 1, "every task has its record (C8.1)");
    // Nobody follows it any more, so it is not to go on.
    world.until_asked(Asked::Cancel).await;
    given_up(&result).to_owned()
}

fn hasty(limits: KrakoLimits) -> KrakoLimits {
    KrakoLimits { outage_patience_ms: 60, ..limits }
}

// shows C8.1, C7.6
#[tokio::test]
async fn a_fabric_that_stays_away_is_given_up_and_said_so() {
    let said = lost(hasty, |asked, _| matches!(asked, Asked::Events | Asked::Report).then(unavailable)).await;
    assert!(said.starts_with("it was lost for 60 ms: the fabric answers 503"), "{said}");
}

#[tokio::test]
async fn a_stream_that_stalls_is_left_and_at_last_given_up() {
    let said = lost(hasty, |asked, _| match asked {
        Asked::Events => Some(events(vec![Piece::Bytes(b": hello\n\n".to_vec()), Piece::Silence])),
        Asked::Report => Some(unavailable()),
        _ => None,
    })
    .await;
    assert!(said.contains("the stream's next piece took more than 20 ms"), "{said}");
}

#[tokio::test]
async fn a_session_that_never_ends_is_given_up_when_its_time_is_over() {
    let limits = |limits| KrakoLimits { max_session_ms: 60, ..limits };
    let said = lost(limits, |asked, _| {
        let alive = Piece::Endless(KEEP_ALIVE.as_bytes().to_vec());
        (asked == Asked::Events).then(|| events(vec![alive]))
    })
    .await;
    assert!(said.starts_with("its session has not begun after 60 ms"), "{said}");
    let begun = record(&timed(), "run 7", 0);
    let first = begun.stream(None).split_inclusive("\n\n").next().unwrap().to_owned();
    let world = World::start(begun, move |asked, _, _| {
        let alive = Piece::Endless(KEEP_ALIVE.as_bytes().to_vec());
        (asked == Asked::Events).then(|| events(vec![Piece::Bytes(first.clone().into_bytes()), alive]))
    })
    .await;
    let mut config = world.config();
    config.limits = KrakoLimits { overtime_ms: 40, ..config.limits };
    let result = run(&KrakoBackend::connect(config).await.unwrap(), &timed()).await.unwrap();
    let said = given_up(&result);
    assert!(said.starts_with("its session goes on 60 ms after its first event"), "{said}");
}

#[tokio::test]
async fn nothing_is_lost_while_the_fabric_says_that_nothing_is_new() {
    let running = recorded().accepted;
    let mut streams = 0;
    let world = World::start(recorded(), move |asked, times, _| {
        streams += usize::from(asked == Asked::Events);
        match asked {
            // The stream ends before anything happens, and nothing does for longer than anybody waits for a fabric that is
            // gone.
            Asked::Events if streams == 1 => Some(events(vec![])),
            Asked::Report if streams == 1 && times < 40 => Some(Reply::json(200, write(&running))),
            _ => None,
        }
    })
    .await;
    let mut config = world.config();
    config.limits = KrakoLimits { outage_patience_ms: 5, polls_after: 0, ..config.limits };
    let backend = KrakoBackend::connect(config).await.unwrap();
    assert_eq!(run(&backend, &small()).await.unwrap().status, ExecutionStatus::Success);
}

#[tokio::test]
async fn a_session_that_is_forgotten_is_not_waited_for() {
    let forgotten = || Reply::json(404, r#"{"error_type": "NOT_FOUND", "message": "no such session"}"#);
    let said = lost(|limits| limits, move |asked, _| (asked == Asked::Events).then(forgotten)).await;
    assert!(said.contains("404") && said.contains("no such session"), "{said}");
    let expired = || Reply::json(401, r#"{"error_type": "UNAUTHENTICATED", "message": "the token is over"}"#);
    let said = lost(
        |limits| limits,
        move |asked, _| (asked == Asked::Report || asked == Asked::Events).then(expired),
    )
    .await;
    assert!(said.contains("the token is over"), "{said}");
}

#[tokio::test]
async fn events_that_are_no_stream_are_said_to_be_none() {
    let page =
        || Reply { headers: vec![("content-type", String::from("text/html"))], ..Reply::json(200, "<p>") };
    let said = lost(|limits| limits, move |asked, _| (asked == Asked::Events).then(page)).await;
    assert!(said.contains("answers its events as `text/html`"), "{said}");
}

#[tokio::test]
async fn a_stream_that_is_no_stream_of_events_is_found_out() {
    for text in ["data: {}\n\n", "id: 7\ndata: x\n\n", "data: \u{0}\n\n"] {
        let said = lost(
            |limits| limits,
            move |asked, _| {
                (asked == Asked::Events).then(|| events(vec![Piece::Bytes(text.as_bytes().to_vec())]))
            },
        )
        .await;
        assert!(said.starts_with("its stream of events cannot be read: "), "{text:?}: {said}");
    }
}

#[tokio::test]
async fn a_gap_that_stays_is_found_out() {
    let without = {
        let mut recorded = recorded();
        recorded.events.remove(2);
        recorded
    };
    let said = lost(
        |limits| limits,
        move |asked, _| {
            (asked == Asked::Events).then(|| events(vec![Piece::Bytes(without.stream(None).into_bytes())]))
        },
    )
    .await;
    assert!(said.starts_with("event 4 came where 3 was next"), "{said}");
}
