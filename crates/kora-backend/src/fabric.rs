//! `kora-backend fabric`: the reference Krako, in one process or in many.

mod data;
mod section;
mod serving;

mod up;

mod gateway;
mod orchestrator;
mod told_desk;
mod worker;

mod replay;
mod token;

use clap::Subcommand;
use tokio::runtime::Builder;

pub(crate) use self::section::FabricSection;
use crate::exit::{self, Exit};
use crate::refused::CommandError;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Start a whole fabric in this process, and tell how to run graphs on it
    Up(Box<up::Args>),
    /// Start the orchestrator alone: it owns the event log, and gateways and workers of other processes come to it
    Orchestrator(orchestrator::Args),
    /// Start a gateway alone: what callers reach
    Gateway(gateway::Args),
    /// Start a worker alone: a node of one pool
    Worker(Box<worker::Args>),
    /// Work a session out again from the event log: the same result and the same bill, or why not
    #[command(after_help = exit::TABLE)]
    Replay(replay::Args),
    /// List, add and revoke the tokens of callers, workers and gateways
    Token(token::Args),
}

impl Args {
    pub(crate) fn wants_json(&self) -> bool {
        match &self.part {
            Part::Up(args) => args.serving.json,
            Part::Orchestrator(args) => args.serving.json,
            Part::Gateway(args) => args.serving.json,
            Part::Worker(args) => args.json,
            Part::Replay(args) => args.json,
            Part::Token(args) => args.wants_json(),
        }
    }
}

/// Does what is asked; a part that serves does so until it is told to stop.
///
/// # Errors
///
/// What keeps it from starting, or from what was asked.
pub(crate) fn run(args: &Args) -> Result<Exit, CommandError> {
    let runtime = Builder::new_multi_thread().enable_all().build().map_err(CommandError::Runtime)?;
    let exit = match &args.part {
        Part::Up(args) => runtime.block_on(up::run(args)),
        Part::Orchestrator(args) => runtime.block_on(orchestrator::run(args)),
        Part::Gateway(args) => runtime.block_on(gateway::run(args)),
        Part::Worker(args) => runtime.block_on(worker::run(args)),
        Part::Replay(args) => runtime.block_on(replay::run(args)),
        Part::Token(args) => token::run(args),
    };
    // Not waited for: an operation that hangs cannot be interrupted.
    runtime.shutdown_background();
    exit
}
