//! One seed, from its beginning to its judgement.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, SystemTime};

use krako_fabric::SegmentNumber;
use sha2::{Digest, Sha256};
use turmoil::{Builder, Sim};

use crate::broken::Broken;
use crate::clients::{AllTold, What, client};
use crate::dice::Dice;
use crate::graphs::Corpus;
use crate::hosts::{self, Seen};
use crate::judge::{self, Asked};
use crate::plan::{CLIENTS, CPU_NODES, Fault, GATEWAY, ORCHESTRATOR, POD, Plan, links};

const TICK: Duration = Duration::from_millis(10);
/// Connections of three nodes and a gateway.
const MAX_KEPT: usize = 8;
const LATENCY: Duration = Duration::from_millis(1);

/// What became of a seed.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub(crate) seed: u64,
    /// Of everything that happened: the same seed has the same.
    pub(crate) hash: String,
    /// What is not as it must be.
    pub(crate) faults: Vec<String>,
    /// In simulated time.
    pub(crate) took: Duration,
    pub(crate) sessions: usize,
    pub(crate) given_up: usize,
    /// How often an orchestrator took up what another had left.
    pub(crate) recoveries: usize,
    /// How often work was given to a node that another had had.
    pub(crate) given_again: usize,
}

thread_local! {
    /// Panics of this thread while it simulates. Tokio keeps those of its tasks to itself.
    static PANICS: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let kept = PANICS.with_borrow_mut(|panics| match panics {
                Some(panics) => {
                    panics.push(info.to_string());
                    true
                }
                None => false,
            });
            if !kept {
                before(info);
            }
        }));
    });
}

/// Lives through a seed.
pub(crate) fn tell(seed: u64, broken: Broken) -> Story {
    // What is the same for all seeds is made before.
    Corpus::of_this_process();
    watch_panics();
    PANICS.set(Some(Vec::new()));
    let lived = catch_unwind(AssertUnwindSafe(|| live(seed, broken)));
    let panics = PANICS.take().unwrap_or_default();
    let mut story = lived.unwrap_or_else(|_| Story {
        seed,
        hash: String::from("broken off"),
        faults: Vec::new(),
        took: Duration::ZERO,
        sessions: 0,
        given_up: 0,
        recoveries: 0,
        given_again: 0,
    });
    story.faults.extend(panics.into_iter().map(|panic| format!("something panicked: {panic}")));
    story
}

fn live(seed: u64, broken: Broken) -> Story {
    let plan = Arc::new(Plan::new(seed));
    let (seen, told) = (Seen::default(), AllTold::default());
    let mut sim = build(&plan, &seen, &told, broken);
    let mut faults = Vec::new();
    let mut due = plan.faults.iter().peekable();
    let last = plan.healed + judge::patience(&plan);
    let runs: usize = plan.runs.iter().map(Vec::len).sum();
    let mut is_well = false;
    loop {
        while let Some((_, fault)) = due.next_if(|(at, _)| *at <= sim.elapsed()) {
            apply(&mut sim, &seen, &plan, *fault);
        }
        if sim.elapsed() >= plan.healed && !is_well {
            heal(&mut sim, &seen, &plan);
            is_well = true;
        }
        if let Err(error) = sim.step() {
            faults.push(format!("a host ended: {error}"));
            break;
        }
        if is_well && told.lock().unwrap().len() >= runs && open(&seen).is_empty() {
            break;
        }
        if sim.elapsed() > last {
            let missing = runs - told.lock().unwrap().len();
            faults.push(format!("after {last:?} {missing} runs have no result; open: {:?}", open(&seen)));
            break;
        }
    }
    let took = sim.elapsed();
    let told = told.lock().unwrap().clone();
    let mut asked = Asked::default();
    let record = match judge::read_log(&seen.disk) {
        Ok(record) => record,
        Err(why) => {
            faults.push(format!("the log cannot be read: {why}"));
            judge::Record::new()
        }
    };
    if faults.is_empty() {
        let sessions = record.iter().flat_map(|(id, replayed)| {
            replayed.as_ref().ok().map(|replayed| (id.clone(), replayed.submitted.tenant.clone()))
        });
        let into = Arc::new(Mutex::new(Asked::default()));
        sim.client("judge", judge::ask(Arc::clone(&plan), sessions.collect(), Arc::clone(&into)));
        for _ in 0..4_000 {
            if let Err(error) = sim.step() {
                faults.push(format!("the fabric does not answer at last: {error}"));
            }
            if !faults.is_empty() || into.lock().unwrap().done {
                break;
            }
        }
        asked = into.lock().unwrap().clone();
        faults.extend(judge::faults(&plan, &seen, &told, &asked, &record));
    }
    let mut history = Sha256::new();
    let mut segment = SegmentNumber::new(1);
    while let Some(bytes) = segment.and_then(|number| seen.disk.bytes(number)) {
        history.update(&bytes);
        segment = segment.and_then(SegmentNumber::next);
    }
    let mut given_up = 0;
    for told in &told {
        history.update(format!("{} {} {:?}", told.client, told.run.name, told.at));
        match &told.what {
            What::Came(result) => history.update(serde_json::to_string(&**result).unwrap()),
            What::Refused(refusal) => history.update(refusal.to_string()),
            What::Dropped => {}
        }
        given_up += usize::from(judge::is_given_up(told));
    }
    history.update(format!("{took:?} {:?}", asked.reports));
    let mut hash = String::new();
    for byte in history.finalize() {
        let _ = write!(hash, "{byte:02x}");
    }
    let recoveries = seen.starts.load(Ordering::Relaxed).saturating_sub(1);
    let given_again = seen.accepted.given_again();
    Story { seed, hash, faults, took, sessions: record.len(), given_up, recoveries, given_again }
}

