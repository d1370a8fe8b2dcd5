//! The event log over a disk that fails: what was acknowledged is there, and nothing that was not written is.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use krako_contract::{
    Claimed, Event, EventId, GraphId, Happening, RequestId, Sequence, SessionEnded, SessionEvent, SessionId,
    SessionStarted, Sha256Text, StopReason, TenantId, Timestamp, UnitEvent, UnitHappening, WorkUnitId,
};
use krako_fabric::{
    AppendError, BadBatch, EventLog, FileReader, FileStorage, LogError, LogLimits, LogReader, MemoryDisk,
    NotBegun, Opened, SegmentNumber, Standing, Submitted,
};
use proptest::prelude::*;
use tokio::task::JoinSet;

fn at() -> Timestamp {
    Timestamp::new("2026-03-09T07:41:00Z").unwrap()
}

fn digest() -> Sha256Text {
    Sha256Text::new(&format!("sha256:{}", "0".repeat(64))).unwrap()
}

fn session(nth: u8) -> SessionId {
    SessionId::new(&format!("ses_{nth}")).unwrap()
}

fn submitted(nth: u8, text: &str) -> Submitted {
    Submitted {
        session: session(nth),
        tenant: TenantId::new("acme").unwrap(),
        request_id: RequestId::new(&format!("req-{nth}")).unwrap(),
        graph_digest: digest(),
        at: at(),
        text: text.to_owned(),
    }
}

/// The event of this number. The first starts its session, and `ends` says whether it is the last.
fn event(nth: u8, number: u64, ends: bool) -> Event {
    let happening = if ends {
        Happening::Session(SessionEvent::Completed(SessionEnded {
            stop_reason: Some(StopReason::Success),
            failure: None,
            session_latency_ms: 5,
            semantic_digest: digest(),
        }))
    } else if number == 1 {
        Happening::Session(SessionEvent::Started(SessionStarted { graph_digest: digest(), region: None }))
    } else {
        Happening::Unit(UnitHappening {
            work_unit_id: WorkUnitId::new("message").unwrap(),
            attempt_index: 0,
            event: UnitEvent::Claimed(Claimed::default()),
        })
    };
    Event {
        event_id: EventId::new(&format!("evt_ses_{nth}.{number}")).unwrap(),
        timestamp: at(),
        execution_session_id: session(nth),
        graph_id: GraphId::new("support-reply").unwrap(),
        sequence: Sequence::new(number).unwrap(),
        happening,
    }
}

fn events(nth: u8, numbers: std::ops::RangeInclusive<u64>) -> Vec<Event> {
    numbers.map(|number| event(nth, number, false)).collect()
}

fn small() -> LogLimits {
    LogLimits { segment_bytes: 2000, ..LogLimits::default() }
}

async fn open(disk: &MemoryDisk) -> Result<(EventLog, Opened), LogError> {
    EventLog::open(disk.attach()?, small(), at()).await
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(test)
}

// shows C5.4
#[tokio::test]
async fn what_was_appended_is_there_after_it_was_closed() {
    let disk = MemoryDisk::default();
    let (log, opened) = open(&disk).await.unwrap();
    assert_eq!((opened.epoch, opened.sessions.len(), &opened.cut), (1, 0, &None));
    log.append_submission(&submitted(1, "{\"a\": \"ä\\n\"}")).await.unwrap();
    log.append_events(&session(1), &events(1, 1..=3)).await.unwrap();
    log.append_events(&session(1), &events(1, 4..=4)).await.unwrap();
    log.append_submission(&submitted(2, "{}")).await.unwrap();
    log.append_events(&session(2), &[event(2, 1, false), event(2, 2, true)]).await.unwrap();
    let after = |number| Some(Sequence::new(number).unwrap());
    let page = log.read_events(&session(1), after(1), 2).await.unwrap();
    assert_eq!((page.events, page.ended), (events(1, 2..=3), false));
    let page = log.read_events(&session(1), after(9), 2).await.unwrap();
    assert_eq!((page.events, page.ended), (vec![], false));
    assert!(log.read_events(&session(2), after(1), 2).await.unwrap().ended);
    log.close().await;
    assert_eq!(log.append_events(&session(1), &events(1, 5..=5)).await, Err(AppendError::Closed));
    drop(log);

    let (log, opened) = open(&disk).await.unwrap();
    assert_eq!((opened.epoch, &opened.cut), (2, &None));
    let standing: Vec<_> = opened.sessions.into_iter().map(|recorded| recorded.standing).collect();
    let open = Standing::Open { text: "{\"a\": \"ä\\n\"}".to_owned(), events: events(1, 1..=4) };
    assert_eq!(standing, [open, Standing::Ended { last: Sequence::new(2).unwrap() }]);
    assert_eq!(log.read_submission(&session(2)).await.unwrap(), submitted(2, "{}"));
    assert_eq!(log.read_events(&session(2), None, 9).await.unwrap().events.len(), 2);
}

