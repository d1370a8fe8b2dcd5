//! `kora-backend health`: whether the backend would take a run now (C3.5).

use std::fmt::Write as _;

use backend_api::{BackendStatus, HealthStatus};

use crate::adapters::ModelArgs;
use crate::backend::BackendChoice;
use crate::exit::Exit;
use crate::krako::KrakoArgs;
use crate::refused::CommandError;
use crate::screen::{self, BAD, GOOD, ODD};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Whose health
    #[arg(long, value_enum, default_value_t = BackendChoice::Local)]
    backend: BackendChoice,
    /// Print the status as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    models: ModelArgs,
    #[command(flatten)]
    krako: KrakoArgs,
}

/// Tells the health. The exit code is that of an unavailable backend if it is.
///
/// # Errors
///
/// What is wrong with the configuration, or with standard output.
pub(crate) fn run(args: &Args) -> Result<Exit, CommandError> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CommandError::Runtime)?;
    let status = runtime.block_on(async {
        let backend = args.backend.open(&args.models, &args.krako, None).await?;
        Ok::<_, CommandError>(backend.health_check().await)
    });
    runtime.shutdown_background();
    let status = status?;
    if args.json {
        screen::print_json(&status)?;
    } else {
        screen::print(&said(&status))?;
    }
    Ok(match status.status {
        HealthStatus::Healthy | HealthStatus::Degraded => Exit::Success,
        HealthStatus::Unavailable => Exit::Unavailable,
    })
}

fn said(status: &BackendStatus) -> String {
    let (style, word) = match status.status {
        HealthStatus::Healthy => (GOOD, "healthy"),
        HealthStatus::Degraded => (ODD, "degraded"),
        HealthStatus::Unavailable => (BAD, "unavailable"),
    };
    let capacity = &status.capacity_summary;
    let mut text = format!("{style}{word}{style:#}  version {}", status.backend_version);
    let _ = write!(text, ", up to {} tasks at once", capacity.max_concurrency);
    if let Some(load) = capacity.cpu_load {
        let _ = write!(text, ", a load of {load:.2} on each processor");
    }
    if let Some(bytes) = capacity.free_memory_bytes {
        let _ = write!(text, ", {} MiB of memory free", bytes >> 20);
    }
    text.push('\n');
    for model in &capacity.models {
        let (style, word) = if model.reachable { (GOOD, "answers") } else { (BAD, "does not answer") };
        let _ = write!(text, "  {}  {style}{word}{style:#}", model.adapter);
        if let Some(detail) = &model.detail {
            let _ = write!(text, ": {detail}");
        }
        text.push('\n');
    }
    if capacity.models.is_empty() {
        text += "  no models are configured: graphs with model tasks will be refused\n";
    }
    text
}
