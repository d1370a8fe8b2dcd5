//! `kora-backend check`: everything that is wrong with graphs, at once, without running them.

mod against;
mod finding;
mod report;

use std::path::PathBuf;

use kora_ir::Limits;

use self::against::Against;
use self::finding::Checked;
use crate::adapters::ModelArgs;
use crate::backend::{self, BackendChoice};
use crate::exit::Exit;
use crate::krako::KrakoArgs;
use crate::refused::CommandError;
use crate::screen;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The graphs, JSON files; `-` reads standard input
    #[arg(required = true)]
    graphs: Vec<PathBuf>,
    /// Print everything as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Do not ask whether a backend could run them
    #[arg(long)]
    graph_only: bool,
    /// List the tasks of valid graphs in canonical order
    #[arg(long)]
    order: bool,
    /// Whether which backend could run them
    #[arg(long, value_enum, default_value_t = BackendChoice::Local, conflicts_with = "graph_only")]
    backend: BackendChoice,
    #[command(flatten)]
    models: ModelArgs,
    #[command(flatten)]
    krako: KrakoArgs,
}

/// Checks the graphs. The exit code is that of the first that is not in order.
///
/// # Errors
///
/// What is wrong with the configuration, or with standard output. A graph that is not in order is no error.
pub(crate) fn run(args: &Args) -> Result<Exit, CommandError> {
    let limits = Limits::default();
    let against = match args.backend {
        _ if args.graph_only => Against::Rules,
        BackendChoice::Local => Against::Local(backend::local(&args.models, None)?),
        choice @ BackendChoice::Krako => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            let runtime = runtime.map_err(CommandError::Runtime)?;
            let opened = runtime.block_on(choice.open(&args.models, &args.krako, None));
            let offered = opened.map(|backend| backend.capability_descriptor());
            runtime.shutdown_background();
            Against::fabric(offered?)
        }
    };
    let mut exit = Exit::Success;
    let mut documents = Vec::new();
    let mut in_order = 0;
    for path in &args.graphs {
        let checked = Checked::new(path, &limits, &against);
        let found = checked.exit();
        in_order += usize::from(found == Exit::Success);
        if exit == Exit::Success {
            exit = found;
        }
        if args.json {
            documents.push(checked.document(args.order));
        } else {
            screen::print(&report::graph(&checked, args.order))?;
        }
    }
    if args.json {
        screen::print_json(&serde_json::json!({"valid": exit == Exit::Success, "graphs": documents}))?;
    } else {
        screen::print(&report::summary(in_order, args.graphs.len()))?;
    }
    Ok(exit)
}