/// What is known of a session by whoever appended.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Whether its submission was sent to the log, and whether the log said that it is durable.
    submitted: (bool, bool),
    /// Its last event that was sent, and the last that is durable.
    events: (u64, u64),
}

/// Appends to several sessions at once; true of each means two events, false one.
async fn append(log: &Arc<EventLog>, known: &mut BTreeMap<u8, Known>, writes: &BTreeMap<u8, bool>) {
    let mut tasks = JoinSet::new();
    for (&nth, &two) in writes {
        let session_known = known.entry(nth).or_default();
        let (log, before) = (Arc::clone(log), *session_known);
        let last = before.events.1 + if two { 2 } else { 1 };
        // A log that stopped writes nothing more.
        if log.stopped().is_none() && before.submitted.1 {
            session_known.events.0 = last;
        } else if log.stopped().is_none() {
            session_known.submitted.0 = true;
        }
        tasks.spawn(async move {
            let result = if before.submitted.1 {
                log.append_events(&session(nth), &events(nth, before.events.1 + 1..=last)).await
            } else {
                log.append_submission(&submitted(nth, "{}")).await
            };
            (nth, last, result)
        });
    }
    while let Some(done) = tasks.join_next().await {
        let (nth, last, result) = done.unwrap();
        let known = known.get_mut(&nth).unwrap();
        match result {
            Ok(()) if known.submitted.1 => known.events.1 = last,
            Ok(()) => known.submitted.1 = true,
            Err(AppendError::Stopped(_) | AppendError::Full(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

/// Holds what a log has against what is known, and knows it from then on.
fn compare(known: &mut BTreeMap<u8, Known>, opened: &Opened) {
    let mut found: BTreeMap<u8, u64> = BTreeMap::new();
    for recorded in &opened.sessions {
        let nth: u8 = recorded.session.as_str().strip_prefix("ses_").unwrap().parse().unwrap();
        let Standing::Open { text, events: recorded } = &recorded.standing else { panic!("nothing ended") };
        assert_eq!(text, "{}");
        let last = recorded.len() as u64;
        assert_eq!(*recorded, events(nth, 1..=last));
        found.insert(nth, last);
    }
    for (&nth, known) in known.iter_mut() {
        match found.remove(&nth) {
            None => assert!(!known.submitted.1, "the submission of {nth} was durable"),
            Some(last) => {
                assert!(known.submitted.0, "nobody submitted {nth}");
                let (sent, durable) = known.events;
                assert!(last == durable || last == sent, "{nth}: {last} of {durable} durable, {sent} sent");
                *known = Known { submitted: (true, true), events: (last, last) };
            }
        }
        if !known.submitted.1 {
            *known = Known::default();
        }
    }
    assert!(found.is_empty(), "nobody submitted {found:?}");
}

/// One life of a process: what it appends, and after how many bytes it dies, in a power failure or not.
type Life = (Vec<BTreeMap<u8, bool>>, u64, Option<u64>);

fn lives() -> impl Strategy<Value = Vec<Life>> {
    let writes = prop::collection::vec(prop::collection::btree_map(0_u8..5, any::<bool>(), 1..5), 1..8);
    prop::collection::vec((writes, 0_u64..6000, any::<Option<u64>>()), 1..5)
}

/// Where in a segment the header and each record end.
fn ends_of_records(bytes: &[u8]) -> Vec<usize> {
    let mut ends = vec![32];
    while let Some(length) = bytes.get(ends[ends.len() - 1]..).and_then(|rest| rest.first_chunk::<4>()) {
        ends.push(ends[ends.len() - 1] + 16 + u32::from_le_bytes(*length) as usize);
    }
    ends
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    // shows C5.4
    #[test]
    fn a_crash_at_any_byte_loses_nothing_that_was_acknowledged(lives in lives(), short in 1_usize..600) {
        run(async {
            let disk = MemoryDisk::default();
            disk.shorten_reads(short);
            let mut known = BTreeMap::new();
            let mut epochs = 0;
            for (writes, bytes, power) in lives {
                let (log, opened) = open(&disk).await.unwrap();
                assert!(opened.epoch > epochs, "an epoch is never given twice");
                epochs = opened.epoch;
                compare(&mut known, &opened);
                let log = Arc::new(log);
                disk.die_after(bytes);
                for writes in writes {
                    append(&log, &mut known, &writes).await;
                }
                match power {
                    Some(seed) => disk.crash(seed),
                    None => disk.kill(),
                }
            }
            let (_log, opened) = open(&disk).await.unwrap();
            compare(&mut known, &opened);
        });
    }

    #[test]
    fn opening_itself_may_crash_at_any_byte(writes in lives(), deaths in prop::collection::vec((0_u64..400, any::<u64>()), 1..6)) {
        run(async {
            let disk = MemoryDisk::default();
            let mut known = BTreeMap::new();
            let log = Arc::new(open(&disk).await.unwrap().0);
            for writes in writes.iter().flat_map(|life| &life.0) {
                append(&log, &mut known, writes).await;
            }
            disk.kill();
            for (bytes, seed) in deaths {
                let storage = disk.attach().unwrap();
                disk.die_after(bytes);
                drop(EventLog::open(storage, small(), at()).await);
                disk.crash(seed);
            }
            compare(&mut known, &open(&disk).await.unwrap().1);
        });
    }

    #[test]
    fn a_power_failure_during_a_sync_loses_what_nobody_was_told_of(
        before in lives(), last in prop::collection::btree_map(0_u8..5, any::<bool>(), 1..5), seed: u64,
    ) {
        run(async {
            let disk = MemoryDisk::default();
            let mut known = BTreeMap::new();
            let log = Arc::new(open(&disk).await.unwrap().0);
            for writes in before.iter().flat_map(|life| &life.0) {
                append(&log, &mut known, writes).await;
            }
            disk.delay_syncs(Duration::from_millis(10));
            let fails = async {
                tokio::time::sleep(Duration::from_millis(5)).await;
                disk.crash(seed);
            };
            tokio::join!(append(&log, &mut known, &last), fails);
            assert!(log.stopped().is_some());
            compare(&mut known, &open(&disk).await.unwrap().1);
        });
    }

    #[test]
    fn a_full_disk_refuses_and_goes_on_when_there_is_room(
        lives in lives(), rooms in prop::collection::vec(0_u64..3000, 1..6), seed: u64,
    ) {
        run(async {
            let disk = MemoryDisk::default();
            let mut known = BTreeMap::new();
            let log = Arc::new(open(&disk).await.unwrap().0);
            let mut rooms = rooms.into_iter().cycle();
            for (writes, _, _) in &lives {
                disk.leave_room(rooms.next());
                for writes in writes {
                    append(&log, &mut known, writes).await;
                    // Nothing of what was refused is there.
                    for known in known.values_mut() {
                        known.events.0 = known.events.1;
                        known.submitted.0 = known.submitted.1;
                    }
                }
                disk.leave_room(None);
                for writes in writes {
                    append(&log, &mut known, writes).await;
                    assert!(known.iter().all(|(nth, known)| !writes.contains_key(nth) || known.submitted.1));
                }
            }
            assert_eq!(log.stopped(), None);
            // The last thing that happens is that there is no room.
            disk.leave_room(rooms.next());
            let all: BTreeMap<u8, bool> = (0..5).map(|nth| (nth, true)).collect();
            append(&log, &mut known, &all).await;
            for known in known.values_mut() {
                known.events.0 = known.events.1;
                known.submitted.0 = known.submitted.1;
            }
            disk.crash(seed);
            disk.leave_room(None);
            let opened = open(&disk).await.unwrap().1;
            assert_eq!(opened.cut, None);
            compare(&mut known, &opened);
        });
    }

    #[test]
    fn damage_is_told_by_file_and_place(lives in lives(), segment: prop::sample::Index, place: prop::sample::Index, bit in 0..8) {
        run(async {
            let disk = MemoryDisk::default();
            let mut known = BTreeMap::new();
            let log = Arc::new(open(&disk).await.unwrap().0);
            for writes in lives.iter().flat_map(|life| &life.0) {
                append(&log, &mut known, writes).await;
            }
            log.close().await;
            drop(log);
            let before = open(&disk).await.unwrap().1.sessions;
            let numbers: Vec<SegmentNumber> =
                (1..).map(|number| SegmentNumber::new(number).unwrap()).take_while(|number| disk.bytes(*number).is_some()).collect();
            let number = *segment.get(&numbers);
            let is_last = Some(&number) == numbers.last();
            let mut bytes = disk.bytes(number).unwrap();
            let place = place.index(bytes.len());
            bytes[place] ^= 1_u8 << bit;
            disk.replace(number, Some(bytes));
            disk.kill();
            match open(&disk).await {
                Err(LogError::Damaged { file, offset, .. }) => {
                    assert_eq!(file, format!("memory/{number}"));
                    assert!(offset <= place as u64, "{offset} {place}");
                }
                Err(LogError::Version { file, .. }) => assert_eq!(file, format!("memory/{number}")),
                Err(other) => panic!("{other}"),
                // The last write of all may be one that was never finished; it was that the log was opened.
                Ok((_, opened)) => {
                    let cut = opened.cut.expect("the damage is told");
                    assert!(is_last && cut.offset <= place as u64);
                    assert_eq!(opened.sessions, before);
                }
            }
        });
    }

    #[test]
    fn a_segment_that_is_short_or_gone_is_missed(lives in lives(), segment: prop::sample::Index, left: prop::sample::Index, how: u8) {
        run(async {
            let disk = MemoryDisk::default();
            let mut known = BTreeMap::new();
            let log = Arc::new(open(&disk).await.unwrap().0);
            for writes in lives.iter().flat_map(|life| &life.0) {
                append(&log, &mut known, writes).await;
            }
            disk.kill();
            let numbers: Vec<SegmentNumber> =
                (1..).map(|number| SegmentNumber::new(number).unwrap()).take_while(|number| disk.bytes(*number).is_some()).collect();
            // All but the last: what the last one lost at its end may never have been finished.
            let [earlier @ .., _] = &numbers[..] else { return };
            if earlier.is_empty() {
                return;
            }
            let number = *segment.get(earlier);
            let bytes = disk.bytes(number).unwrap();
            // Anywhere, or behind a whole record: then what is missing is not to be seen in this segment.
            let ends = ends_of_records(&bytes);
            let left = if how % 3 == 0 { left.index(bytes.len()) } else { *left.get(&ends[..ends.len() - 1]) };
            disk.replace(number, (how % 5 > 0).then(|| bytes[..left].to_vec()));
            let error = open(&disk).await.unwrap_err();
            assert!(matches!(error, LogError::Damaged { .. }), "{error}");
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    // As a simulated network takes a host away: its runtime is dropped with everything on it, at any moment of its time.
    #[test]
    fn a_host_that_vanishes_loses_nothing_that_was_acknowledged(
        lives in prop::collection::vec((lives(), 1_u64..200, any::<u64>()), 1..4),
    ) {
        let disk = MemoryDisk::default();
        disk.delay_syncs(Duration::from_millis(3));
        let mut known = BTreeMap::new();
        for (life, milliseconds, seed) in lives {
            run(async {
                let host = async {
                    let (log, opened) = open(&disk).await.unwrap();
                    compare(&mut known, &opened);
                    let log = Arc::new(log);
                    for writes in life.iter().flat_map(|life| &life.0) {
                        append(&log, &mut known, writes).await;
                    }
                };
                drop(tokio::time::timeout(Duration::from_millis(milliseconds), host).await);
            });
            disk.crash(seed);
        }
        run(async { compare(&mut known, &open(&disk).await.unwrap().1) });
    }
}

#[test]
fn who_waits_shares_a_sync() {
    run(async {
        let disk = MemoryDisk::default();
        disk.delay_syncs(Duration::from_millis(10));
        let (log, _) = EventLog::open(disk.attach().unwrap(), LogLimits::default(), at()).await.unwrap();
        let (log, begun) = (Arc::new(log), tokio::time::Instant::now());
        let mut tasks = JoinSet::new();
        for nth in 0..200 {
            let log = Arc::clone(&log);
            tasks.spawn(async move { log.append_submission(&submitted(nth, "{}")).await });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap().unwrap();
        }
        // The first one's, and one for all that came meanwhile.
        assert!(begun.elapsed() <= Duration::from_millis(22), "{:?}", begun.elapsed());
    });
}

#[tokio::test]
async fn what_does_not_continue_a_session_is_refused_and_the_log_goes_on() {
    let disk = MemoryDisk::default();
    let (log, _) = open(&disk).await.unwrap();
    let none = log.append_events(&session(1), &events(1, 1..=1)).await;
    assert_eq!(none, Err(AppendError::NoSession(session(1))));
    log.append_submission(&submitted(1, "{}")).await.unwrap();
    let twice = log.append_submission(&submitted(1, "{}")).await;
    assert_eq!(twice, Err(AppendError::Exists(session(1))));
    let refused = async |events: &[Event]| match log.append_events(&session(1), events).await {
        Err(AppendError::Batch { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&[]).await, BadBatch::Empty);
    assert_eq!(refused(&events(1, 2..=2)).await, BadBatch::Order { expected: 1, found: 2 });
    assert_eq!(refused(&events(2, 1..=1)).await, BadBatch::OtherSession(1));
    assert_eq!(
        refused(&[event(1, 1, false), event(1, 3, false)]).await,
        BadBatch::Order { expected: 2, found: 3 }
    );
    assert_eq!(refused(&[event(1, 1, true), event(1, 2, false)]).await, BadBatch::AfterEnd(2));
    log.append_events(&session(1), &[event(1, 1, false), event(1, 2, true)]).await.unwrap();
    assert_eq!(refused(&events(1, 3..=3)).await, BadBatch::AfterEnd(3));
    assert_eq!(log.last(&session(1)), Some((2, true)));
    assert!(matches!(log.read_events(&session(9), None, 1).await, Err(LogError::NoSession(_))));
}

#[tokio::test]
async fn a_bound_is_told_and_what_was_taken_can_still_end() {
    let disk = MemoryDisk::default();
    let limits = LogLimits { max_log_bytes: 700, max_record_bytes: 1000, ..LogLimits::default() };
    let (log, _) = EventLog::open(disk.attach().unwrap(), limits, at()).await.unwrap();
    let large = log.append_submission(&submitted(1, &"x".repeat(1000))).await;
    assert!(matches!(large, Err(AppendError::TooLarge { max: 1000, .. })), "{large:?}");
    log.append_submission(&submitted(1, "{}")).await.unwrap();
    let full = log.append_submission(&submitted(2, &"x".repeat(300))).await;
    assert!(matches!(&full, Err(AppendError::Full(why)) if why.contains("max_log_bytes")), "{full:?}");
    for number in 1..10 {
        log.append_events(&session(1), &events(1, number..=number)).await.unwrap();
    }
}

#[tokio::test]
async fn a_session_is_begun_with_its_first_events_or_as_far_as_is_told() {
    let disk = MemoryDisk::default();
    let limits = LogLimits { max_log_bytes: 2000, max_record_bytes: 1000, ..LogLimits::default() };
    let (log, _) = EventLog::open(disk.attach().unwrap(), limits, at()).await.unwrap();
    log.append_session(&submitted(1, "{}"), &events(1, 1..=2)).await.unwrap();
    assert_eq!(log.last(&session(1)), Some((2, false)));

    let twice = log.append_session(&submitted(1, "{}"), &events(1, 1..=2)).await;
    assert_eq!(twice, Err(NotBegun::Submission(AppendError::Exists(session(1)))));
    let large = log.append_session(&submitted(2, &"x".repeat(1000)), &events(2, 1..=2)).await;
    assert!(matches!(large, Err(NotBegun::Submission(AppendError::TooLarge { .. }))), "{large:?}");
    assert_eq!(log.last(&session(2)), None);

    let large = log.append_session(&submitted(2, "{}"), &events(2, 1..=9)).await;
    assert!(matches!(large, Err(NotBegun::Events(AppendError::TooLarge { .. }))), "{large:?}");
    let gap = log.append_session(&submitted(3, "{}"), &events(3, 2..=3)).await.unwrap_err();
    assert!(matches!(gap.cause(), AppendError::Batch { .. }));
    for nth in [2, 3] {
        assert_eq!(log.last(&session(nth)), Some((0, false)));
        log.append_events(&session(nth), &events(nth, 1..=1)).await.unwrap();
    }
    let full = log.append_session(&submitted(4, &"x".repeat(700)), &events(4, 1..=1)).await;
    assert!(matches!(full, Err(NotBegun::Submission(AppendError::Full(_)))), "{full:?}");
    assert_eq!(log.last(&session(4)), None);
}

#[test]
fn a_session_and_its_first_events_cost_one_sync() {
    run(async {
        let disk = MemoryDisk::default();
        let (log, _) = open(&disk).await.unwrap();
        disk.delay_syncs(Duration::from_millis(10));
        let begun = tokio::time::Instant::now();
        log.append_session(&submitted(1, "{}"), &events(1, 1..=2)).await.unwrap();
        assert!(begun.elapsed() <= Duration::from_millis(12), "{:?}", begun.elapsed());
    });
}

#[tokio::test]
async fn a_disk_that_fails_stops_the_log_until_it_is_opened_again() {
    let disk = MemoryDisk::default();
    let (log, _) = open(&disk).await.unwrap();
    log.append_submission(&submitted(1, "{}")).await.unwrap();
    disk.break_writes(Some("i/o error"));
    let broken = log.append_events(&session(1), &events(1, 1..=1)).await;
    assert!(matches!(&broken, Err(AppendError::Stopped(why)) if why.contains("i/o error")), "{broken:?}");
    disk.break_writes(None);
    assert_eq!(log.append_events(&session(1), &events(1, 1..=1)).await, broken);
    assert!(log.stopped().is_some());
    assert_eq!(log.read_submission(&session(1)).await.unwrap(), submitted(1, "{}"));
    drop(log);
    disk.kill();
    let (log, opened) = open(&disk).await.unwrap();
    assert!(opened.cut.is_some());
    log.append_events(&session(1), &events(1, 1..=1)).await.unwrap();
}

#[tokio::test]
async fn a_log_has_one_writer_and_any_number_of_readers() {
    let directory = tempfile::tempdir().unwrap();
    let files = || FileStorage::open(directory.path());
    let (log, _) = EventLog::open(files().unwrap(), small(), at()).await.unwrap();
    let second = files().unwrap_err().to_string();
    assert!(second.contains(&format!("(pid {})", std::process::id())), "{second}");
    log.append_submission(&submitted(1, "{}")).await.unwrap();
    for number in 1..20 {
        log.append_events(&session(1), &events(1, number..=number)).await.unwrap();
    }
    let reader = LogReader::open(FileReader::new(directory.path())).await.unwrap();
    assert_eq!((reader.sessions(), reader.unfinished()), (vec![(session(1), false)], None));
    assert_eq!(reader.read_events(&session(1)).await.unwrap(), events(1, 1..=19));
    log.close().await;
    drop(log);
    // It had become more than one file; the last of them lost a byte.
    let names = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
    let last = names.filter(|path| path.extension().is_some()).max().unwrap();
    assert_ne!(last.file_name().unwrap(), "00000001.kfl");
    let bytes = std::fs::read(&last).unwrap();
    std::fs::write(&last, &bytes[..bytes.len() - 1]).unwrap();
    let (log, opened) = EventLog::open(files().unwrap(), small(), at()).await.unwrap();
    let cut = opened.cut.unwrap();
    assert_eq!((cut.file, cut.bytes + cut.offset), (last.display().to_string(), bytes.len() as u64 - 1));
    assert_eq!(opened.epoch, 2);
    log.append_events(&session(1), &events(1, 19..=19)).await.unwrap();
    assert_eq!(log.read_events(&session(1), None, 100).await.unwrap().events, events(1, 1..=19));
}

// For whoever measures: `cargo test --release -p krako-fabric --test event_log -- --ignored --nocapture`.
#[test]
#[ignore = "measures the disk of the machine"]
fn records_per_second() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    runtime.block_on(async {
        for appenders in [1_u8, 8, 64] {
            let directory = tempfile::tempdir_in(".").unwrap();
            let storage = FileStorage::open(directory.path()).unwrap();
            let (log, _) = EventLog::open(storage, LogLimits::default(), at()).await.unwrap();
            let log = Arc::new(log);
            let begun = std::time::Instant::now();
            let mut tasks = JoinSet::new();
            for nth in 0..appenders {
                let log = Arc::clone(&log);
                tasks.spawn(async move {
                    log.append_submission(&submitted(nth, "{}")).await.unwrap();
                    let mut number = 0;
                    while begun.elapsed() < Duration::from_secs(3) {
                        number += 1;
                        log.append_events(&session(nth), &events(nth, number..=number)).await.unwrap();
                    }
                    number
                });
            }
            let mut records = 0;
            while let Some(done) = tasks.join_next().await {
                records += done.unwrap();
            }
            #[expect(clippy::print_stdout, reason = "this is what it is for")]
            {
                println!(
                    "{appenders} appenders: {} records/s",
                    records * 1000 / u64::try_from(begun.elapsed().as_millis()).unwrap()
                );
            }
        }
    });
}
