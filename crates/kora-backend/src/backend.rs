//! Which backend runs the graph. Whoever runs one sees only the contract's trait (C1.3).

use std::sync::Arc;

use backend_api::{BackendMode, StreamingExecution};
use backend_local::{LocalBackend, LocalConfig};
use clap::ValueEnum;

use crate::adapters::ModelArgs;
use crate::refused::CommandError;

/// The backends of this build.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum BackendChoice {
    /// This machine
    Local,
}

impl BackendChoice {
    /// The word in the context.
    pub(crate) fn mode(self) -> BackendMode {
        match self {
            Self::Local => BackendMode::Local,
        }
    }

    /// The backend, ready to run.
    ///
    /// # Errors
    ///
    /// What is wrong with its configuration.
    pub(crate) fn open(
        self,
        models: &ModelArgs,
        max_concurrency: Option<u32>,
    ) -> Result<Arc<dyn StreamingExecution>, CommandError> {
        match self {
            Self::Local => Ok(Arc::new(local(models, max_concurrency)?)),
        }
    }
}

/// This machine as a backend.
///
/// # Errors
///
/// What is wrong with its configuration.
pub(crate) fn local(models: &ModelArgs, max_concurrency: Option<u32>) -> Result<LocalBackend, CommandError> {
    let defaults = LocalConfig::default();
    Ok(LocalBackend::new(LocalConfig {
        max_concurrency: max_concurrency.unwrap_or(defaults.max_concurrency),
        models: models.router()?,
        ..defaults
    }))
}
