//! What a server lists: whether it is well, and whether it has the model that it would answer for.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::{Method, StatusCode};

use crate::openai::reading::{is_same_model, served_as};
use crate::openai::{refusal, wire};
use crate::{AdapterError, AdapterErrorKind, AdapterHealth, OpenAiAdapter, OpenAiModel};

/// How many names a report lists.
const LISTED: usize = 8;

/// For which models a server was found to list them, or to list nothing at all.
#[derive(Debug, Default)]
pub(super) struct Listings {
    // Bounded by the models that the configuration names.
    checked: Mutex<BTreeSet<String>>,
}

impl Listings {
    fn is_checked(&self, name: &str) -> bool {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    fn remember(&self, name: &str) {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
    }
}

impl OpenAiAdapter {
    /// Refuses a model that the server does not list: an answer in its name would be another model's (C11.3).
    ///
    /// A server that lists nothing is believed, and so is one that fails to: the call itself will tell.
    pub(super) async fn check_listing(&self, model: &OpenAiModel) -> Result<(), AdapterError> {
        let name = served_as(model);
        if self.listings.is_checked(name) {
            return Ok(());
        }
        let Ok(Ok(listed)) = tokio::time::timeout(self.patience(), self.listing()).await else {
            return Ok(());
        };
        if listed.is_empty() || listed.iter().any(|listed| is_listed_as(model, listed)) {
            self.listings.remember(name);
            return Ok(());
        }
        let message = format!(
            "`{}` does not list `{name}`, so what it would answer in that name is another model's; load the model \
             there, add the name that it has there to `also_reported_as` of `{}`, or set `check_listing` to false",
            self.dialer.endpoint, model.id
        );
        Err(AdapterError::new(AdapterErrorKind::ModelUnknown, message))
    }

    /// How the server is, by what it lists (C3.5). Generates nothing.
    pub(super) async fn health_by_listing(&self) -> AdapterHealth {
        let listed = match tokio::time::timeout(self.patience(), self.listing()).await {
            Ok(Ok(listed)) => listed,
            Ok(Err(error)) => return AdapterHealth::Unavailable { reason: self.redacted(error).message },
            Err(_) => {
                let waited = self.patience().as_millis();
                let reason = format!("`{}`: no answer within {waited} ms", self.dialer.endpoint);
                return AdapterHealth::Unavailable { reason };
            }
        };
        let is_missing = |model: &&OpenAiModel| !listed.iter().any(|name| is_listed_as(model, name));
        let missing: Vec<_> = self.config.models.iter().filter(is_missing).collect();
        if listed.is_empty() || missing.is_empty() {
            return AdapterHealth::Healthy;
        }
        let names: Vec<_> =
            missing.iter().take(LISTED).map(|model| format!("`{}`", served_as(model))).collect();
        let reason =
            format!("`{}` does not list {}; load them there", self.dialer.endpoint, names.join(", "));
        AdapterHealth::Degraded { reason }
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(self.config.limits.health_timeout_ms)
    }

    async fn listing(&self) -> Result<Vec<String>, AdapterError> {
        let mut response = self.dialer.send(Method::GET, "/models", Vec::new(), || ()).await?;
        match response.status {
            StatusCode::OK => {
                let body = response.first_bytes(self.config.limits.max_event_bytes).await?;
                let listing: Option<wire::Listing> = serde_json::from_slice(&body).ok();
                Ok(listing
                    .map(|listing| listing.data.into_iter().map(|model| model.id).collect())
                    .unwrap_or_default())
            }
            // It is there, and does not list its models: not every server does.
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
                Ok(Vec::new())
            }
            _ => Err(refusal(response).await.error),
        }
    }
}

/// Whether `listed` is `model`, or its place in a folder of models: some servers list `models/name` and answer `name`.
fn is_listed_as(model: &OpenAiModel, listed: &str) -> bool {
    is_same_model(model, listed)
        || listed.strip_prefix("models/").is_some_and(|name| is_same_model(model, name))
}
