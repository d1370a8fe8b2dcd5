//! The backend over standard input and output.

use std::sync::Arc;

use backend_api::StreamingExecution;
use backend_server::{BackendService, HelloModel, HelloModels, Served, StdioLimits, serve_stdio};
use models::{ModelAdapter, ModelId, ModelRouter, OpenAiAdapter, OpenAiConfig, OpenAiModel};
use serde_json::json;

use super::{Args, identity};
use crate::adapters::with_causes;
use crate::backend::{self, BackendChoice};
use crate::exit::Exit;
use crate::refused::CommandError;

/// What the adapter of a caller's models is called in errors and telemetry.
const ADAPTER: &str = "hello";

/// Serves the caller until it says `shutdown` or goes away.
///
/// # Errors
///
/// [`CommandError::Stdio`], or what is wrong with the configuration.
pub(super) async fn serve(args: &Args) -> Result<Exit, CommandError> {
    // Before hello: whoever started this one with a bad configuration should not learn it from a conversation.
    args.models.router()?;
    let fabric = match args.backend {
        BackendChoice::Local => None,
        choice @ BackendChoice::Krako => {
            Some(choice.open(&args.models, &args.krako, args.max_concurrency).await?)
        }
    };
    let make = |models: Option<&HelloModels>| {
        let backend: Arc<dyn StreamingExecution> = match (&fabric, models) {
            (Some(fabric), None) => Arc::clone(fabric),
            (Some(_), Some(_)) => {
                return Err(String::from(
                    "`models` cannot be used: this serves a fabric, whose own models answer; leave them out of `hello`",
                ));
            }
            (None, Some(models)) => Arc::new(backend::local_with(router(models)?, args.max_concurrency)),
            (None, None) => {
                let router = args.models.router().map_err(|error| error.in_one_line())?;
                Arc::new(backend::local_with(router, args.max_concurrency))
            }
        };
        Ok(Served { identity: identity(args), service: Arc::new(BackendService::new(backend)) })
    };
    serve_stdio(tokio::io::stdin(), tokio::io::stdout(), StdioLimits::default(), make).await?;
    Ok(Exit::Success)
}

/// The caller's server as the one that answers model tasks.
fn router(models: &HelloModels) -> Result<ModelRouter, String> {
    if models.models.is_empty() {
        return Ok(ModelRouter::default());
    }
    let config = json!({"name": ADAPTER, "base_url": models.base_url, "models": []});
    let config = serde_json::from_value::<OpenAiConfig>(config).map_err(|error| error.to_string())?;
    let served = models.models.iter().map(served).collect();
    let adapter = OpenAiAdapter::new(OpenAiConfig { models: served, ..config });
    let adapter: Arc<dyn ModelAdapter> =
        Arc::new(adapter.map_err(|error| format!("`models` cannot be used: {}", with_causes(&error)))?);
    ModelRouter::new(vec![adapter]).map_err(|error| format!("`models` cannot be used: {error}"))
}

fn served(model: &HelloModel) -> OpenAiModel {
    OpenAiModel {
        id: ModelId::from(model.id.as_str()),
        served_as: None,
        also_reported_as: Vec::new(),
        tier: model.tier.clone(),
        context_tokens: model.context_tokens,
        parameters: model.parameters,
    }
}
