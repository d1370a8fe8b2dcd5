//! A session written and read: the same run at both ends, whatever happens in between.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../engine/tests/meaning/graphs.rs"]
mod graphs;

use engine::{AttemptOutcome, AttemptReport, Usage};
use kora_ir::{CheckedGraph, FailurePolicy, Limits};
use krako_contract::{Event, GraphId, SessionId, SessionReport, SseReader, Stopping, Timestamp, WireLimits};
use krako_contract::{
    Happening, NodeId, Progress, ScheduleReason, SessionEvent, SessionStatus, SessionStopping, Sha256Text,
    UnitEvent, UnitHappening, frame, mapping, read, write,
};
use krako_session::testing::{Script, Step, Story, Told, carry_on, play};
use krako_session::{Found, MAX_CLAIMS, NotRecoverable, SessionReader, SessionWriter, Taken, WriteRefused};
use proptest::prelude::*;
use serde_json::json;
use telemetry::Fold;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => Just(Step::Output),
        2 => Just(Step::Unsure),
        3 => Just(Step::Mismatch),
        2 => any::<bool>().prop_map(Step::Failed),
        1 => Just(Step::TimedOut),
        1 => Just(Step::TokensExhausted),
        1 => Just(Step::Overspent),
        1 => Just(Step::OverspentMismatch),
    ];
    prop::collection::vec(step, 0..24)
}

fn picks() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..40)
}

/// Random graphs with a `max_latency_ms`, so that a session can be late.
fn checked() -> impl Strategy<Value = CheckedGraph> {
    graphs::graphs(8).prop_map(|mut graph| {
        graph.budgets["max_latency_ms"] = json!(60_000);
        graph.check()
    })
}

fn script() -> impl Strategy<Value = Script> {
    let reason = prop_oneof![Just(Stopping::Cancelled), Just(Stopping::LatencyExceeded)];
    let stop = prop::option::weighted(0.4, (0_usize..8, reason));
    (steps(), picks(), stop, 0_usize..4).prop_map(|(steps, picks, stop, room)| Script {
        steps,
        picks,
        stop,
        room,
    })
}

fn session() -> SessionId {
    SessionId::new("ses_1").unwrap()
}

fn reader(graph: &CheckedGraph) -> SessionReader {
    SessionReader::new(session(), GraphId::new(graph.graph_id()).unwrap(), graph.clone())
}

/// Reads a whole session; every run event that it makes.
fn read_all(graph: &CheckedGraph, told: &Told) -> Result<(engine::RunOutcome, Vec<telemetry::Event>), Found> {
    let mut reader = reader(graph);
    let mut run_events = Vec::new();
    for event in &told.events {
        match reader.take(event)? {
            Taken::New(made) => run_events.extend(made),
            Taken::Again => {}
        }
    }
    Ok((reader.finish(&told.report)?, run_events))
}

