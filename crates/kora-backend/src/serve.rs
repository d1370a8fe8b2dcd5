//! `kora-backend serve`: the backend for other programs.

mod stdio;

use crate::adapters::ModelArgs;
use crate::backend::BackendChoice;
use crate::exit::Exit;
use crate::refused::CommandError;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Serve the program that started this one, over standard input and output: one JSON object a line.
    /// Models are those that it names in its `hello`, or else those of `--config`
    #[arg(long, required = true)]
    stdio: bool,
    /// What is served
    #[arg(long, value_enum, default_value_t = BackendChoice::Local)]
    backend: BackendChoice,
    /// Tasks that run at once; results are the same for any number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    max_concurrency: Option<u32>,
    /// Print an error as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    models: ModelArgs,
}

/// Serves until it is told to stop.
///
/// # Errors
///
/// What keeps it from serving.
pub(crate) fn run(args: &Args) -> Result<Exit, CommandError> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CommandError::Runtime)?;
    let exit = runtime.block_on(stdio::serve(args));
    // Not waited for: reading standard input cannot be interrupted.
    runtime.shutdown_background();
    exit
}
