//! `kora-backend models list`: who answers model tasks, whether they do, and which weights are on this machine.

use comfy_table::{Table, presets};
use model_store::{FindError, Listed, Store};
use models::{AdapterHealth, Locality};
use serde_json::{Value, json};

use super::store::{self, WeightsError, size};
use crate::adapters::ModelArgs;
use crate::exit::Exit;
use crate::refused::CommandError;
use crate::screen::{self, STRONG};

#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Print as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    models: ModelArgs,
}

/// Lists the models, in order of preference, and the weights that are here or could be.
///
/// # Errors
///
/// What is wrong with the configuration, or with standard output.
pub(super) fn run(args: &ListArgs) -> Result<Exit, CommandError> {
    let router = args.models.router()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CommandError::Runtime)?;
    let health = runtime.block_on(router.health());
    runtime.shutdown_background();
    let adapters = router.descriptors().zip(health);
    let store = store::of_user()?;
    let weights = store.list().map_err(WeightsError::from)?;
    if args.json {
        let listed: Vec<_> =
            adapters.map(|(adapter, (_, health))| json!({"adapter": adapter, "health": health})).collect();
        let weights: Vec<_> = weights.iter().map(document).collect();
        let store = json!({"folder": store.folder().display().to_string(), "models": weights});
        screen::print_json(&json!({"adapters": listed, "store": store}))?;
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
        screen::print(&in_lines(&table))?;
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
    screen::print(&in_words(&store, &weights))?;
    Ok(Exit::Success)
}

fn in_lines(table: &Table) -> String {
    let mut lines = table.lines();
    let heading = lines.next().unwrap_or_default();
    let mut text = format!("{STRONG}{}{STRONG:#}\n", heading.trim_end());
    lines.for_each(|line| text += &format!("{}\n", line.trim_end()));
    text
}

/// The weights for people.
fn in_words(store: &Store, weights: &[Listed<'_>]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["weights", "size", "licence", "state"]);
    for listed in weights {
        let bytes = listed.weights.as_ref().map(|model| model.bytes).ok();
        table.add_row([
            listed.name.to_string(),
            bytes.or(listed.entry.map(|entry| entry.bytes)).map_or_else(|| String::from("?"), size),
            listed.entry.map_or_else(|| String::from("?"), |entry| entry.license.clone()),
            match &listed.weights {
                Ok(_) => String::from("here"),
                Err(FindError::Absent { command, .. }) => format!("not here: {command}"),
                Err(FindError::Damaged { fault, command, .. }) => {
                    format!("damaged: {}; {command}", screen::visible(fault))
                }
                Err(error) => screen::visible(&error.to_string()),
            },
        ]);
    }
    format!("\n{}\nweights are kept in {}\n", in_lines(&table), store.folder().display())
}

/// The weights for programs.
fn document(listed: &Listed<'_>) -> Value {
    let (state, problem) = match &listed.weights {
        Ok(_) => ("here", Value::Null),
        Err(FindError::Absent { .. }) => ("absent", Value::Null),
        Err(error @ FindError::Damaged { .. }) => ("damaged", json!(error.to_string())),
        Err(error) => ("unknown", json!(error.to_string())),
    };
    let model = listed.weights.as_ref().ok();
    json!({
        "name": listed.name,
        "state": state,
        "problem": problem,
        "path": model.map(|model| model.path.display().to_string()),
        "bytes": model.map(|model| model.bytes).or(listed.entry.map(|entry| entry.bytes)),
        "sha256": model.map(|model| model.sha256).or(listed.entry.map(|entry| entry.sha256)),
        "tier": listed.entry.map(|entry| &entry.tier),
        "license": listed.entry.map(|entry| &entry.license),
        "parameters": model.map(|model| model.parameters).or(listed.entry.map(|entry| entry.parameters)),
        "context_tokens": model.map_or(listed.entry.map(|entry| entry.context_tokens), |model| model.context_tokens),
    })
}
