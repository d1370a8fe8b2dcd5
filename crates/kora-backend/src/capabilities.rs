//! `kora-backend capabilities`: what the backend can run (C3.6).

use std::fmt::Write as _;

use crate::adapters::ModelArgs;
use crate::backend::BackendChoice;
use crate::exit::Exit;
use crate::krako::KrakoArgs;
use crate::refused::CommandError;
use crate::screen::{self, STRONG};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Whose capabilities
    #[arg(long, value_enum, default_value_t = BackendChoice::Local)]
    backend: BackendChoice,
    /// Print the capability descriptor as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    models: ModelArgs,
    #[command(flatten)]
    krako: KrakoArgs,
}

/// Tells the capabilities.
///
/// # Errors
///
/// What is wrong with the configuration, or with standard output.
pub(crate) fn run(args: &Args) -> Result<Exit, CommandError> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CommandError::Runtime)?;
    let opened = runtime.block_on(args.backend.open(&args.models, &args.krako, None));
    let offered = opened.map(|backend| backend.capability_descriptor());
    runtime.shutdown_background();
    let offered = offered?;
    if args.json {
        screen::print_json(&offered)?;
        return Ok(Exit::Success);
    }
    let known = |count: Option<u64>| count.map_or_else(|| String::from("unknown"), |count| count.to_string());
    let types: Vec<&str> = offered.supported_task_types.iter().map(|task_type| task_type.as_str()).collect();
    let models: Vec<&str> = offered.models.iter().map(|model| model.model_id.as_str()).collect();
    let mut text = String::new();
    for (name, value) in [
        ("supported_task_types", types.join(", ")),
        ("max_concurrency", offered.max_concurrency.to_string()),
        ("max_model_size", known(offered.max_model_size)),
        ("supported_context_window", known(offered.supported_context_window)),
        ("distributed", offered.distributed.to_string()),
        (
            "models",
            if models.is_empty() {
                String::from("none; `kora-backend health` says why")
            } else {
                models.join(", ")
            },
        ),
        ("operations", offered.operations.join(", ")),
    ] {
        let _ = writeln!(text, "{STRONG}{name:<26}{STRONG:#}{value}");
    }
    screen::print(&text)?;
    Ok(Exit::Success)
}
