//! What the worker's model costs, beside llama.cpp's server with the same weights and threads.
//!
//! `cargo xtask bench models` prints how fast both read a prompt, decode, and decode held to a schema; `--contended`
//! what two processes that only compute beside them change, and by how much deadlines are missed. Everybody is a process
//! of its own, loaded all along and asked in turn. What counts are the quotients of neighbours, because the machine
//! drifts; those of processor time hold on a machine that has other work, too.

mod busy;
mod child;
mod contended;
mod contestant;
mod figures;
mod question;
mod speed;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::busy::Busy;
use crate::contestant::Contestant;

const USAGE: &str = "\
usage: cargo xtask bench models [--contended] [--backend PATH] [--repeats N] [--threads N,N] [--no-peer]

  --contended   beside processes that only compute, instead of speed
  --backend P   with `--contended`: a built `kora-backend`, to see by how much its runs miss deadlines, too
  --repeats N   how often everything is asked (default 5; 3 with --contended)
  --threads N   numbers of threads, separated by commas (default 1,2)
  --no-peer     without llama.cpp's server";

/// Who computes in the worker: whatever is built in.
#[cfg(feature = "llamacpp")]
const RUNTIMES: [&str; 2] = ["own", "llamacpp"];
#[cfg(not(feature = "llamacpp"))]
const RUNTIMES: [&str; 1] = ["own"];

struct Options {
    contended: bool,
    repeats: Option<usize>,
    threads: Vec<usize>,
    peer: bool,
    backend: Option<PathBuf>,
}

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).peekable();
    match args.peek().and_then(|role| role.to_str()) {
        Some("model-worker") => return model_worker::main(args.skip(1)),
        Some("busy") => {
            Busy::be();
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    match options(args.map(|arg| arg.to_string_lossy().into_owned())).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn options(mut args: impl Iterator<Item = String>) -> anyhow::Result<Options> {
    let mut options =
        Options { contended: false, repeats: None, threads: vec![1, 2], peer: true, backend: None };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| anyhow::anyhow!("`{arg}` needs a value\n\n{USAGE}"));
        match arg.as_str() {
            "--contended" => options.contended = true,
            "--no-peer" => options.peer = false,
            "--backend" => options.backend = Some(PathBuf::from(value()?)),
            "--repeats" => options.repeats = Some(value()?.parse::<std::num::NonZeroUsize>()?.get()),
            "--threads" => {
                let counts = value()?;
                let counts = counts.split(',').map(str::parse::<std::num::NonZeroUsize>);
                options.threads = counts.map(|count| Ok(count?.get())).collect::<anyhow::Result<_>>()?;
            }
            // Cargo says so to every benchmark.
            "--bench" => {}
            _ => anyhow::bail!("`{arg}` is no option\n\n{USAGE}"),
        }
    }
    Ok(options)
}

fn run(options: &Options) -> anyhow::Result<()> {
    let weights: PathBuf = model_store::testing::default_model();
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = manifest.ancestors().nth(2).unwrap_or(manifest);
    let mut contestants = Vec::new();
    for threads in &options.threads {
        for runtime in RUNTIMES {
            contestants.push(Contestant::own(runtime, &weights, *threads)?);
        }
        if options.peer {
            contestants.push(Contestant::peer(workspace, &weights, *threads)?);
        }
    }
    let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    println!(
        "{}, {processors} processors, load {} at the beginning",
        weights.file_name().unwrap_or_default().to_string_lossy(),
        figures::load()
    );
    if options.contended {
        contended::compare(&mut contestants, options.backend.as_deref(), options.repeats.unwrap_or(3))?;
    } else {
        speed::compare(&mut contestants, options.repeats.unwrap_or(5))?;
    }
    println!("\nload {} at the end", figures::load());
    Ok(())
}
