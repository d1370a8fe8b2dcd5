//! The command line: what can be asked, and who does it.

use std::sync::LazyLock;

use backend_api::InterfaceVersion;
use clap::{Parser, Subcommand};

use crate::exit::{self, Exit};
use crate::refused::CommandError;
use crate::{capabilities, check, completions, conformance, fabric, health, models, operations, run, serve};

static VERSION: LazyLock<String> = LazyLock::new(|| {
    format!("{} (ExecutionBackend interface {})", env!("CARGO_PKG_VERSION"), InterfaceVersion::CURRENT)
});

/// Runs and checks KORA task graphs.
#[derive(Debug, Parser)]
#[command(name = "kora-backend", version = VERSION.as_str(), after_help = exit::TABLE)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a graph and show what came of it
    #[command(after_help = exit::TABLE)]
    Run(run::Args),
    /// Serve the backend to other programs
    Serve(serve::Args),
    /// Check graphs without running them: every violation at once, where it stands, and how to mend it
    #[command(after_help = exit::TABLE)]
    Check(check::Args),
    /// List the models that tasks may name, and whether they answer; fetch, verify and remove weights
    Models(models::Args),
    /// List the operations that tasks may name, or tell all about one
    Operations(operations::Args),
    /// Tell what the backend can run
    Capabilities(capabilities::Args),
    /// Tell whether the backend would take a run now
    Health(health::Args),
    /// Judge a backend by the contract
    #[command(after_help = exit::TABLE)]
    Conformance(conformance::Args),
    /// Run a Krako fabric of your own, whole or in parts
    Fabric(fabric::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
}

/// Does what the arguments of the process ask for.
pub(crate) fn main() -> Exit {
    let CommandLine { command } = CommandLine::parse();
    let json = command.wants_json();
    command.run().unwrap_or_else(|error: CommandError| {
        error.report(json);
        error.exit()
    })
}

impl Command {
    fn wants_json(&self) -> bool {
        match self {
            Self::Run(args) => args.json,
            Self::Serve(args) => args.json,
            Self::Check(args) => args.json,
            Self::Models(args) => args.wants_json(),
            Self::Operations(args) => args.json,
            Self::Capabilities(args) => args.json,
            Self::Health(args) => args.json,
            Self::Conformance(args) => args.wants_json(),
            Self::Fabric(args) => args.wants_json(),
            Self::Completions(_) => false,
        }
    }

    fn run(&self) -> Result<Exit, CommandError> {
        match self {
            Self::Run(args) => run::run(args),
            Self::Serve(args) => serve::run(args),
            Self::Check(args) => check::run(args),
            Self::Models(args) => models::run(args),
            Self::Operations(args) => operations::run(args),
            Self::Capabilities(args) => capabilities::run(args),
            Self::Health(args) => health::run(args),
            Self::Conformance(args) => conformance::run(args),
            Self::Fabric(args) => fabric::run(args),
            Self::Completions(args) => completions::run(args),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }
}
