//! What is left when the last session has ended: reports, bills and a log, which must say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use krako_contract::{Event, Happening, SessionId, UnitEvent, UnitStatus, UsageReport, write};
use krako_fabric::{
    EventLog, FileReader, FileStorage, Ledger, LogLimits, LogReader, ReplayOptions, Replayed, Sessions,
    SystemWallClock, WallClock, replay,
};
use krako_transport::{Call, Client};

use crate::fleet::{Fleet, TENANTS};
use crate::load::Load;
use crate::{agreed, support};

/// Holds everything that is left against everything else, and ends the fabric in between.
pub(crate) async fn judge(fleet: &Fleet, load: &Load) {
    let folder = fleet.folder.path().join(agreed::LOG);
    let live = reports(fleet, &LogReader::open(FileReader::new(&folder)).await.unwrap(), load).await;
    let usage = usage(fleet).await;
    fleet.end();

    let log = LogReader::open(FileReader::new(&folder)).await.unwrap();
    assert!(log.unfinished().is_none(), "{:?}", log.unfinished());
    assert_eq!(log.sessions().len() as u64, load.sessions, "each submission is one session");
    let options = ReplayOptions { prices: agreed::prices(), ..ReplayOptions::default() };
    let (mut folded, mut lines, mut again) = (Ledger::default(), BTreeMap::<&str, Vec<_>>::new(), 0);
    for number in 0..load.sessions {
        let (tenant, run, fixture, expected) = load.session(number);
        let (session, text) = &live[&run];
        let replayed = replay(&log, session, &options).await.unwrap();
        assert_eq!(replayed.submitted.tenant.as_str(), tenant, "{run}");
        assert_eq!(write(&replayed.report), *text, "{run} of {}", fixture.name);
        let outcome = replayed.outcome.as_ref().unwrap();
        assert_eq!(outcome.semantic_digest.to_string(), expected.digest, "{run} of {}", fixture.name);
        once(&run, &replayed);
        let events = log.read_events(session).await.unwrap();
        again += claimed_again(&events);
        folded.fold(events.iter().map(|event| (&replayed.submitted.tenant, event))).unwrap();
        lines.entry(tenant).or_default().extend(replayed.lines);
    }
    println!("{again} claims were lost and given again");

    // The log opens, whole, and bills what was told.
    let storage = FileStorage::open(&folder).unwrap();
    let now = SystemWallClock::default().now();
    let (log, opened) = EventLog::open(storage, LogLimits::default(), now).await.unwrap();
    assert!(opened.cut.is_none(), "{:?}", opened.cut);
    println!("the log was opened {} times", opened.epoch);
    assert!(opened.ledger == folded, "the ledger is not what its log comes to");
    for tenant in TENANTS {
        let (id, live) = (support::tenant(tenant), &usage[tenant]);
        let told = opened.ledger.usage(&id, &live.period_start, &agreed::prices(), 100_000);
        assert_eq!(write(&told), write(live), "{tenant}");
        let mut billed: Vec<_> = opened.ledger.lines(&id).cloned().collect();
        let expected = lines.get_mut(tenant).unwrap();
        billed.sort_by(|one, other| one.event_id.cmp(&other.event_id));
        expected.sort_by(|one, other| one.event_id.cmp(&other.event_id));
        assert_eq!(billed, *expected, "{tenant}");
    }
    log.close().await;
}

/// Each unit that was done is billed once, and nothing besides.
fn once(run: &str, replayed: &Replayed) {
    let mut billed: BTreeMap<&str, usize> = BTreeMap::new();
    for line in &replayed.lines {
        *billed.entry(line.work_unit_id.as_str()).or_default() += 1;
    }
    let tasks = &replayed.report.telemetry.as_ref().unwrap().tasks;
    let done = tasks.iter().filter(|task| task.status == UnitStatus::Success);
    let expected: BTreeMap<&str, usize> = done.map(|task| (task.work_unit_id.as_str(), 1)).collect();
    assert_eq!(billed, expected, "{run}");
}

/// Claims of attempts that somebody had claimed before.
fn claimed_again(events: &[Event]) -> usize {
    let mut claimed = BTreeSet::new();
    let again = events.iter().filter(|event| match &event.happening {
        Happening::Unit(unit) if matches!(unit.event, UnitEvent::Claimed(_)) => {
            !claimed.insert((unit.work_unit_id.clone(), unit.attempt_index))
        }
        Happening::Unit(_) | Happening::Session(_) | Happening::Unknown(_) => false,
    });
    again.count()
}

/// What every session's caller is answered, byte for byte, by the name of its run.
async fn reports(fleet: &Fleet, log: &LogReader, load: &Load) -> BTreeMap<String, (SessionId, String)> {
    let callers: BTreeMap<&str, Client> = TENANTS.map(|tenant| (tenant, fleet.caller(tenant))).into();
    let mut reports = BTreeMap::new();
    for (session, _) in log.sessions() {
        let submitted = log.read_submission(&session).await.unwrap();
        let caller = &callers[submitted.tenant.as_str()];
        let text = loop {
            // Those that were killed last may not be there yet.
            match caller.request(Call::get(format!("/v1/execution/{session}"))).await {
                Ok(answer) if answer.status.is_success() => {
                    break String::from_utf8(answer.body.to_vec()).unwrap();
                }
                Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let before = reports.insert(submitted.request_id.as_str().to_owned(), (session, text));
        assert!(before.is_none(), "{} is two sessions", submitted.request_id);
    }
    assert_eq!(reports.len() as u64, load.sessions);
    reports
}

/// What each tenant is told of what it used.
async fn usage(fleet: &Fleet) -> BTreeMap<&'static str, UsageReport> {
    let sessions = fleet.sessions();
    let mut usage = BTreeMap::new();
    for tenant in TENANTS {
        usage.insert(tenant, sessions.usage(&support::tenant(tenant)).await.unwrap());
    }
    usage
}
