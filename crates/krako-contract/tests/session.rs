//! A session from the engine to the wire and back into another engine: same events, same telemetry, same meaning.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "session/fabric.rs"]
mod fabric;
#[path = "session/verifier.rs"]
mod verifier;

use kora_ir::Limits;
use krako_contract::{
    Anchoring, CapabilitiesDocument, ErrorResponse, ErrorType, Event, ExecutionSession, HealthDocument,
    Progress, RequestId, SessionId, SessionReport, SessionStatus, SseReader, Submission, Taken, TenantId,
    UsageReport, WireLimits, frame, mapping, read,
};
use proptest::prelude::*;
use telemetry::Fold;

use self::fabric::{Script, Step, session};
use self::verifier::{graph, verify};

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => Just(Step::Output),
        3 => Just(Step::Mismatch),
        2 => any::<bool>().prop_map(Step::Failed),
        1 => Just(Step::TimedOut),
        1 => Just(Step::TokensExhausted),
        1 => Just(Step::Overspent),
    ];
    prop::collection::vec(step, 0..12)
}

proptest! {
    // shows C5.4, C2.6, C6.1
    #[test]
    fn what_is_published_replays_to_the_same_meaning(
        steps in steps(),
        picks in prop::collection::vec(any::<u8>(), 0..12),
        stop in prop::option::of((0_usize..12, any::<bool>())),
        fail_fast in any::<bool>(),
        cut in 1_usize..200,
    ) {
        let graph = graph(fail_fast);
        let told = session(&graph, Script { steps, picks, stop });
        // Over the wire, cut anywhere.
        let stream: String = told.events.iter().map(frame).collect();
        let mut reader = SseReader::new(WireLimits::default());
        let mut read = Vec::new();
        for chunk in stream.as_bytes().chunks(cut) {
            reader.push(chunk, &mut read).unwrap();
        }
        prop_assert_eq!(&read, &told.events);
        // The run events are those of the engine, and fold to its telemetry.
        let mut fold = Fold::new(&graph);
        let mut run_events = Vec::new();
        for event in &read {
            run_events.extend(mapping::run_events(&graph, event).unwrap());
        }
        run_events.iter().for_each(|event| fold.apply(event));
        prop_assert_eq!(&run_events, &told.run_events);
        prop_assert_eq!(&fold.finish(told.latency_ms), &told.outcome.telemetry_bundle);
        // And an engine that saw nothing but the graph and the events comes to the same.
        let outcome = verify(&graph, &read).unwrap();
        prop_assert_eq!(&outcome, &told.outcome);
    }

    // shows C5.4, C11.2
    #[test]
    fn a_session_with_an_event_dropped_or_moved_is_never_another_meaning(
        steps in steps(),
        at in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
        drop in any::<bool>(),
    ) {
        let graph = graph(false);
        let told = session(&graph, Script { steps, picks: vec![], stop: None });
        let mut events = told.events.clone();
        let event = events.remove(at.index(events.len()));
        if !drop {
            events.insert(to.index(events.len()), event);
        }
        if let Ok(outcome) = verify(&graph, &events) {
            prop_assert_eq!(outcome.semantic_digest, told.outcome.semantic_digest);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_of_events_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let limits = WireLimits::default();
        let _ = Event::read(&bytes, &limits);
        // Nearly right is worse than noise.
        let graph = graph(false);
        for event in session(&graph, Script::default()).events {
            let mut text = event.write().into_bytes();
            let at = place.index(text.len());
            text[at] = byte;
            if let Ok(event) = Event::read(&text, &limits) {
                let _ = mapping::run_events(&graph, &event);
                prop_assert_eq!(Event::read(event.write().as_bytes(), &limits), Ok(event));
            }
        }
    }
}

// The examples are of a session that the engine makes, so that nobody has to take their word for it.
#[test]
fn the_examples_are_a_session_of_the_engine() {
    let graph = graph(false);
    let steps = vec![Step::Output, Step::Mismatch, Step::Output, Step::Output];
    let told = session(&graph, Script { steps, picks: vec![], stop: None });
    let text: String = told.events.iter().map(|event| event.write() + "\n").collect();
    example("events.jsonl", &text);
    let mut intake = told.intake(&graph);
    assert!(told.events.iter().all(|event| intake.take(event) == Ok(Taken::New)));
    assert!(intake.has_ended());

    let report = told.report(&graph);
    assert_eq!(report.check(), Ok(()));
    assert_eq!(
        mapping::compare(&graph, &told.outcome.telemetry_bundle, report.telemetry.as_ref().unwrap()),
        Ok(vec![])
    );
    example("session-success.json", &pretty(&report));
    let running = SessionReport {
        status: SessionStatus::Running,
        progress: Progress { total: 4, waiting: 2, running: 1, completed: 1, failed: 0, skipped: 0 },
        last_sequence: 8,
        stop_reason: None,
        final_output: None,
        telemetry: None,
        semantic_digest: None,
        ..report
    };
    assert_eq!(running.check(), Ok(()));
    example("session-running.json", &pretty(&running));

    let (request, tenant) =
        (RequestId::new(graph.request_id().unwrap()), TenantId::new(graph.tenant_id().unwrap()));
    let id = SessionId::new("ses_1").unwrap();
    let told = mapping::execution_session(&graph, id, request.unwrap(), tenant.unwrap()).unwrap();
    assert_eq!(mapping::audit(&graph, &told), Ok(()));
    example("execution-session.json", &pretty(&told));
}

// shows C5.1, C5.2
#[test]
fn every_example_is_read_by_the_types() {
    let limits = WireLimits::default();
    let of = |name: &str| std::fs::read(format!("{EXAMPLES}/{name}")).unwrap();
    let submission =
        Submission::read(&of("submission.json"), &limits, &Limits::default(), Anchoring::InGraph).unwrap();
    assert_eq!(submission.graph().digest(), graph(false).digest());
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

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");

fn pretty(document: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(document).unwrap() + "\n"
}

/// Holds an example against what it must be; with `BLESS` in the environment, writes it anew.
fn example(name: &str, text: &str) {
    let path = format!("{EXAMPLES}/{name}");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), text, "`{name}` is written anew with BLESS=1");
}
