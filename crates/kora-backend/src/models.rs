//! `kora-backend models`: who answers model tasks, and whether they do.

use comfy_table::{Table, presets};
use models::{AdapterHealth, Locality};
use serde_json::json;

use crate::adapters::ModelArgs;
use crate::exit::Exit;
use crate::refused::CommandError;
use crate::screen::{self, STRONG};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    models: ModelArgs,
}

/// Lists the models, in order of preference.
///
/// # Errors
///
/// What is wrong with the configuration, or with standard output.
pub(crate) fn run(args: &Args) -> Result<Exit, CommandError> {
    let router = args.models.router()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CommandError::Runtime)?;
    let health = runtime.block_on(router.health());
    runtime.shutdown_background();
    let adapters = router.descriptors().zip(health);
    if args.json {
        let listed: Vec<_> =
            adapters.map(|(adapter, (_, health))| json!({"adapter": adapter, "health": health})).collect();
        screen::print_json(&json!({"adapters": listed}))?;
        return Ok(Exit::Success);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["model", "tier", "context", "parameters", "adapter", "prompts stay", "health"]);
    let mut any = false;
    for (adapter, (_, health)) in adapters {
        for model in &adapter.models {
            any = true;
            let known =
                |count: Option<u64>| count.map_or_else(|| String::from("?"), |count| count.to_string());
            table.add_row([
                model.id.to_string(),
                model.tier.clone().unwrap_or_else(|| String::from("-")),
                known(model.context_tokens),
                known(model.parameters),
                adapter.name.clone(),
                match adapter.locality {
                    Locality::Local => String::from("here"),
                    Locality::Remote => String::from("no: remote"),
                },
                match &health {
                    AdapterHealth::Healthy => String::from("healthy"),
                    AdapterHealth::Degraded { reason } => format!("degraded: {reason}"),
                    AdapterHealth::Unavailable { reason } => format!("unavailable: {reason}"),
                },
            ]);
        }
    }
    if any {
        let mut lines = table.lines();
        let heading = lines.next().unwrap_or_default();
        let mut text = format!("{STRONG}{}{STRONG:#}\n", heading.trim_end());
        lines.for_each(|line| text += &format!("{}\n", line.trim_end()));
        screen::print(&text)?;
    } else {
        screen::print(
            "no models: graphs with model tasks will be refused\n\n\
             Name a server in a configuration file and pass it by `--config` or in KORA_BACKEND_CONFIG:\n\n\
             \x20   [[openai]]\n\
             \x20   name = \"ollama\"\n\
             \x20   base_url = \"http://127.0.0.1:11434/v1\"\n\
             \x20   models = [{ id = \"qwen2.5:0.5b\", tier = \"small\" }]\n",
        )?;
    }
    Ok(Exit::Success)
}
