//! The command `kora-backend`: runs and checks task graphs. One file for each subcommand.
mod command_line;

mod run;

mod serve;

mod check;

mod conformance;

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
mod refused;
mod screen;
mod task_place;

use std::process::ExitCode;

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    command_line::main().into()
}
