//! `kora-backend run`: one graph, run to its end or to Ctrl-C.

mod mending;
mod progress;
mod report;
mod saved;
mod tally;

use std::path::PathBuf;
use std::sync::Arc;

use backend_api::{
    ExecutionContext, ExecutionResult, InterfaceVersion, InvalidName, RunId, StreamingExecution, TraceId,
    UserId,
};
use kora_ir::{CheckedGraph, Limits};
use ulid::Ulid;

use self::progress::Progress;
use self::saved::SavedResult;
use self::tally::{Cancelled, Tally};
use crate::adapters::ModelArgs;
use crate::backend::{self, BackendChoice};
use crate::exit::Exit;
use crate::graph_file;
use crate::interrupt::{self, Until};
use crate::krako::KrakoArgs;
use crate::models::{OfflineArgs, Told};
use crate::refused::CommandError;
use crate::screen;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The graph, a JSON file; `-` reads standard input
    graph: PathBuf,
    /// Who runs it
    #[arg(long, value_enum, default_value_t = BackendChoice::Local)]
    backend: BackendChoice,
    /// Print the whole result as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Print the final output as JSON and nothing else
    #[arg(long, short, conflicts_with = "json")]
    quiet: bool,
    /// Save the whole result as JSON, all of it or nothing; not if the run is refused or interrupted
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Tasks that run at once; the result is the same for any number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    max_concurrency: Option<u32>,
    #[command(flatten)]
    models: ModelArgs,
    #[command(flatten)]
    offline: OfflineArgs,
    #[command(flatten)]
    krako: KrakoArgs,
    /// Name of this run; made up if not given
    #[arg(long, value_name = "ID")]
    run_id: Option<String>,
    /// Name of the request that it is part of; made up if not given
    #[arg(long, value_name = "ID")]
    trace_id: Option<String>,
    /// On whose behalf
    #[arg(long, value_name = "ID")]
    user_id: Option<String>,
}

/// Runs the graph.
///
/// # Errors
///
/// Whatever kept the run from starting, or its result from being shown or saved.
pub(crate) fn run(args: &Args) -> Result<Exit, CommandError> {
    let context = context(args)?;
    let graph = graph_file::load(&args.graph, &Limits::default())?;
    // Before the run: one that took an hour should not be lost to a misspelt folder.
    let saved = args.output.as_deref().map(SavedResult::prepare).transpose()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CommandError::Runtime)?;
    let backend = match args.backend {
        BackendChoice::Local => Ok(here(args, &graph)?),
        choice @ BackendChoice::Krako => {
            runtime.block_on(choice.open(&args.models, &args.krako, args.max_concurrency))
        }
    };
    let ended = backend.and_then(|backend| runtime.block_on(execute(args, &*backend, &graph, &context)));
    let exit = ended.and_then(|ended| match ended {
        Ended::Result(result) => show(args, &graph, &result, saved),
        Ended::Interrupted(cancelled) => tell_cancelled(args, &context, &cancelled),
    });
    // Not waited for: an operation that hangs must not hang the exit.
    runtime.shutdown_background();
    exit
}

/// This machine, with the weights that the graph needs.
fn here(args: &Args, graph: &CheckedGraph) -> Result<Arc<dyn StreamingExecution>, CommandError> {
    let models = args.models.open()?;
    let told = if args.json || args.quiet { Told::Nobody } else { Told::People };
    args.offline.fetch(&models.missing_weights(graph), told)?;
    Ok(Arc::new(backend::local_with(models.router, args.max_concurrency)))
}

enum Ended {
    Result(Box<ExecutionResult>),
    Interrupted(Cancelled),
}

async fn execute(
    args: &Args,
    backend: &dyn StreamingExecution,
    graph: &CheckedGraph,
    context: &ExecutionContext,
) -> Result<Ended, CommandError> {
    let tally = Arc::new(Tally::new(graph.tasks().len()));
    let progress = (!args.json && !args.quiet && screen::shows_progress())
        .then(|| Progress::start(Arc::clone(&tally), graph));
    let first_press = interrupt::take_over(Until::Interrupt).await;
    // Taken while the run is still there: what is stopped by dropping it no longer counts as under way.
    let interrupted = async {
        first_press.await;
        tally.cancelled(graph)
    };
    let observer: Arc<Tally> = Arc::clone(&tally);
    let run = backend.execute_streaming(graph, context, observer);
    let ended = tokio::select! {
        result = run => result.map(|result| Ended::Result(Box::new(result))).map_err(CommandError::from),
        // The run's future is dropped here, and that cancels it (S13).
        cancelled = interrupted => Ok(Ended::Interrupted(cancelled)),
        () = progress::draw(progress.as_ref()) => unreachable!("drawing goes on until the run is over"),
    };
    drop(progress);
    ended
}

fn show(
    args: &Args,
    graph: &CheckedGraph,
    result: &ExecutionResult,
    saved: Option<SavedResult>,
) -> Result<Exit, CommandError> {
    // First: what cannot be shown can at least be kept.
    saved.map(|saved| saved.keep(result)).transpose()?;
    if args.json {
        screen::print_json(result)?;
    } else {
        let report = report::Report {
            graph,
            result,
            name: graph_file::name(&args.graph),
            stand_in: args.models.has_stand_in(),
        };
        if !args.quiet {
            screen::print(&report.table())?;
        }
        if let Some(output) = &result.final_output {
            screen::print_json(output)?;
        }
        screen::tell(&report.failure());
    }
    Ok(result.failure.as_ref().map_or(Exit::Success, |failure| Exit::Failed(failure.error_type)))
}

fn tell_cancelled(
    args: &Args,
    context: &ExecutionContext,
    cancelled: &Cancelled,
) -> Result<Exit, CommandError> {
    if args.json {
        screen::print_json(&serde_json::json!({
            "error_type": "CANCELLED",
            "message": cancelled.to_string(),
            "details": {"run_id": context.run_id, "trace_id": context.trace_id, "at": cancelled},
        }))?;
    } else {
        screen::tell(&format!("{cancelled}\n"));
    }
    Ok(Exit::Interrupted)
}

fn context(args: &Args) -> Result<ExecutionContext, CommandError> {
    let bad = |error: InvalidName| CommandError::Usage(error.to_string());
    let run_id = args.run_id.clone().unwrap_or_else(|| Ulid::generate().to_string());
    // 32 hexadecimal digits, as tracing tools have them.
    let trace_id = args.trace_id.clone().unwrap_or_else(|| format!("{:032x}", u128::from(Ulid::generate())));
    Ok(ExecutionContext {
        run_id: RunId::new(&run_id).map_err(bad)?,
        trace_id: TraceId::new(&trace_id).map_err(bad)?,
        backend_mode: args.backend.mode(),
        user_id: args.user_id.as_deref().map(UserId::new).transpose().map_err(bad)?,
        interface_version: InterfaceVersion::CURRENT,
    })
}
