//! Runs cases: opens a backend for each, sends its graphs, and gathers what came back and what the model saw.

mod assemble;
mod observe;
mod options;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::judge::{self, Judgement};
use crate::observation::Observation;
use crate::report::Report;
use crate::subject::{Introduction, Plug};
use crate::suite::{CaseFolder, Suite};

pub use self::options::{Progress, RunOptions};

/// What came of one case before it is put into a report.
#[derive(Debug)]
pub(crate) struct Ran {
    /// What the backend lacks for it.
    pub(crate) undeclared: Option<String>,
    /// What the judge says; `Err` is a fault of the suite itself.
    pub(crate) judged: Result<Judgement, String>,
    /// The last of what the backend logged.
    pub(crate) log_tail: Option<String>,
    pub(crate) took: Duration,
}

/// Judges the backend behind `plug`, and reports.
///
/// Every case has a thread of its own, and up to [`RunOptions::jobs`] run at one time. A case that takes longer than
/// [`RunOptions::watchdog`] is given up: its thread is left behind, and the case has failed.
pub fn run_suite(suite: &Suite, plug: &Arc<dyn Plug>, options: &RunOptions<'_>) -> Report {
    let started = Instant::now();
    let asked: Vec<&CaseFolder> = suite.cases().filter(|case| options.runs(case)).collect();
    let mut results: BTreeMap<String, Ran> = BTreeMap::new();
    let mut introduction: Option<(Introduction, serde_json::Value)> = None;
    let (report, reports) = mpsc::channel();
    let mut waiting = asked.iter();
    let mut under_way: BTreeMap<String, Instant> = BTreeMap::new();
    let total = asked.len();
    loop {
        while under_way.len() < options.jobs.max(1)
            && let Some(case) = waiting.next()
        {
            under_way.insert(case.id.clone(), Instant::now());
            let (case, plug, report) = ((*case).clone(), Arc::clone(plug), report.clone());
            let settings = options.settings();
            // A thread that cannot be had is reported like any other fault of the suite.
            let id = case.id.clone();
            let spawned = thread::Builder::new().name(case.id.clone()).spawn({
                let report = report.clone();
                move || {
                    let observed = observe::observe(&case, plug.as_ref(), &settings);
                    let _ = report.send((case.id.clone(), observed));
                }
            });
            if let Err(error) = spawned {
                let _ = report.send((id, Err(format!("no thread for it: {error}"))));
            }
        }
        if under_way.is_empty() {
            break;
        }
        let ended = reports.recv_timeout(Duration::from_millis(100)).ok();
        for (id, observed) in ended.into_iter().chain(overdue(&mut under_way, options.watchdog)) {
            let Some(since) = under_way.remove(&id) else { continue };
            let Some(case) = suite.case(&id) else { continue };
            let ran = judged(case, observed, since.elapsed(), &mut introduction);
            (options.progress)(&Progress { case: &id, done: results.len() + 1, total, failed: ran.failed() });
            results.insert(id, ran);
        }
    }
    assemble::report(suite, plug.transport(), options, &results, introduction, started.elapsed())
}

type Observed = Result<(Observation, Option<String>, Introduction), String>;

/// The cases that took too long.
fn overdue(under_way: &mut BTreeMap<String, Instant>, watchdog: Duration) -> Vec<(String, Observed)> {
    let late = under_way.iter().filter(|(_, since)| since.elapsed() > watchdog);
    late.map(|(id, _)| (id.clone(), Ok(observe::given_up(watchdog)))).collect()
}

fn judged(
    case: &CaseFolder,
    observed: Observed,
    took: Duration,
    introduction: &mut Option<(Introduction, serde_json::Value)>,
) -> Ran {
    match observed {
        Ok((seen, undeclared, introduced)) => {
            if let (None, Ok(capabilities)) = (&introduction, &seen.capabilities) {
                *introduction = Some((introduced, capabilities.clone()));
            }
            let judgement = judge::judge(&case.id, &case.case, &seen, undeclared.as_deref());
            Ran { undeclared, judged: Ok(judgement), log_tail: seen.log_tail, took }
        }
        Err(fault) => Ran { undeclared: None, judged: Err(fault), log_tail: None, took },
    }
}

impl Ran {
    fn failed(&self) -> bool {
        self.judged.as_ref().map_or(true, |judgement| !judgement.findings.is_empty())
    }
}
