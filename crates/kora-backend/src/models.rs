//! `kora-backend models`: who answers model tasks, and the weights of models on this machine.

mod automatic;
mod fetching;
mod list;
mod one;
mod pull;
mod store;

use clap::Subcommand;

pub(crate) use self::automatic::OfflineArgs;
pub(crate) use self::fetching::Told;
pub(crate) use self::store::WeightsError;
use crate::exit::{self, Exit};
use crate::refused::CommandError;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    list: list::ListArgs,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the models that tasks may name, whether they answer, and which weights are on this machine
    List(list::ListArgs),
    /// Fetch the weights of a model, or mend them; those that are there and right are left alone
    #[command(after_help = exit::TABLE)]
    Pull(pull::PullArgs),
    /// Compare the weights on this machine with their digests, byte by byte
    #[command(after_help = exit::TABLE)]
    Verify(one::VerifyArgs),
    /// Remove the weights of a model from this machine
    #[command(visible_alias = "remove")]
    Rm(one::RemoveArgs),
    /// Print where the weights of a model are
    Path(one::PathArgs),
}

impl Args {
    pub(crate) fn wants_json(&self) -> bool {
        match &self.action {
            None => self.list.json,
            Some(Action::List(args)) => args.json,
            Some(Action::Pull(args)) => args.json,
            Some(Action::Verify(args)) => args.json,
            Some(Action::Rm(args)) => args.json,
            Some(Action::Path(args)) => args.json,
        }
    }
}

/// Does what is asked; without a word, lists.
///
/// # Errors
///
/// What is wrong with the configuration, the weights, or standard output.
pub(crate) fn run(args: &Args) -> Result<Exit, CommandError> {
    match &args.action {
        None => list::run(&args.list),
        Some(Action::List(args)) => list::run(args),
        Some(Action::Pull(args)) => pull::run(args),
        Some(Action::Verify(args)) => one::verify(args),
        Some(Action::Rm(args)) => one::remove(args),
        Some(Action::Path(args)) => one::path(args),
    }
}
