//! What Krako costs: trivial sessions through gateway, orchestrator, event log and node, beside a bare echo over the same wire.
//!
//! `cargo xtask bench krako` prints tables, `--json` the same as one document. The echo is hyper and rustls with nothing behind
//! them, in the same process and run, asked by the same client with the same bytes; the ways are asked in turns, because the
//! machine drifts. The log is on real files, each write synced, and in memory beside it, which tells what the disk costs.
//! Callers are in the same process too, so that their work is in every figure.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run should say so and stop")]

mod caller;
mod disk;
mod echo;
mod fabric;
mod figures;
mod graphs;
mod keys;
mod latency;
mod load;

use std::path::PathBuf;
use std::time::Duration;

use mimalloc::MiMalloc;

use crate::fabric::{Fabric, Log};
use crate::figures::Figures;
use crate::keys::Keys;

// As in the command.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const CLIENTS: [usize; 3] = [1, 8, 64];

/// Tasks of the narrow graph and of the wide one, which tells what a unit costs without its session.
const UNITS: [usize; 2] = [1, 32];

const USAGE: &str = "options of `cargo xtask bench krako`:
  --json            one document for programs
  --quick           fewer rounds and shorter loads
  --directory PATH  where the log's files go; beside the build otherwise
  --only files|memory CLIENTS UNITS SECONDS
                    one load and nothing else, for a profiler";

struct Options {
    json: bool,
    quick: bool,
    directory: PathBuf,
    only: Option<Only>,
}

/// One load and nothing else.
struct Only {
    log: Log,
    clients: usize,
    units: usize,
    window: Duration,
}

impl Options {
    /// `None` if they are not understood.
    fn read(arguments: impl Iterator<Item = String>) -> Option<Self> {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let mut options = Self { json: false, quick: false, directory, only: None };
        // The other one is cargo's.
        let mut arguments = arguments.filter(|argument| argument != "--bench");
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--json" => options.json = true,
                "--quick" => options.quick = true,
                "--directory" => options.directory = arguments.next()?.into(),
                "--only" => options.only = Some(Only::read(&mut arguments)?),
                _ => return None,
            }
        }
        Some(options)
    }
}

impl Only {
    fn read(arguments: &mut impl Iterator<Item = String>) -> Option<Self> {
        let name = arguments.next()?;
        let log = Log::ALL.into_iter().find(|log| log.name() == name)?;
        let clients = arguments.next()?.parse().ok().filter(|clients| *clients > 0)?;
        let units = arguments.next()?.parse().ok().filter(|units| *units > 0)?;
        Some(Self { log, clients, units, window: Duration::from_secs(arguments.next()?.parse().ok()?) })
    }
}

#[tokio::main]
async fn main() {
    let Some(options) = Options::read(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        std::process::exit(2);
    };
    let keys = Keys::new();
    if let Some(Only { log, clients, units, window }) = options.only {
        let fabric = Fabric::start(log, &keys, &options.directory).await;
        let load = load::measure(&keys, &fabric, clients, units, window).await;
        println!("{:.0} sessions/s, {:.0} units/s", load.sessions_a_second, load.units_a_second);
        return;
    }
    let figures = everything(&keys, &options).await;
    if options.json {
        println!("{}", figures.to_json());
    } else {
        figures.print();
    }
}

async fn everything(keys: &Keys, options: &Options) -> Figures {
    let (rounds, window) = if options.quick { (60, 1) } else { (500, 2) };
    let window = Duration::from_secs(window);
    let syncs = disk::syncs(&options.directory, rounds);
    let echo = echo::serve(keys).await;
    let mut fabrics = Vec::new();
    for log in Log::ALL {
        fabrics.push(Fabric::start(log, keys, &options.directory).await);
    }
    let latencies = latency::measure(keys, echo, &fabrics, rounds).await;
    let mut loads = Vec::new();
    for fabric in &fabrics {
        for units in UNITS {
            for clients in CLIENTS {
                loads.push(load::measure(keys, fabric, clients, units, window).await);
            }
        }
    }
    Figures { rounds, syncs, latencies, loads }
}
