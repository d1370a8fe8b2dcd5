//! The command `kora-backend`: runs and checks task graphs. One file for each subcommand.
mod command_line;

mod run;

mod serve;

mod check;

mod conformance;

mod fabric;

mod capabilities;
mod completions;
mod health;
mod models;
mod operations;

mod adapters; // what they share
mod backend;
mod diagnosis;
mod document;
mod exit;
mod graph_file;
mod interrupt;
mod krako;
mod refused;
mod screen;
mod task_place;

use std::process::ExitCode;

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The word by which this program is its own worker. No subcommand: nobody types it, and no help tells of it.
const MODEL_WORKER: &str = "model-worker";

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|first| first == MODEL_WORKER) {
        return model_worker::main(args);
    }
    command_line::main().into()
}
