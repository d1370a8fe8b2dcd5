//! Where the weights of a model are, and what is known of them without a worker.

use std::path::PathBuf;

use model_store::{GgufHeader, ModelName, NoHome, Sha256Digest, Store};

use super::config::{EmbeddedConfigError, EmbeddedModel, WeightsSource};
use crate::{ModelId, ServedModel};

/// A model as configured, its weights named and perhaps not there yet.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) served: ServedModel,
    place: Place,
    sha256: Option<Sha256Digest>,
    /// As configured: what is known otherwise, the worker knows as well.
    pub(super) context_tokens: Option<u64>,
}

#[derive(Debug)]
enum Place {
    Store(ModelName),
    File(PathBuf),
}

/// Weights that are there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Weights {
    pub(super) path: PathBuf,
    pub(super) sha256: Option<Sha256Digest>,
}

impl Model {
    /// Looks at what is there, and asks nobody.
    pub(super) fn new(
        config: &EmbeddedModel,
        adapter: &str,
        store: Result<&Store, &NoHome>,
    ) -> Result<Self, EmbeddedConfigError> {
        let place = match &config.weights {
            Some(WeightsSource::Path(path)) => Place::File(path.clone()),
            Some(WeightsSource::Store(name)) => Place::Store(named(name, &config.id, adapter)?),
            None => Place::Store(named(config.id.as_str(), &config.id, adapter)?),
        };
        let facts = Facts::of(&place, store.ok());
        let context_tokens = match (config.context_tokens, facts.context_tokens) {
            (Some(fewer), Some(all)) => Some(fewer.min(all)),
            (said, known) => said.or(known),
        };
        let served = ServedModel {
            id: config.id.clone(),
            tier: config.tier.clone().or(facts.tier),
            context_tokens,
            parameters: facts.parameters,
        };
        Ok(Self { served, place, sha256: config.sha256, context_tokens: config.context_tokens })
    }

    /// The weights, if they are there.
    ///
    /// # Errors
    ///
    /// A sentence that says how to get them.
    pub(super) fn weights(&self, store: Result<&Store, &NoHome>) -> Result<Weights, String> {
        match &self.place {
            Place::File(path) if path.is_file() => Ok(Weights { path: path.clone(), sha256: self.sha256 }),
            Place::File(path) => Err(format!(
                "the weights of `{}` should be `{}`, and there is no such file",
                self.served.id,
                path.display()
            )),
            Place::Store(name) => {
                let store = store.map_err(ToString::to_string)?;
                let found = store.find(name).map_err(|error| error.to_string())?;
                Ok(Weights { path: found.path, sha256: self.sha256.or(Some(found.sha256)) })
            }
        }
    }

    /// The name in the store under which the weights would be looked for.
    pub(super) fn store_name(&self) -> Option<&ModelName> {
        match &self.place {
            Place::Store(name) => Some(name),
            Place::File(_) => None,
        }
    }
}

fn named(name: &str, model: &ModelId, adapter: &str) -> Result<ModelName, EmbeddedConfigError> {
    ModelName::new(name).map_err(|source| EmbeddedConfigError::NotInStore {
        adapter: adapter.to_owned(),
        model: model.clone(),
        source,
    })
}

/// What the catalogue, the store or the file itself tell. What nobody tells is not known (C3.7).
#[derive(Default)]
struct Facts {
    tier: Option<String>,
    context_tokens: Option<u64>,
    parameters: Option<u64>,
}

impl Facts {
    fn of(place: &Place, store: Option<&Store>) -> Self {
        match place {
            Place::Store(name) => {
                let Some(store) = store else { return Self::default() };
                if let Some(entry) = store.catalogue().entry(name) {
                    return Self {
                        tier: Some(entry.tier.clone()),
                        context_tokens: Some(entry.context_tokens),
                        parameters: Some(entry.parameters),
                    };
                }
                store.find(name).map_or_else(
                    |_| Self::default(),
                    |found| Self {
                        tier: None,
                        context_tokens: found.context_tokens,
                        parameters: Some(found.parameters),
                    },
                )
            }
            Place::File(path) => GgufHeader::read(path).map_or_else(
                |_| Self::default(),
                |header| Self {
                    tier: None,
                    context_tokens: header.context_tokens,
                    parameters: Some(header.parameters),
                },
            ),
        }
    }
}