proptest! {
    // shows C5.2, C5.3, C5.4, C2.6, C6.1
    #[test]
    fn what_is_written_is_read_as_the_same_run(graph in checked(), script in script(), cut in 1_usize..300) {
        let told = play(&session(), &graph, &script);
        // Over the wire, cut anywhere.
        let stream: String = told.events.iter().map(frame).collect();
        let mut sse = SseReader::new(WireLimits::default());
        let mut events = Vec::new();
        for chunk in stream.as_bytes().chunks(cut) {
            sse.push(chunk, &mut events).unwrap();
        }
        prop_assert_eq!(&events, &told.events);
        let report: SessionReport = read(write(&told.report).as_bytes(), &WireLimits::default()).unwrap();
        prop_assert_eq!(report.check(), Ok(()));
        let over_the_wire = Told { events, report, ..told.clone() };
        let (outcome, run_events) = read_all(&graph, &over_the_wire).unwrap();
        prop_assert_eq!(&outcome, &told.outcome);
        // What an observer saw folds to the telemetry, and so does what the fabric published.
        let fold = |run_events: &[telemetry::Event]| {
            let mut fold = Fold::new(&graph);
            run_events.iter().for_each(|event| fold.apply(event));
            fold.finish(told.outcome.telemetry_bundle.summary().total_latency_ms)
        };
        prop_assert_eq!(&fold(&run_events), &told.outcome.telemetry_bundle);
        let published: Vec<_> =
            told.events.iter().flat_map(|event| mapping::run_events(&graph, event).unwrap()).collect();
        prop_assert_eq!(&fold(&published), &told.outcome.telemetry_bundle);
    }

    // shows C2.6, C6.1
    #[test]
    fn a_session_that_is_cut_between_batches_is_taken_up_and_means_the_same(
        graph in checked(),
        script in script(),
        cut in any::<prop::sample::Index>(),
        again in any::<prop::sample::Index>(),
    ) {
        let told = play(&session(), &graph, &script);
        let mut events = told.events[..told.batches[cut.index(told.batches.len())]].to_vec();
        let recovered = SessionWriter::recover(session(), graph.clone(), events.clone()).unwrap();
        // What is open is what started and did not end.
        for attempt in &recovered.under_way {
            let named = |event: &&Event| matches!(
                &event.happening,
                Happening::Unit(unit) if unit.attempt_index == attempt.start.attempt
                    && unit.work_unit_id.as_str() == graph.task(attempt.start.task).id.as_str()
                    && matches!(unit.event, UnitEvent::Claimed(_))
            );
            prop_assert_eq!(events.iter().filter(named).count() as u32, attempt.open.claims);
        }
        let carried = carry_on(recovered, &script, events);
        let (outcome, _) = read_all(&graph, &carried).unwrap();
        if script.stop.is_none() {
            prop_assert_eq!(outcome.semantic_digest, told.outcome.semantic_digest);
            // Nothing is billed twice. What had run before a failure cut it off is billed, and depends on who was first.
            if graph.failure_policy() == FailurePolicy::ContinueOnError {
                prop_assert_eq!(&carried.report.billing, &told.report.billing);
            }
        }
        // And a second time.
        events = carried.events[..carried.batches[again.index(carried.batches.len())]].to_vec();
        let recovered = SessionWriter::recover(session(), graph.clone(), events.clone()).unwrap();
        let carried = carry_on(recovered, &script, events);
        let (outcome, _) = read_all(&graph, &carried).unwrap();
        if script.stop.is_none() {
            prop_assert_eq!(outcome.semantic_digest, told.outcome.semantic_digest);
        }
    }

    #[test]
    fn a_recovered_session_says_what_the_live_one_says(graph in checked(), script in script()) {
        let told = play(&session(), &graph, &script);
        let recovered = SessionWriter::recover(session(), graph.clone(), told.events.clone()).unwrap();
        prop_assert!(recovered.under_way.is_empty() && recovered.waiting.is_empty());
        let told_again = carry_on(recovered, &script, told.events.clone());
        prop_assert_eq!(&told_again.report, &told.report);
        prop_assert_eq!(&told_again.events, &told.events);
    }

    // shows C5.4, C11.2
    #[test]
    fn what_is_dropped_doubled_or_moved_is_found_out_or_changes_nothing(
        graph in checked(),
        script in script(),
        at in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
        how in 0_u8..3,
        renumbered in any::<bool>(),
    ) {
        let told = play(&session(), &graph, &script);
        let mut lie = told.clone();
        let at = at.index(lie.events.len());
        let event = if how == 1 { lie.events[at].clone() } else { lie.events.remove(at) };
        if how > 0 {
            lie.events.insert(to.index(lie.events.len() + 1), event);
        }
        if renumbered {
            for (nth, event) in lie.events.iter_mut().enumerate() {
                event.sequence = krako_contract::Sequence::new(nth as u64 + 1).unwrap();
            }
            lie.report.last_sequence = lie.events.len() as u64;
        }
        if let Ok((outcome, _)) = read_all(&graph, &lie) {
            prop_assert_eq!(outcome, told.outcome);
        }
    }

    // One field of one event or of the report, or one word of it, made another.
    #[test]
    fn what_is_altered_is_found_out_or_changes_nothing_that_decides(
        graph in checked(),
        script in script(),
        at in any::<prop::sample::Index>(),
        byte in any::<prop::sample::Index>(),
        to in prop_oneof![Just(b'0'), Just(b'1'), Just(b'9'), Just(b'e'), any::<u8>()],
    ) {
        let told = play(&session(), &graph, &script);
        let mut lie = told.clone();
        let limits = WireLimits::default();
        let at = at.index(lie.events.len() + 1);
        if at == lie.events.len() {
            let mut text = write(&lie.report).into_bytes();
            let place = byte.index(text.len());
            text[place] = to;
            match read(&text, &limits) {
                Ok(report) => lie.report = report,
                Err(_) => return Ok(()),
            }
            if let Ok((outcome, _)) = read_all(&graph, &lie) {
                prop_assert_eq!(outcome, told.outcome);
            }
        } else {
            let mut text = lie.events[at].write().into_bytes();
            let place = byte.index(text.len());
            text[place] = to;
            match Event::read(&text, &limits) {
                Ok(event) => lie.events[at] = event,
                Err(_) => return Ok(()),
            }
            // The digest at the end is of the outputs and of every stage; what it does not hold (times, tokens) is the
            // fabric's own word, which its report then has to repeat.
            if let Ok((outcome, _)) = read_all(&graph, &lie) {
                prop_assert_eq!(outcome.semantic_digest, told.outcome.semantic_digest);
                prop_assert_eq!(outcome.final_output, told.outcome.final_output);
            }
        }
    }

    // It knows everything, and gives the digest that its caller comes to.
    // shows C2.2, C2.3, C5.5, C7.2, C7.3
    #[test]
    fn a_fabric_that_runs_another_graph_is_found_out_unless_that_changes_nothing(
        submitted in graphs::graphs(8),
        which in any::<prop::sample::Index>(),
        how in 0_u8..9,
        script in script(),
    ) {
        let mut run = submitted.clone();
        run.budgets["max_latency_ms"] = json!(60_000);
        let graph = run.check();
        let which = which.index(run.tasks.len());
        let task = &mut run.tasks[which];
        match how {
            0 => task.retries += 1,
            1 => task.tokens = task.tokens.saturating_mul(2) + 1,
            2 => task.ms *= 1000,
            3 => task.skip_if.clear(),
            4 => task.high = !task.high,
            5 => {
                task.deps.pop();
                task.skip_if.clear();
            }
            6 => run.fail_fast = !run.fail_fast,
            7 => run.budgets = json!({"max_latency_ms": 60_000}),
            _ => task.retries = 0,
        }
        // What was left without anybody who depends on it may not be a graph any more.
        let Ok(other) = CheckedGraph::parse(&run.document().to_string(), &Limits::default()) else {
            return Ok(());
        };
        let mut told = play(&session(), &other, &script);
        if let Happening::Session(SessionEvent::Started(started)) = &mut told.events[0].happening {
            started.graph_digest = graph.digest().into();
        }
        told.report.graph_digest = graph.digest().into();
        let mut result = read_all(&graph, &told);
        if let Err(Found::End { field: "semantic_digest", own, .. }) = &result {
            let own = Sha256Text::new(own).unwrap();
            let last = told.events.last_mut().unwrap();
            if let Happening::Session(SessionEvent::Completed(said) | SessionEvent::Failed(said)) =
                &mut last.happening
            {
                said.semantic_digest = own;
            }
            told.report.semantic_digest = Some(own);
            result = read_all(&graph, &told);
        }
        if let Ok((outcome, _)) = result {
            for record in told.outcome.telemetry_bundle.tasks() {
                prop_assert_eq!(outcome.telemetry_bundle.task(record.task_id.as_str()), Some(record));
            }
            prop_assert_eq!(outcome.final_output, told.outcome.final_output);
            prop_assert_eq!(outcome.failure, told.outcome.failure);
        }
    }

    // Nothing that reads what others wrote may panic or hang.
    #[test]
    fn no_order_of_events_makes_a_reader_panic(
        graph in checked(),
        script in script(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let told = play(&session(), &graph, &script);
        let mut reader = reader(&graph);
        let mut taken = Vec::new();
        for (nth, at) in order.iter().enumerate() {
            let mut event = told.events[at.index(told.events.len())].clone();
            if nth == 0 {
                event = told.events[0].clone();
            }
            event.sequence = krako_contract::Sequence::new(nth as u64 + 1).unwrap();
            taken.push(event.clone());
            if reader.take(&event).is_err() {
                break;
            }
        }
        let _ = SessionWriter::recover(session(), graph.clone(), taken);
        let abandoned = reader.abandon(3);
        prop_assert_eq!(abandoned.outcome.telemetry_bundle.tasks().len(), graph.tasks().len());
    }

    #[test]
    fn a_run_that_is_given_up_tells_an_observer_everything(
        graph in checked(),
        script in script(),
        cut in any::<prop::sample::Index>(),
    ) {
        let told = play(&session(), &graph, &script);
        let mut reader = reader(&graph);
        let mut fold = Fold::new(&graph);
        for event in &told.events[..cut.index(told.events.len())] {
            let Taken::New(made) = reader.take(event).unwrap() else { unreachable!() };
            made.iter().for_each(|made| fold.apply(made));
        }
        let abandoned = reader.abandon(7);
        abandoned.run_events.iter().for_each(|made| fold.apply(made));
        prop_assert_eq!(fold.finish(7), abandoned.outcome.telemetry_bundle);
    }
}

#[test]
fn every_story_is_read_as_it_is_told() {
    for story in Story::ALL {
        let told = story.tell();
        let mut reader = Story::reader();
        for event in &told.events {
            reader.take(event).unwrap();
            // At least once.
            assert_eq!(reader.take(event), Ok(Taken::Again), "{story:?}");
        }
        assert_eq!(reader.status(), Some(told.report.status), "{story:?}");
        assert_eq!(reader.finish(&told.report).as_ref(), Ok(&told.outcome), "{story:?}");
    }
}

// shows C5.2
#[test]
fn a_report_of_any_moment_is_one() {
    let graph = Story::graph();
    for story in Story::ALL {
        let told = story.tell();
        for &cut in &told.batches {
            let recovered =
                SessionWriter::recover(Story::session(), graph.clone(), told.events[..cut].to_vec()).unwrap();
            let request = krako_contract::RequestId::new("r").unwrap();
            let report = recovered.writer.report_document(&request, &krako_session::Prices::default());
            assert_eq!(report.check(), Ok(()), "{story:?} {cut}");
            assert_eq!(report.last_sequence, cut as u64);
            let open = recovered.under_way.iter().filter(|attempt| attempt.open.claims > 0).count() as u64;
            assert_eq!(report.progress.running, open, "{story:?} {cut}");
            if cut == 0 {
                let nothing = Progress { total: 6, waiting: 6, ..Progress::default() };
                assert_eq!((report.status, report.progress), (SessionStatus::Accepted, nothing));
            }
        }
    }
}

#[test]
fn a_record_that_ends_within_a_batch_is_not_taken_up() {
    for story in Story::ALL {
        let told = story.tell();
        for cut in 1..=told.events.len() {
            let events = told.events[..cut].to_vec();
            // What is ready is placement: nothing has happened yet that something would follow from.
            let is_ready = matches!(
                &told.events[cut - 1].happening,
                Happening::Unit(UnitHappening { event: UnitEvent::Scheduled(scheduled), .. })
                    if scheduled.reason == ScheduleReason::Ready
            );
            let recovered = SessionWriter::recover(Story::session(), Story::graph(), events);
            if told.batches.contains(&cut) || is_ready {
                assert!(recovered.is_ok(), "{story:?} {cut}");
            } else {
                let within = NotRecoverable::WithinBatch { last: cut as u64 };
                assert_eq!(recovered.unwrap_err(), within, "{story:?} {cut}");
            }
        }
    }
}

#[test]
fn a_driver_that_is_wrong_is_told_and_changes_nothing() {
    let graph = Story::graph();
    let at = Timestamp::new("2026-03-09T07:41:00Z").unwrap();
    let node = || NodeId::new("node-1").ok();
    let mut writer = SessionWriter::new(Story::session(), graph.clone()).unwrap();
    assert_eq!(writer.end(&at, 0), Err(WriteRefused::NotBegun));
    assert_eq!(writer.next_start(&at), Ok(None));
    writer.begin(&at, None).unwrap();
    assert_eq!(writer.begin(&at, None), Err(WriteRefused::Begun(at.clone())));
    let message = graph.index_of("message").unwrap();
    assert!(matches!(writer.claimed(&at, message, 0, node()), Err(WriteRefused::NotUnderWay { .. })));
    let (start, _) = writer.next_start(&at).unwrap().unwrap();
    assert_eq!(start.task, message);
    assert!(matches!(writer.claimed(&at, message, 1, node()), Err(WriteRefused::NotUnderWay { .. })));
    assert!(matches!(writer.end(&at, 0), Err(WriteRefused::Unfinished(_))));
    for _ in 0..MAX_CLAIMS {
        writer.claimed(&at, message, 0, node()).unwrap();
    }
    assert!(matches!(writer.claimed(&at, message, 0, node()), Err(WriteRefused::TooManyClaims { .. })));
    assert!(matches!(writer.resume(&at, message, 0), Err(WriteRefused::Fact(_))));
    assert_eq!(writer.all_open().map(|(task, open)| (task, open.claims)).collect::<Vec<_>>(), [(message, 5)]);
    assert!(matches!(writer.stop(&at, Stopping::LatencyExceeded, 59_999), Err(WriteRefused::Fact(_))));
    let last = writer.last();
    assert!(!writer.stop(&at, Stopping::Cancelled, 3).unwrap().is_empty());
    assert_eq!(writer.stop(&at, Stopping::LatencyExceeded, 60_000), Ok(vec![]));
    assert_eq!(writer.take_unwanted(), [message]);
    let usage = Usage::default();
    let outcome = AttemptOutcome::Cancelled;
    let report = AttemptReport { task: message, attempt: 0, elapsed_us: 1, usage, outcome };
    let last = last.and_then(|last| last.next());
    assert_eq!(writer.last(), last);
    writer.report(&at, report.clone()).unwrap();
    // What has ended is not under way.
    assert_eq!(writer.all_open().count(), 0);
    assert!(matches!(writer.report(&at, report), Err(WriteRefused::Fact(_))));
    assert!(matches!(writer.claimed(&at, message, 0, node()), Err(WriteRefused::NotUnderWay { .. })));
    writer.end(&at, 4).unwrap();
    assert_eq!(writer.end(&at, 4), Err(WriteRefused::Ended));
    assert_eq!(writer.stop(&at, Stopping::Cancelled, 5), Ok(vec![]));
}

// Nobody says any more what its schema makes of it, and what it spent stays spent.
#[test]
fn a_reply_that_came_before_the_end_of_everything_is_counted() {
    let told = Story::Plain.tell();
    let reply = told.events.iter().position(|event| event.name() == "llm.invocation.completed").unwrap();
    let read_so_far = || {
        let mut reader = Story::reader();
        told.events[..=reply].iter().for_each(|event| drop(reader.take(event).unwrap()));
        reader
    };
    let abandoned = read_so_far().abandon(9);
    assert_eq!(abandoned.outcome.telemetry_bundle.task("draft").unwrap().tokens_out, 5);

    let mut reader = read_so_far();
    let mut stopping = told.events[reply + 1].clone();
    let stopped = SessionStopping { reason: Stopping::Cancelled, elapsed_ms: 3 };
    stopping.happening = Happening::Session(SessionEvent::Stopping(stopped));
    reader.take(&stopping).unwrap();
    assert_eq!(reader.stopping(), Some(stopped));
    let abandoned = reader.abandon(9);
    assert_eq!(abandoned.outcome.telemetry_bundle.task("draft").unwrap().tokens_out, 5);
    assert!(abandoned.run_events.iter().all(|made| !matches!(made, telemetry::Event::AttemptEnded { .. })));
}

#[test]
fn a_long_id_leaves_no_room_for_those_of_events() {
    let graph = CheckedGraph::parse(Story::GRAPH, &Limits::default()).unwrap();
    let long = SessionId::new(&"s".repeat(108)).unwrap();
    assert!(SessionWriter::new(long, graph.clone()).is_err());
    assert!(SessionWriter::new(SessionId::new(&"s".repeat(107)).unwrap(), graph).is_ok());
}
