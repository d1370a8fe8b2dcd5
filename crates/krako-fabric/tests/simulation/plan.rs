//! What a seed means: who is asked for what, and what breaks when.

use std::time::Duration;

use crate::dice::Dice;
use crate::graphs::Corpus;

pub(crate) const ORCHESTRATOR: &str = "orchestrator";
pub(crate) const GATEWAY: &str = "gateway";
pub(crate) const CPU_NODES: [&str; 2] = ["cpu-1", "cpu-2"];
pub(crate) const POD: &str = "pod-1";
pub(crate) const CLIENTS: [&str; 2] = ["client-1", "client-2"];

/// Who talks to whom.
const LINKS: [(&str, &str); 6] = [
    ("client-1", GATEWAY),
    ("client-2", GATEWAY),
    (GATEWAY, ORCHESTRATOR),
    ("cpu-1", ORCHESTRATOR),
    ("cpu-2", ORCHESTRATOR),
    (POD, ORCHESTRATOR),
];

type Link = (&'static str, &'static str);

/// Something that goes wrong, or right again.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Nothing gets through, and what was on its way is lost: connections are half open.
    Cut(Link),
    /// Nothing gets through from the first to the second.
    CutOneWay(Link),
    /// What is sent waits.
    Hold(Link),
    /// What is sent takes at least this long, and at most three times as long.
    Slow(Link, Duration),
    /// Of so many in ten thousand messages each is lost, and the connection with it.
    Lossy(Link, u32),
    /// The link is as it was; what was held arrives.
    Mend(Link),
    /// The host's process ends. `Some`: its power fails, and of what its disk had not synced this seed says what is left.
    Crash(&'static str, Option<u64>),
    /// The host starts again.
    Start(&'static str),
}

/// A run that a client asks for.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) name: String,
    /// Its place in the corpus.
    pub(crate) graph: usize,
    /// When.
    pub(crate) after: Duration,
    /// When the caller loses interest, if it does.
    pub(crate) dropped_after: Option<Duration>,
}

/// Everything that a seed decides.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) tenants: [&'static str; 2],
    pub(crate) runs: [Vec<Run>; 2],
    pub(crate) latency: Duration,
    pub(crate) sync: Duration,
    pub(crate) submission_patience: Duration,
    pub(crate) outage_patience: Duration,
    pub(crate) segment_bytes: u64,
    /// In order.
    pub(crate) faults: Vec<(Duration, Fault)>,
    /// When everything is well again, and stays so.
    pub(crate) healed: Duration,
}

impl Plan {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed ^ 0x6b6f_7261);
        let healed = dice.millis(2_000, 9_000);
        let runs = std::array::from_fn(|client| {
            let count = 1 + dice.below(3);
            (0..count).map(|number| run(&mut dice, client, number, healed)).collect()
        });
        let one_tenant = dice.percent(30);
        let latency = dice.of(&[2, 5, 20, 60]);
        let sync = dice.of(&[0, 1, 5, 40]);
        let plan = Self {
            seed,
            tenants: if one_tenant { ["northwind", "northwind"] } else { ["northwind", "southwind"] },
            runs,
            latency: Duration::from_millis(latency),
            sync: Duration::from_millis(sync),
            submission_patience: Duration::from_millis(dice.of(&[1_000, 5_000, 20_000, 20_000])),
            outage_patience: Duration::from_millis(dice.of(&[2_000, 20_000, 20_000, 20_000])),
            segment_bytes: dice.of(&[4 << 10, 64 << 10, 64 << 20]),
            faults: Vec::new(),
            healed,
        };
        Self { faults: faults(&mut dice, healed), ..plan }
    }
}

fn run(dice: &mut Dice, client: usize, number: u64, healed: Duration) -> Run {
    let graphs = Corpus::of_this_process().graphs.len() as u64;
    let healed = u64::try_from(healed.as_millis()).unwrap();
    Run {
        name: format!("run-{client}-{number}"),
        graph: usize::try_from(dice.below(graphs)).unwrap(),
        after: dice.millis(0, healed),
        dropped_after: dice.percent(10).then(|| dice.millis(1, 4_000)),
    }
}

/// Things that break one after the other or together; each is mended again, at the latest when everything is.
fn faults(dice: &mut Dice, healed: Duration) -> Vec<(Duration, Fault)> {
    let end = u64::try_from(healed.as_millis()).unwrap();
    let mut faults = Vec::new();
    // Some seeds are calm, so that it is also tried whether the simulation itself works.
    let count = dice.of(&[0, 1, 3, 5, 8, 12, 16]);
    for _ in 0..count {
        let from = dice.below(end - 100);
        let long = dice.of(&[200, 1_500, 5_000]);
        let to = (from + 20 + dice.below(long)).min(end);
        let (from, to) = (Duration::from_millis(from), Duration::from_millis(to));
        let link = dice.of(&LINKS);
        let turned = if dice.percent(50) { link } else { (link.1, link.0) };
        let (fault, mended) = match dice.below(10) {
            0 | 1 => (Fault::Cut(link), Fault::Mend(link)),
            2 => (Fault::CutOneWay(turned), Fault::Mend(link)),
            3 => (Fault::Hold(link), Fault::Mend(link)),
            4 => (Fault::Slow(link, dice.millis(50, 700)), Fault::Mend(link)),
            5 => (Fault::Lossy(link, dice.of(&[20, 100, 500])), Fault::Mend(link)),
            6 | 7 => {
                let power = dice.percent(60).then(|| dice.next());
                (Fault::Crash(ORCHESTRATOR, power), Fault::Start(ORCHESTRATOR))
            }
            8 => (Fault::Crash(GATEWAY, None), Fault::Start(GATEWAY)),
            _ => {
                let node = dice.of(&[CPU_NODES[0], CPU_NODES[1], POD]);
                (Fault::Crash(node, None), Fault::Start(node))
            }
        };
        faults.push((from, fault));
        faults.push((to, mended));
    }
    // As stable as the dice: what is at one moment stays in its order.
    faults.sort_by_key(|&(at, _)| at);
    faults
}

/// Every link, to be mended at last.
pub(crate) fn links() -> impl Iterator<Item = Link> {
    LINKS.into_iter()
}