/// What is open and should not be, once everybody has been told.
fn open(seen: &Seen) -> Vec<String> {
    let mut open = Vec::new();
    match seen.orchestrator.lock().unwrap().upgrade() {
        Some(orchestrator) => {
            let load = orchestrator.load();
            if load != krako_fabric::Load::default() {
                open.push(format!("{load:?}"));
            }
        }
        None => open.push(String::from("no orchestrator")),
    }
    for (whose, connections) in [("of clients", &seen.of_clients), ("at the gateway", &seen.at_gateway)] {
        if connections.count() > 0 {
            open.push(format!("{} connections {whose}", connections.count()));
        }
    }
    // Who keeps its connections has the same ones at both ends, and few.
    let (of_nodes, at_desk) = (seen.of_nodes.count(), seen.at_desk.count());
    if of_nodes != at_desk || at_desk > MAX_KEPT {
        open.push(format!("{of_nodes} connections of nodes and the gateway, {at_desk} at the desk"));
    }
    open
}

fn build<'s>(plan: &Arc<Plan>, seen: &Seen, told: &AllTold, broken: Broken) -> Sim<'s> {
    let mut sim = Builder::new()
        .rng_seed(plan.seed)
        .epoch(SystemTime::UNIX_EPOCH + Duration::from_secs(1_750_000_000))
        .tick_duration(TICK)
        .simulation_duration(Duration::from_secs(100_000))
        .min_message_latency(LATENCY)
        .max_message_latency(plan.latency.max(LATENCY))
        .build();
    let (of, at) = (seen.clone(), Arc::clone(plan));
    sim.host(ORCHESTRATOR, move || hosts::orchestrator(of.clone(), Arc::clone(&at), broken));
    let of = seen.clone();
    sim.host(GATEWAY, move || hosts::gateway(of.clone()));
    for name in CPU_NODES {
        let of = seen.clone();
        sim.host(name, move || hosts::cpu(name, of.clone()));
    }
    let script = Corpus::of_this_process().slowed(&mut Dice::new(plan.seed));
    let of = seen.clone();
    sim.host(POD, move || hosts::pod(POD, of.clone(), script.clone()));
    for (number, name) in CLIENTS.into_iter().enumerate() {
        let (plan, seen, told) = (Arc::clone(plan), seen.clone(), Arc::clone(told));
        sim.host(name, move || client(number, Arc::clone(&plan), seen.clone(), Arc::clone(&told), broken));
    }
    sim
}

fn apply(sim: &mut Sim<'_>, seen: &Seen, plan: &Plan, fault: Fault) {
    match fault {
        Fault::Cut((a, b)) => sim.partition(a, b),
        Fault::CutOneWay((from, to)) => sim.partition_oneway(from, to),
        Fault::Hold((a, b)) => sim.hold(a, b),
        Fault::Slow((a, b), at_least) => {
            sim.set_link_latency(a, b, at_least);
            sim.set_link_max_message_latency(a, b, at_least * 3);
        }
        Fault::Lossy((a, b), of_ten_thousand) => {
            sim.set_link_fail_rate(a, b, f64::from(of_ten_thousand) / 10_000.0);
        }
        Fault::Mend(link) => mend(sim, plan, link),
        Fault::Crash(host, power) => {
            if !sim.is_host_running(host) {
                return;
            }
            // A dying process says nothing: in which order its connections would, depends on more than the seed.
            let of_host: Vec<_> = links().filter(|&(a, b)| a == host || b == host).collect();
            for &(a, b) in &of_host {
                sim.set_link_fail_rate(a, b, 0.0);
                sim.partition(a, b);
            }
            sim.crash(host);
            of_host.into_iter().for_each(|link| mend(sim, plan, link));
            if host == ORCHESTRATOR {
                match power {
                    Some(seed) => seen.disk.crash(seed),
                    None => seen.disk.kill(),
                }
            }
        }
        Fault::Start(host) => {
            if !sim.is_host_running(host) {
                sim.bounce(host);
            }
        }
    }
}

fn mend(sim: &mut Sim<'_>, plan: &Plan, (a, b): (&'static str, &'static str)) {
    sim.set_link_fail_rate(a, b, 0.0);
    sim.set_link_latency(a, b, LATENCY);
    sim.set_link_max_message_latency(a, b, plan.latency.max(LATENCY));
    sim.release(a, b);
}

fn heal(sim: &mut Sim<'_>, seen: &Seen, plan: &Plan) {
    links().for_each(|link| mend(sim, plan, link));
    for host in [ORCHESTRATOR, GATEWAY, CPU_NODES[0], CPU_NODES[1], POD] {
        apply(sim, seen, plan, Fault::Start(host));
    }
}
