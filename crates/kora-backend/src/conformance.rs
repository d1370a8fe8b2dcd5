//! `kora-backend conformance`: judges a backend, and everything around that.

mod doctor;
mod explain;
mod list;
mod reports;
mod run;
mod self_test;
mod subject;

use clap::Subcommand;

use crate::exit::Exit;
use crate::refused::CommandError;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Judge a backend by the contract, and report
    Run(run::Args),
    /// Look whether a backend can be judged at all: for the first five minutes
    Doctor(doctor::Args),
    /// List the cases
    List(list::Args),
    /// Explain a case, a clause or a section of the contract
    Explain(explain::Args),
    /// Judge backends with one defect each, which must fail, and odd ones that are right: whether to believe the suite
    SelfTest(self_test::Args),
    /// Serve one of the suite's own backends over standard input and output
    #[command(hide = true)]
    OwnBackend(self_test::OwnArgs),
    /// Tell whether a report is whole and unedited
    Verify(reports::VerifyArgs),
    /// Compare two reports: what got worse first
    Diff(reports::DiffArgs),
    /// Decide on a merge by reports and a policy
    Gate(reports::GateArgs),
}

impl Args {
    pub(crate) fn wants_json(&self) -> bool {
        match &self.command {
            Command::Run(args) => args.json,
            Command::Doctor(args) => args.json,
            Command::List(args) => args.json,
            Command::Explain(_) | Command::OwnBackend(_) => false,
            Command::SelfTest(args) => args.json,
            Command::Verify(args) => args.json,
            Command::Diff(args) => args.json,
            Command::Gate(args) => args.json,
        }
    }
}

/// Does what is asked.
///
/// # Errors
///
/// What keeps it from a verdict.
pub(crate) fn run(args: &Args) -> Result<Exit, CommandError> {
    match &args.command {
        Command::Run(args) => run::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::List(args) => list::run(args),
        Command::Explain(args) => explain::run(args),
        Command::SelfTest(args) => self_test::run(args),
        Command::OwnBackend(args) => self_test::serve(args),
        Command::Verify(args) => reports::verify(args),
        Command::Diff(args) => reports::diff(args),
        Command::Gate(args) => reports::gate(args),
    }
}
