//! The examples and the readers: what is documented is read, and no bytes make a reader panic.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use kora_ir::{CheckedGraph, Limits};
use krako_contract::{
    Anchoring, CapabilitiesDocument, ErrorResponse, ErrorType, Event, ExecutionSession, HealthDocument,
    SessionReport, Submission, UsageReport, WireLimits, mapping, read,
};
use proptest::prelude::*;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");

fn graph() -> CheckedGraph {
    CheckedGraph::parse(include_str!("../examples/graph.json"), &Limits::default()).unwrap()
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_of_events_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let limits = WireLimits::default();
        let _ = Event::read(&bytes, &limits);
        // Nearly right is worse than noise.
        let graph = graph();
        for line in include_str!("../examples/events.jsonl").lines() {
            let mut text = line.as_bytes().to_vec();
            let at = place.index(text.len());
            text[at] = byte;
            if let Ok(event) = Event::read(&text, &limits) {
                let _ = mapping::run_events(&graph, &event);
                prop_assert_eq!(Event::read(event.write().as_bytes(), &limits), Ok(event));
            }
        }
    }
}

// shows C5.1, C5.2
#[test]
fn every_example_is_read_by_the_types() {
    let limits = WireLimits::default();
    let of = |name: &str| std::fs::read(format!("{EXAMPLES}/{name}")).unwrap();
    let submission =
        Submission::read(&of("submission.json"), &limits, &Limits::default(), Anchoring::InGraph).unwrap();
    assert_eq!(submission.graph().digest(), graph().digest());
    for name in ["session-success.json", "session-running.json"] {
        assert_eq!(read::<SessionReport>(&of(name), &limits).unwrap().check(), Ok(()), "{name}");
    }
    read::<ExecutionSession>(&of("execution-session.json"), &limits).unwrap();
    assert_eq!(read::<UsageReport>(&of("usage.json"), &limits).unwrap().check(), Ok(()));
    read::<HealthDocument>(&of("health.json"), &limits).unwrap();
    read::<CapabilitiesDocument>(&of("capabilities.json"), &limits).unwrap();
    let error = ErrorResponse::read(400, None, &of("error.json"), &limits);
    assert_eq!(error.error_type, ErrorType::VersionMismatch);
}
