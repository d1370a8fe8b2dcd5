//! The event log over a disk that fails: what was acknowledged is there, and nothing that was not written is.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use krako_contract::{
    Event, EventId, GraphId, Happening, RequestId, Sequence, SessionEnded, SessionEvent, SessionId,
    SessionStarted, Sha256Text, StopReason, TenantId, Timestamp, UnitEvent, UnitHappening, WorkUnitId,
};
use krako_fabric::{AppendError, EventLog, LogError, LogLimits, MemoryDisk, Opened, Standing, Submitted};

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
            event: UnitEvent::Claimed(krako_contract::Claimed::default()),
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
