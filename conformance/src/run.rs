//! Runs cases: opens a backend for each, sends its graphs, and gathers what came back and what the model saw.

mod assemble;
mod noise;
mod observe;
mod options;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::generate::{FAMILIES, Family, search};
use crate::judge::{self, Judgement};
use crate::report::Report;
use crate::subject::{Introduction, Plug};
use crate::suite::{CaseFolder, Suite};

pub(crate) use self::assemble::by_clause;
pub(crate) use self::observe::{Observer, Seen};
pub use self::options::{Progress, RunOptions};

/// What came of one case before it is put into a report.
#[derive(Debug)]
struct Ran {
    /// What the backend lacks for it.
    undeclared: Option<String>,
    /// Why it cannot be seen.
    untestable: Option<String>,
    /// What was seen may be the doing of a busy machine.
    is_doubtful: bool,
    judgement: Judgement,
    /// The smallest graph and script that show the fault, if they were generated.
    minimal: Option<Value>,
    /// The last of what the backend logged.
    log_tail: Option<String>,
    /// Who was judged, as far as is known from this case.
    subject: Option<(Introduction, Value)>,
}

/// A case, and whether it is data or drawn.
#[derive(Clone, Debug)]
enum Item {
    Fixed(Box<CaseFolder>),
    Drawn(&'static Family),
}

/// What came of a case, or a fault of the suite itself; and how long it took.
type Outcome = (Result<Ran, String>, Duration);
/// What came of all cases, by id.
type Results = BTreeMap<String, Outcome>;

/// Judges the backend behind `plug`, and reports. Blocks.
///
/// Every case has a thread of its own, and up to [`RunOptions::jobs`] run at one time. A case that takes longer than
/// [`RunOptions::watchdog`] is given up: its thread is left behind, and the case has failed.
pub fn run_suite(suite: &Suite, plug: &Arc<dyn Plug>, options: &RunOptions<'_>) -> Report {
    let started = Instant::now();
    let mut waiting = asked(suite, options);
    let total = waiting.len();
    let (report, reports) = mpsc::channel();
    let mut under_way: BTreeMap<String, Instant> = BTreeMap::new();
    let mut results = Results::new();
    while !waiting.is_empty() || !under_way.is_empty() {
        while under_way.len() < options.jobs.max(1)
            && let Some(item) = waiting.pop_front()
        {
            under_way.insert(item.id().to_owned(), Instant::now());
            start(item, plug, options, &report);
        }
        let ended = reports.recv_timeout(Duration::from_millis(100)).ok();
        for (id, ran) in ended.into_iter().chain(overdue(&under_way, suite, options.watchdog)) {
            // Whoever was given up may still report, and nobody listens.
            let Some(since) = under_way.remove(&id) else { continue };
            let failed = ran.as_ref().map_or(true, |ran| !ran.judgement.findings.is_empty());
            results.insert(id.clone(), (ran, since.elapsed()));
            (options.progress)(&Progress { case: &id, done: results.len(), total, failed });
        }
    }
    assemble::report(suite, plug.transport(), options, &results, started.elapsed())
}

/// The long ones first, so that nobody waits for them alone at the end.
fn asked(suite: &Suite, options: &RunOptions<'_>) -> VecDeque<Item> {
    let clauses =
        |family: &Family| family.clauses.iter().map(|clause| (*clause).to_owned()).collect::<Vec<_>>();
    let drawn =
        FAMILIES.iter().filter(|family| options.graphs > 0 && options.runs(family.id, &clauses(family)));
    let fixed = suite.cases().filter(|case| options.runs(&case.id, &case.case.clauses));
    drawn.map(Item::Drawn).chain(fixed.map(|case| Item::Fixed(Box::new(case.clone())))).collect()
}

/// The id of a case, and what came of it.
type Ended = (String, Result<Ran, String>);

fn start(item: Item, plug: &Arc<dyn Plug>, options: &RunOptions<'_>, report: &mpsc::Sender<Ended>) {
    let id = item.id().to_owned();
    let (plug, observer, look) = (Arc::clone(plug), options.observer(), options.search());
    let sender = report.clone();
    let spawned = thread::Builder::new().name(id.clone()).spawn({
        let id = id.clone();
        move || {
            let ran = match item {
                Item::Fixed(case) => fixed(&case, plug.as_ref(), &observer),
                Item::Drawn(family) => drawn(family, plug.as_ref(), &observer, look),
            };
            // If nobody waits for it any more, it was given up.
            let _ = sender.send((id, ran));
        }
    });
    if let Err(error) = spawned {
        let _ = report.send((id, Err(format!("no thread for it: {error}"))));
    }
}

/// How often a failure is looked at again that may be the doing of a busy machine.
const SECOND_LOOKS: u32 = 2;

fn fixed(case: &CaseFolder, plug: &dyn Plug, observer: &Observer) -> Result<Ran, String> {
    let mut ran = judged(case, observer.observe(case, plug)?);
    for _ in 0..SECOND_LOOKS {
        if !ran.is_doubtful {
            break;
        }
        ran = judged(case, observer.observe(case, plug)?);
    }
    if ran.is_doubtful {
        // Nothing is held against the backend, and nothing is taken for shown.
        ran.judgement.laws.clear();
    }
    Ok(ran)
}

fn judged(case: &CaseFolder, seen: Seen) -> Ran {
    let Seen { observation, undeclared, untestable, introduction, is_doubtful } = seen;
    let judgement = judge::judge(&case.id, &case.case, &observation, undeclared.as_deref());
    let is_wrong = !judgement.findings.is_empty() || judgement.laws.values().any(|found| !found.is_empty());
    Ran {
        undeclared,
        untestable,
        is_doubtful: is_doubtful && is_wrong,
        judgement,
        minimal: None,
        subject: observation.capabilities.ok().map(|capabilities| (introduction, capabilities)),
        log_tail: observation.log_tail,
    }
}

fn drawn(
    family: &Family,
    plug: &dyn Plug,
    observer: &Observer,
    look: crate::generate::Search,
) -> Result<Ran, String> {
    let found = search(family, plug, observer, look)?;
    let (judgement, undeclared, minimal) = (found.judgement, found.undeclared, found.minimal);
    let (untestable, is_doubtful) = (found.untestable, false);
    Ok(Ran { undeclared, untestable, is_doubtful, judgement, minimal, log_tail: None, subject: None })
}

/// The cases that take too long: what is seen of them is that nothing is seen.
fn overdue(under_way: &BTreeMap<String, Instant>, suite: &Suite, watchdog: Duration) -> Vec<Ended> {
    let late = under_way.iter().filter(|(_, since)| since.elapsed() > watchdog);
    late.map(|(id, _)| {
        let given_up = observe::given_up(watchdog);
        let ran = suite.case(id).map(|case| judged(case, given_up));
        (id.clone(), ran.ok_or_else(|| format!("not done after {} s", watchdog.as_secs())))
    })
    .collect()
}

impl Item {
    fn id(&self) -> &str {
        match self {
            Self::Fixed(case) => &case.id,
            Self::Drawn(family) => family.id,
        }
    }
}
