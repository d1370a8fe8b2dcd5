//! The workspace's own commands: `cargo xtask <command>`, one file each.

mod bench;
mod bless;
mod ci;
mod coverage;
mod crash;
mod layers;
mod peers;
mod simulate;
mod tidy;

// What the commands share: where things are, what they hold, how to say what is wrong.
mod finding;
mod metadata;
mod source;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The workspace's own commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything that must hold before a change is merged, cheapest first
    Ci(ci::Args),
    /// Who may depend on whom, and what no crate may reach or say
    Layers,
    /// Write the generated files anew, or check that they are up to date
    Bless(bless::Args),
    /// Which clause of the contract is enforced where, and which test shows it
    Coverage(coverage::Args),
    /// Conventions that no compiler checks
    Tidy,
    /// Install the foreign model servers that tests talk to
    Peers,
    /// Run the benchmarks, or one of them
    Bench(bench::Args),
    /// Live through seeds of the fabric on a simulated network
    Simulate(simulate::Args),
    /// Kill the parts of a fabric over and over, while it runs thousands of sessions
    Crash(crash::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Ci(args) => ci::run(&args),
        Command::Layers => layers::run(),
        Command::Bless(args) => bless::run(&args),
        Command::Coverage(args) => coverage::run(&args),
        Command::Tidy => tidy::run(),
        Command::Peers => peers::run(),
        Command::Bench(args) => bench::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Crash(args) => crash::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
