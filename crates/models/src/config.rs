//! Adapters as an operator lists them, and the router that they make.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    EmbeddedAdapter, EmbeddedConfig, EmbeddedConfigError, ModelAdapter, ModelRouter, OpenAiAdapter,
    OpenAiConfig, OpenAiConfigError, RouterError, Script, ScriptedAdapter,
};

/// One adapter of a configuration file.
///
/// ```
/// let adapters: Vec<models::AdapterConfig> = serde_json::from_str(r#"[
///     {"kind": "openai", "name": "ollama", "base_url": "http://127.0.0.1:11434/v1", "models": [{"id": "qwen2.5"}]},
///     {"kind": "scripted", "otherwise": {"act": {"reply": {}}}}
/// ]"#)?;
/// let router = models::ModelRouter::from_config(adapters).expect("both can be used");
/// assert_eq!(router.descriptors().len(), 2);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum AdapterConfig {
    /// An OpenAI-compatible server.
    #[serde(rename = "openai")]
    OpenAi(OpenAiConfig),
    /// Models of our own, in worker processes on this machine.
    Embedded(EmbeddedConfig),
    /// A stand-in for tests.
    Scripted(Script),
}

impl ModelRouter {
    /// The router over the adapters of a configuration, the preferred first. Connects to nothing.
    ///
    /// # Errors
    ///
    /// [`ModelsError`] if an adapter cannot be made, or a name would mean two things.
    pub fn from_config(adapters: Vec<AdapterConfig>) -> Result<Self, ModelsError> {
        let made: Result<Vec<_>, ModelsError> = adapters.into_iter().map(adapter).collect();
        Ok(Self::new(made?)?)
    }
}

fn adapter(config: AdapterConfig) -> Result<Arc<dyn ModelAdapter>, ModelsError> {
    Ok(match config {
        AdapterConfig::OpenAi(config) => Arc::new(OpenAiAdapter::new(config)?),
        AdapterConfig::Embedded(config) => Arc::new(EmbeddedAdapter::new(config)?),
        AdapterConfig::Scripted(script) => Arc::new(ScriptedAdapter::new(script)),
    })
}

/// A list of adapters that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ModelsError {
    /// An adapter for an OpenAI-compatible server cannot be made.
    #[error(transparent)]
    OpenAi(#[from] OpenAiConfigError),
    /// An adapter for models of our own cannot be made.
    #[error(transparent)]
    Embedded(#[from] EmbeddedConfigError),
    /// A name would mean two things.
    #[error(transparent)]
    Router(#[from] RouterError),
}
