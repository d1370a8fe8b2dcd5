//! The orchestrator ends anywhere, in the middle of a write or between two, and is opened again from its log.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use krako_contract::{SessionId, SessionReport, UnitStatus};
use krako_fabric::{LogReader, ReplayOptions, Sessions, replay};
use proptest::prelude::*;
use tokio::runtime::Builder;

use crate::support::{Fabric, Fixture, config, golden, locally, same_meaning, tenant};

/// How the process ends.
#[derive(Clone, Copy, Debug)]
enum Crash {
    /// In the middle of a write, so many bytes from now.
    InBytes(u64),
    /// So many microseconds from now, whatever it is at.
    Later(u64),
    /// After so many looks at everything that is to be done.
    Turns(u32),
}

fn crashes() -> impl Strategy<Value = Vec<(Crash, u64)>> {
    let crash = prop_oneof![
        3 => (0_u64..6000).prop_map(Crash::InBytes),
        1 => (0_u64..20_000).prop_map(Crash::Later),
        2 => (0_u32..60).prop_map(Crash::Turns),
    ];
    prop::collection::vec((crash, any::<u64>()), 0..6)
}

fn nodes(fabric: &mut Fabric, fixture: &Fixture) {
    fabric.cpu(2);
    fabric.pod(fixture.script.as_ref(), 2);
}

/// Submits until the fabric says which session it is. `None` if it ended instead.
async fn submitted(fabric: &Fabric, fixture: &Fixture) -> Option<SessionId> {
    while !fabric.disk.is_dead() {
        match fabric.submit("northwind", &fixture.graph, "run").await {
            Ok(report) => return Some(report.execution_session_id),
            Err(error) => assert!(error.error_type.is_passing(), "{error:?}"),
        }
        tokio::time::sleep(Duration::from_micros(300)).await;
    }
    None
}

/// The report of the end. `None` if the fabric ended instead.
async fn finished(fabric: &Fabric, fixture: &Fixture) -> Option<SessionReport> {
    let session = submitted(fabric, fixture).await?;
    loop {
        let wait = Duration::from_secs(60);
        match Sessions::report(&*fabric.orchestrator, &tenant("northwind"), &session, wait).await {
            Ok(report) if report.status.has_ended() => return Some(report),
            Ok(_) => {}
            Err(error) => assert!(error.error_type.is_passing(), "{error:?}"),
        }
        if fabric.disk.is_dead() {
            return None;
        }
    }
}

/// Runs a graph through all of them. How often it ended in the middle of a write.
async fn lives_through(fixture: &Fixture, crashes: Vec<(Crash, u64)>) -> usize {
    let mut died = 0;
    let local = locally(&fixture.graph, fixture.script.as_ref()).await.unwrap();
    let mut fabric = Fabric::new(config()).await;
    for (crash, seed) in crashes {
        nodes(&mut fabric, fixture);
        match crash {
            Crash::InBytes(bytes) => {
                fabric.disk.die_after(bytes);
                finished(&fabric, fixture).await;
            }
            Crash::Later(micros) => {
                let limit = Duration::from_micros(micros);
                let _ = tokio::time::timeout(limit, finished(&fabric, fixture)).await;
            }
            Crash::Turns(turns) => {
                let turns = async {
                    for _ in 0..turns {
                        tokio::task::yield_now().await;
                    }
                };
                tokio::select! {
                    biased;
                    _ = finished(&fabric, fixture) => {}
                    () = turns => {}
                }
            }
        }
        died += usize::from(fabric.disk.is_dead());
        fabric.crash(seed).await;
    }
    nodes(&mut fabric, fixture);
    let report = finished(&fabric, fixture).await.unwrap();
    same_meaning(&fixture.name, &report, &local);
    assert_eq!(report.check(), Ok(()));

    // Each unit that was done is billed once, whatever was done twice.
    let usage = fabric.orchestrator.usage(&tenant("northwind")).await.unwrap();
    let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
    for line in &usage.line_items {
        *lines.entry(line.work_unit_id.as_str()).or_default() += 1;
    }
    let tasks = &report.telemetry.as_ref().unwrap().tasks;
    let done = tasks.iter().filter(|task| task.status == UnitStatus::Success);
    let expected: BTreeMap<&str, usize> = done.map(|task| (task.work_unit_id.as_str(), 1)).collect();
    assert_eq!(lines, expected, "{}", fixture.name);

    // One result: the same after another end, and the same as worked out from the log by whoever trusts nothing.
    fabric.crash(7).await;
    let session = report.execution_session_id.clone();
    let again = fabric.ended("northwind", &session).await;
    assert_eq!(again, report);
    let log = LogReader::open(fabric.disk.attach_reader()).await.unwrap();
    let replayed = replay(&log, &session, &ReplayOptions::default()).await.unwrap();
    assert_eq!(replayed.report, report);
    assert_eq!(replayed.outcome.unwrap().semantic_digest, local.execution_metadata.semantic_digest);
    died
}

static GOLDEN: LazyLock<Vec<Fixture>> = LazyLock::new(golden);

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    // shows C2.6, C6.1, C7.3
    #[test]
    fn whatever_ends_the_orchestrator_a_session_has_one_result(
        which in any::<prop::sample::Index>(),
        crashes in crashes(),
    ) {
        let fixture = which.get(&GOLDEN);
        let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(lives_through(fixture, crashes));
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_may_end_after_every_few_bytes_of_its_log() {
    let fixture = GOLDEN.iter().find(|fixture| fixture.name == "order-extraction").unwrap();
    // Each time it ends a little later than the time before, until it lives to its end.
    let crashes = (0..40).map(|nth| (Crash::InBytes(200 + 150 * nth), nth)).collect();
    let died = lives_through(fixture, crashes).await;
    assert!(died >= 10, "{died}");
}
