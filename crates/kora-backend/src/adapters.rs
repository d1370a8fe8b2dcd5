//! Who answers model tasks: a configuration file, which says the rest as well, and stand-ins for tries and tests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kora_ir::{CheckedGraph, Work};
use model_store::ModelName;
use models::{
    EmbeddedAdapter, EmbeddedConfig, ModelAdapter, ModelRouter, OpenAiAdapter, OpenAiConfig, Script,
    ScriptedAdapter,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::fabric::FabricSection;
use crate::graph_file;
use crate::krako::KrakoSection;
use crate::refused::CommandError;

/// Bytes of a configuration.
const MAX_CONFIG_BYTES: usize = 1 << 20;
/// Bytes of a script.
const MAX_SCRIPT_BYTES: usize = 64 << 20;

const CONFIG: &str = "models configuration";
const SCRIPT: &str = "script";

/// Which models there are.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ModelArgs {
    /// Configuration, TOML or JSON: `[[openai]]` and `[[embedded]]` models, the preferred first; `[krako]` and `[fabric]`
    #[arg(long, value_name = "FILE", env = "KORA_BACKEND_CONFIG")]
    config: Option<PathBuf>,
    /// Stand-in that answers model tasks from a script instead of a model; preferred to configured models
    #[arg(long = "scripted-model", value_name = "FILE")]
    scripted: Vec<PathBuf>,
    /// Leave out the default model in a process of its own; otherwise it comes last, unless a stand-in or an
    /// `[[embedded]]` entry says what there is
    #[arg(long, env = "KORA_BACKEND_NO_EMBEDDED", value_parser = clap::builder::FalseyValueParser::new())]
    no_embedded: bool,
}

/// Who answers model tasks.
#[derive(Debug)]
pub(crate) struct Models {
    /// All of them, the preferred first.
    pub(crate) router: ModelRouter,
    own: Vec<Arc<EmbeddedAdapter>>,
    /// Whether those of our own are more than a last resort.
    is_own_wanted: bool,
}

impl Models {
    /// The weights that the graph's tasks would be refused for, and that could be fetched into the store.
    pub(crate) fn missing_weights(&self, graph: &CheckedGraph) -> BTreeSet<ModelName> {
        let mut missing = BTreeSet::new();
        for task in graph.tasks() {
            let Work::Model(call) = &task.work else { continue };
            let Ok(route) = self.router.route(&call.model, task.privacy) else { continue };
            let own = self.own.iter().find(|own| own.descriptor().name == route.adapter_name);
            missing.extend(own.and_then(|own| own.missing_weights(&route.model)).cloned());
        }
        missing
    }

    /// The weights that graphs to come would be refused for: of the models of our own that somebody listed, or of the
    /// default one where there is no other.
    pub(crate) fn missing_weights_of_all(&self) -> BTreeSet<ModelName> {
        let own = self.own.iter().filter(|_| self.is_own_wanted);
        let missing = own.flat_map(|own| {
            let models = own.descriptor().models;
            models.into_iter().filter_map(|model| own.missing_weights(&model.id).cloned())
        });
        missing.collect()
    }
}

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    openai: Vec<OpenAiConfig>,
    embedded: Vec<EmbeddedConfig>,
    krako: KrakoSection,
    fabric: FabricSection,
}

impl ModelArgs {
    /// The adapters, ready to be asked. Connects to nothing.
    ///
    /// # Errors
    ///
    /// [`CommandError::Unreadable`] or [`CommandError::Unusable`] names the file and what is wrong in it.
    pub(crate) fn router(&self) -> Result<ModelRouter, CommandError> {
        Ok(self.open()?.router)
    }

