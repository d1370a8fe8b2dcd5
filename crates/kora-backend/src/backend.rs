//! Which backend runs the graph. Whoever runs one sees only the contract's trait (C1.3).

use std::sync::Arc;

use backend_api::{BackendMode, StreamingExecution};
use backend_local::{LocalBackend, LocalConfig};
use clap::ValueEnum;
use models::ModelRouter;

use crate::adapters::ModelArgs;
use crate::krako::KrakoArgs;
use crate::refused::CommandError;

/// The backends of this build.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum BackendChoice {
    /// This machine
    Local,
    /// A fabric elsewhere, or that of `kora-backend fabric up`
    Krako,
}

impl BackendChoice {
    /// The word in the context.
    pub(crate) fn mode(self) -> BackendMode {
        match self {
            Self::Local => BackendMode::Local,
            Self::Krako => BackendMode::Krako,
        }
    }

    /// The backend, ready to run.
    ///
    /// # Errors
    ///
    /// What is wrong with its configuration, or why the fabric cannot be used.
    pub(crate) async fn open(
        self,
        models: &ModelArgs,
        krako: &KrakoArgs,
        max_concurrency: Option<u32>,
    ) -> Result<Arc<dyn StreamingExecution>, CommandError> {
        Ok(match self {
            Self::Local => Arc::new(local(models, max_concurrency)?),
            Self::Krako => Arc::new(krako.connect(models, max_concurrency).await?),
        })
    }
}

/// This machine as a backend.
///
/// # Errors
///
/// What is wrong with its configuration.
pub(crate) fn local(models: &ModelArgs, max_concurrency: Option<u32>) -> Result<LocalBackend, CommandError> {
    Ok(local_with(models.router()?, max_concurrency))
}

/// This machine as a backend, with these models and no others.
pub(crate) fn local_with(models: ModelRouter, max_concurrency: Option<u32>) -> LocalBackend {
    let defaults = LocalConfig::default();
    LocalBackend::new(LocalConfig {
        max_concurrency: max_concurrency.unwrap_or(defaults.max_concurrency),
        models,
        ..defaults
    })
}
