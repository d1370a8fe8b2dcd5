//! `kora-backend models verify`, `rm` and `path`: what is done to weights that are here.

use std::ops::ControlFlow;

use model_store::ModelName;
use serde_json::json;

use super::store::{self, WeightsError, size};
use crate::exit::Exit;
use crate::refused::CommandError;
use crate::screen::{self, BAD, GOOD, STRONG};

#[derive(Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// Which model; all whose weights are here if none is named
    model: Option<ModelName>,
    /// Print what was found as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct RemoveArgs {
    /// Which model
    model: ModelName,
    /// Print what was removed as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct PathArgs {
    /// Which model; the default model if none is named
    model: Option<ModelName>,
    /// Print all that is known of it as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Compares weights with their digests. The exit code is that of wrong weights if any are.
///
/// # Errors
///
/// What keeps it from looking, or is wrong with standard output.
pub(super) fn verify(args: &VerifyArgs) -> Result<Exit, CommandError> {
    let store = store::of_user()?;
    let names: Vec<ModelName> = match &args.model {
        Some(name) => vec![name.clone()],
        None => {
            let listed = store.list().map_err(WeightsError::from)?;
            let there = listed.into_iter().filter(|model| !model.is_absent());
            there.map(|model| model.name).collect()
        }
    };
    let mut exit = Exit::Success;
    let (mut documents, mut text) = (Vec::new(), String::new());
    for name in names {
        match store.verify(&name, &mut |_| ControlFlow::Continue(())) {
            Ok(model) => {
                text += &format!("{GOOD}right{GOOD:#}  {name}  {}\n", model.path.display());
                let mut document = json!(model);
                document["right"] = json!(true);
                documents.push(document);
            }
            Err(error) => {
                exit = Exit::Weights;
                let error = CommandError::from(WeightsError::from(error)).in_one_line();
                text += &format!("{BAD}wrong{BAD:#}  {name}  {}\n", screen::visible(&error));
                documents.push(json!({"name": name, "right": false, "message": error}));
            }
        }
    }
    if text.is_empty() {
        text = String::from(
            "no weights are here: `kora-backend models pull` fetches those of the default model\n",
        );
    }
    if args.json {
        screen::print_json(&json!({"models": documents}))?;
    } else {
        screen::print(&text)?;
    }
    Ok(exit)
}

/// Removes weights.
///
/// # Errors
///
/// What keeps them here.
pub(super) fn remove(args: &RemoveArgs) -> Result<Exit, CommandError> {
    let store = store::of_user()?;
    let bytes = store.remove(&args.model).map_err(WeightsError::from)?;
    if args.json {
        screen::print_json(&json!({"name": args.model, "bytes": bytes}))?;
    } else {
        screen::print(&format!(
            "{STRONG}{}{STRONG:#} is removed: {} are free again\n",
            args.model,
            size(bytes)
        ))?;
    }
    Ok(Exit::Success)
}

/// Prints the path and nothing else.
///
/// # Errors
///
/// Why there are no weights that could be used.
pub(super) fn path(args: &PathArgs) -> Result<Exit, CommandError> {
    let store = store::of_user()?;
    let model = store.find(&store::named(args.model.as_ref())?).map_err(WeightsError::from)?;
    if args.json {
        screen::print_json(&model)?;
    } else {
        screen::print(&format!("{}\n", model.path.display()))?;
    }
    Ok(Exit::Success)
}
