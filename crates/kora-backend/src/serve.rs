//! `kora-backend serve`: the backend for other programs.

mod http;
mod stdio;

use std::net::SocketAddr;

use backend_server::Identity;

use crate::adapters::ModelArgs;
use crate::backend::BackendChoice;
use crate::exit::Exit;
use crate::krako::KrakoArgs;
use crate::models::OfflineArgs;
use crate::refused::CommandError;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Address and port of the HTTP API; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7010")]
    listen: SocketAddr,
    /// Another name under which callers may ask (`Host`), besides those of this machine. Needed to listen for other
    /// machines: there is no authentication and no encryption
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// Serve the program that started this one instead, over standard input and output: one JSON object a line.
    /// Models are those that it names in its `hello`, or else those of `--config`
    #[arg(long, conflicts_with_all = ["listen", "allow_host", "json"])]
    stdio: bool,
    /// What is served
    #[arg(long, value_enum, default_value_t = BackendChoice::Local)]
    backend: BackendChoice,
    /// Tasks of a run that run at once; results are the same for any number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    max_concurrency: Option<u32>,
    /// Print where it listens as one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    models: ModelArgs,
    #[command(flatten)]
    offline: OfflineArgs,
    #[command(flatten)]
    krako: KrakoArgs,
}

/// Serves until it is told to stop.
///
/// # Errors
///
/// What keeps it from serving.
pub(crate) fn run(args: &Args) -> Result<Exit, CommandError> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CommandError::Runtime)?;
    let exit = runtime
        .block_on(async { if args.stdio { stdio::serve(args).await } else { http::serve(args).await } });
    // Not waited for: reading standard input cannot be interrupted, nor can an operation that hangs.
    runtime.shutdown_background();
    exit
}

fn identity(args: &Args) -> Identity {
    Identity {
        name: String::from(env!("CARGO_PKG_NAME")),
        version: String::from(env!("CARGO_PKG_VERSION")),
        backend_mode: args.backend.mode(),
    }
}