    /// The adapters, ready to be asked, and which of them are ours. Connects to nothing, and starts nothing.
    ///
    /// # Errors
    ///
    /// As [`router`](Self::router).
    pub(crate) fn open(&self) -> Result<Models, CommandError> {
        let mut own = Vec::new();
        let mut adapters: Vec<Arc<dyn ModelAdapter>> = Vec::new();
        for path in &self.scripted {
            let script: Script = parse(path, SCRIPT, MAX_SCRIPT_BYTES, Format::Json)?;
            adapters.push(Arc::new(ScriptedAdapter::new(script)));
        }
        if let Some(path) = &self.config {
            let config: Config = read(path)?;
            for server in config.openai {
                let adapter = OpenAiAdapter::new(server);
                adapters
                    .push(Arc::new(adapter.map_err(|error| unusable(path, CONFIG, with_causes(&error)))?));
            }
            for embedded in config.embedded {
                let adapter = EmbeddedAdapter::new(embedded);
                let adapter = Arc::new(adapter.map_err(|error| unusable(path, CONFIG, with_causes(&error)))?);
                own.push(Arc::clone(&adapter));
                adapters.push(adapter);
            }
        }
        if let Some(models) = self.with_default(&adapters, &own) {
            return Ok(models);
        }
        let router = ModelRouter::new(adapters).map_err(|error| {
            match self.config.as_ref().or(self.scripted.first()) {
                Some(path) => unusable(path, CONFIG, error.to_string()),
                None => CommandError::Usage(error.to_string()),
            }
        })?;
        Ok(Models { router, own, is_own_wanted: true })
    }

    /// The adapters and, after them, the default one. `None` if it is not wanted, or its names are taken: what somebody
    /// said goes before what nobody did.
    fn with_default(
        &self,
        adapters: &[Arc<dyn ModelAdapter>],
        own: &[Arc<EmbeddedAdapter>],
    ) -> Option<Models> {
        if self.no_embedded || self.has_stand_in() || !own.is_empty() {
            return None;
        }
        let is_own_wanted = adapters.is_empty();
        let default = Arc::new(EmbeddedAdapter::new(EmbeddedConfig::default()).ok()?);
        let mut adapters = adapters.to_vec();
        adapters.push(Arc::<EmbeddedAdapter>::clone(&default));
        Some(Models { router: ModelRouter::new(adapters).ok()?, own: vec![default], is_own_wanted })
    }

    /// Which fabric the configuration means.
    ///
    /// # Errors
    ///
    /// As [`router`](Self::router).
    pub(crate) fn krako(&self) -> Result<KrakoSection, CommandError> {
        Ok(self.config.as_deref().map(read).transpose()?.unwrap_or_default().krako)
    }

    /// What a fabric here takes on.
    ///
    /// # Errors
    ///
    /// As [`router`](Self::router).
    pub(crate) fn fabric(&self) -> Result<FabricSection, CommandError> {
        fabric(self.config.as_deref())
    }

    /// Whether scripts stand in for models.
    pub(crate) fn has_stand_in(&self) -> bool {
        !self.scripted.is_empty()
    }
}

/// `[fabric]` of the configuration, if there is one.
///
/// # Errors
///
/// [`CommandError::Unreadable`] or [`CommandError::Unusable`] names the file and what is wrong in it.
pub(crate) fn fabric(config: Option<&Path>) -> Result<FabricSection, CommandError> {
    Ok(config.map(read).transpose()?.unwrap_or_default().fabric)
}

fn read(path: &Path) -> Result<Config, CommandError> {
    parse(path, CONFIG, MAX_CONFIG_BYTES, Format::of(path))
}

#[derive(Clone, Copy)]
enum Format {
    Json,
    Toml,
}

impl Format {
    fn of(path: &Path) -> Self {
        let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        if is_json { Self::Json } else { Self::Toml }
    }
}

fn parse<T: DeserializeOwned>(
    path: &Path,
    what: &'static str,
    max_bytes: usize,
    format: Format,
) -> Result<T, CommandError> {
    let bytes = graph_file::read(path, what, max_bytes)?;
    if bytes.len() > max_bytes {
        return Err(unusable(path, what, format!("more than {max_bytes} bytes: this is another file")));
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| unusable(path, what, error.to_string()))?;
    match format {
        Format::Json => serde_json::from_str(text).map_err(|error| unusable(path, what, error.to_string())),
        Format::Toml => toml::from_str(text).map_err(|error| {
            // Its own rendering quotes the line, which may hold an API key that was put there by mistake (I9).
            let before = error.span().and_then(|span| text.get(..span.start));
            let place = before.map_or_else(String::new, |before| {
                let line = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
                format!(" at line {line} column {column}")
            });
            unusable(path, what, format!("{}{place}", error.message()))
        }),
    }
}

fn unusable(path: &Path, what: &'static str, fault: String) -> CommandError {
    CommandError::Unusable { what, path: path.to_owned(), fault }
}

/// An error and its causes, in one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // Some messages hold their cause already.
        if !line.ends_with(&said) {
            line += &format!(": {said}");
        }
        cause = error.source();
    }
    line
}
