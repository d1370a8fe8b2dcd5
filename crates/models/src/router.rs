//! Which adapter answers for a declared model or tier: exactly that one, or none (C11.3).

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use kora_ir::{Limits, OutputSchema, Privacy};
use schema_grammar::SchemaNote;
use serde_json::json;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::{AdapterDescriptor, AdapterHealth, Locality, ModelAdapter, ModelId, ServedModel};

/// How many names an error lists.
const LISTED: usize = 32;

/// The adapters of a backend, in order of preference, and the choice among them.
///
/// The choice is a function of configuration and declaration alone: no load, no health, no randomness (I7).
#[derive(Clone, Debug, Default)]
pub struct ModelRouter {
    adapters: Vec<Member>,
}

/// An adapter among others.
#[derive(Clone, Debug)]
struct Member {
    // Invariant: that of the adapter beside it, asked once.
    descriptor: AdapterDescriptor,
    adapter: Arc<dyn ModelAdapter>,
    turns: Option<Arc<Semaphore>>,
}

impl Member {
    fn new(adapter: Arc<dyn ModelAdapter>) -> Self {
        let descriptor = adapter.descriptor();
        let turns = descriptor.concurrent_calls.map(|calls| Arc::new(Semaphore::new(calls.get() as usize)));
        Self { descriptor, adapter, turns }
    }
}

/// Who answers, with which model.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Route {
    /// The adapter to call.
    pub adapter: Arc<dyn ModelAdapter>,
    /// The adapter's name.
    pub adapter_name: String,
    /// The model to ask it for: [`ModelRequest::model`](crate::ModelRequest::model).
    pub model: ModelId,
    /// Whether the prompt will leave the machine.
    pub locality: Locality,
    /// The model's context window in tokens, if somebody said.
    pub context_tokens: Option<u64>,
    turns: Option<Arc<Semaphore>>,
}

impl Route {
    /// What the adapter cannot promise about replies of this schema, or why it takes none. It may be anybody's: a panic of
    /// it is a schema that it does not take.
    ///
    /// # Errors
    ///
    /// The adapter's words.
    pub fn admit(&self, schema: &OutputSchema) -> Result<Vec<SchemaNote>, String> {
        match catch_unwind(AssertUnwindSafe(|| self.adapter.admit(&self.model, schema))) {
            Ok(notes) => notes.map_err(|error| error.message),
            Err(_) => Err(String::from("the model adapter panicked when it was asked")),
        }
    }

    /// Waits until the adapter has room for one more call, in the order of asking. Hold the turn during the call.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the place in the queue up.
    pub async fn turn(&self) -> Turn {
        let permit = match &self.turns {
            // Nobody closes the semaphore, and without one there is no bound.
            Some(turns) => Arc::clone(turns).acquire_owned().await.ok(),
            None => None,
        };
        Turn { _permit: permit }
    }
}

/// The right to one call of an adapter. Dropping it lets the next in.
#[derive(Debug)]
pub struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

impl ModelRouter {
    /// A router over `adapters`, the preferred first. Empty is fine: then every model is unknown.
    ///
    /// # Errors
    ///
    /// [`RouterError`] if a name would mean two things: a declared ceiling has to mean one.
    pub fn new(adapters: Vec<Arc<dyn ModelAdapter>>) -> Result<Self, RouterError> {
        let adapters: Vec<_> = adapters.into_iter().map(Member::new).collect();
        let mut names = BTreeSet::new();
        let mut tiers_by_id: BTreeMap<&ModelId, Option<&str>> = BTreeMap::new();
        for Member { descriptor, .. } in &adapters {
            if !names.insert(descriptor.name.as_str()) {
                return Err(RouterError::AdapterTwice { adapter: descriptor.name.clone() });
            }
            let mut own = BTreeSet::new();
            for model in &descriptor.models {
                if !own.insert(&model.id) {
                    return Err(RouterError::ModelTwice {
                        adapter: descriptor.name.clone(),
                        model: model.id.clone(),
                    });
                }
                let tier = model.tier.as_deref();
                if *tiers_by_id.entry(&model.id).or_insert(tier) != tier {
                    return Err(RouterError::TwoTiers { model: model.id.clone() });
                }
            }
        }
        for tier in tiers_by_id.values().flatten() {
            if tiers_by_id.contains_key(&ModelId::from(*tier)) {
                return Err(RouterError::TierNamedAsModel { name: (*tier).to_owned() });
            }
        }
        Ok(Self { adapters })
    }

    /// The first adapter that serves the declared model, or a model of the declared tier, where `privacy` lets it go.
    ///
    /// A model is never replaced by another, a tier never by another tier: `declared` is the ceiling, and nobody said
    /// that something lighter will do (C11.3).
    ///
    /// # Errors
    ///
    /// [`RouteError`] if there is none.
    pub fn route(&self, declared: &str, privacy: Privacy) -> Result<Route, RouteError> {
        let mut forbidden = Vec::new();
        for Member { descriptor, adapter, turns } in &self.adapters {
            let found = descriptor
                .models
                .iter()
                .find(|model| model.id.as_str() == declared || model.tier.as_deref() == Some(declared));
            let Some(model) = found else { continue };
            match (privacy, descriptor.locality) {
                (Privacy::LocalOnly, Locality::Remote) => forbidden.push(descriptor.name.clone()),
                (Privacy::LocalOnly, Locality::Local) | (Privacy::AllowRemote, _) => {
                    return Ok(Route {
                        adapter: Arc::clone(adapter),
                        adapter_name: descriptor.name.clone(),
                        model: model.id.clone(),
                        locality: descriptor.locality,
                        context_tokens: model.context_tokens,
                        turns: turns.clone(),
                    });
                }
            }
        }
        if forbidden.is_empty() {
            Err(RouteError::ModelUnknown { declared: declared.to_owned(), available: self.available() })
        } else {
            Err(RouteError::RemoteForbidden { declared: declared.to_owned(), adapters: forbidden })
        }
    }

    /// What the adapters serve, in order of preference (C3.6).
    pub fn descriptors(&self) -> impl ExactSizeIterator<Item = &AdapterDescriptor> {
        self.adapters.iter().map(|member| &member.descriptor)
    }

    /// Of what the adapters serve, the models that there is any task for: their weights and programs are there (C3.7).
    pub fn offered(&self) -> impl Iterator<Item = (&AdapterDescriptor, &ServedModel)> {
        static ANYTHING: LazyLock<Option<OutputSchema>> =
            LazyLock::new(|| OutputSchema::compile(json!({"type": "null"}), &Limits::default()).ok());
        let is_admitted = |model: &ServedModel| {
            let Some(anything) = &*ANYTHING else { return false };
            let route = self.route(model.id.as_str(), Privacy::AllowRemote);
            route.is_ok_and(|route| route.admit(anything).is_ok())
        };
        self.descriptors()
            .flat_map(|adapter| adapter.models.iter().map(move |model| (adapter, model)))
            .filter(move |(_, model)| is_admitted(model))
    }

    /// How every adapter is, asked all at once, in order of preference (C3.5).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the asking.
    pub async fn health(&self) -> Vec<(String, AdapterHealth)> {
        let mut asked = JoinSet::new();
        let mut answers: Vec<_> = self
            .descriptors()
            .map(|descriptor| {
                let reason = String::from("the health check itself failed");
                (descriptor.name.clone(), AdapterHealth::Unavailable { reason })
            })
            .collect();
        for (place, Member { adapter, .. }) in self.adapters.iter().enumerate() {
            let adapter = Arc::clone(adapter);
            asked.spawn(async move { (place, adapter.health().await) });
        }
        while let Some(answer) = asked.join_next().await {
            if let Ok((place, health)) = answer {
                answers[place].1 = health;
            }
        }
        answers
    }

    fn available(&self) -> Vec<String> {
        let models = self.descriptors().flat_map(|descriptor| &descriptor.models);
        let names: BTreeSet<&str> = models
            .flat_map(|model| std::iter::once(model.id.as_str()).chain(model.tier.as_deref()))
            .collect();
        names.into_iter().take(LISTED).map(str::to_owned).collect()
    }
}

/// No adapter may answer for what a task declares.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a backend maps each to a refusal; a new one must not compile unmapped"
)]
pub enum RouteError {
    /// Nothing here is called so.
    #[error("no model or tier is called `{declared}`; there are {}", listed(.available))]
    ModelUnknown {
        /// What the task declares.
        declared: String,
        /// Models and tiers that exist, in alphabetical order, at most 32.
        available: Vec<String>,
    },
    /// It exists, but only where a `local_only` task must not go.
    #[error("`{declared}` is only served remotely, by {}, and the task is `local_only`", listed(.adapters))]
    RemoteForbidden {
        /// What the task declares.
        declared: String,
        /// The adapters that serve it.
        adapters: Vec<String>,
    },
}

/// A set of adapters in which a name means two things.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum RouterError {
    /// Two adapters have one name.
    #[error("two adapters are called `{adapter}`; give each its own name")]
    AdapterTwice {
        /// Their name.
        adapter: String,
    },
    /// An adapter lists a model twice.
    #[error("adapter `{adapter}` lists model `{model}` twice; remove one")]
    ModelTwice {
        /// The adapter.
        adapter: String,
        /// The model.
        model: ModelId,
    },
    /// Two adapters put one model into different tiers.
    #[error("model `{model}` is in two tiers; give it the same tier in every adapter, or another id")]
    TwoTiers {
        /// The model.
        model: ModelId,
    },
    /// A tier has the name of a model.
    #[error("`{name}` is both a model and a tier; rename one")]
    TierNamedAsModel {
        /// The name.
        name: String,
    },
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return String::from("none");
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EmbeddedAdapter, EmbeddedConfig, Script, ScriptedAdapter};

    fn adapter(name: &str, locality: Locality, models: &[(&str, Option<&str>)]) -> Arc<dyn ModelAdapter> {
        let models = models
            .iter()
            .map(|(id, tier)| ServedModel {
                id: ModelId::from(*id),
                tier: tier.map(str::to_owned),
                context_tokens: None,
                parameters: None,
            })
            .collect();
        let script = Script { name: name.to_owned(), locality, models, ..Script::default() };
        Arc::new(ScriptedAdapter::new(script))
    }

    fn router() -> ModelRouter {
        ModelRouter::new(vec![
            adapter("cloud", Locality::Remote, &[("big", Some("large")), ("tiny", Some("small"))]),
            adapter("here", Locality::Local, &[("tiny", Some("small"))]),
        ])
        .unwrap()
    }

    fn check(declared: &str, privacy: Privacy, expected: &str) {
        let found = match router().route(declared, privacy) {
            Ok(route) => format!("{} on {}", route.model, route.adapter_name),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn an_exact_model_or_tier_is_served_by_the_first_that_may() {
        check("big", Privacy::AllowRemote, "big on cloud");
        check("small", Privacy::AllowRemote, "tiny on cloud");
        check("small", Privacy::LocalOnly, "tiny on here");
        check("tiny", Privacy::LocalOnly, "tiny on here");
    }

    #[test]
    fn local_only_never_goes_elsewhere() {
        check(
            "large",
            Privacy::LocalOnly,
            "`large` is only served remotely, by `cloud`, and the task is `local_only`",
        );
    }

    // shows C3.7
    #[test]
    fn a_model_that_no_task_would_be_admitted_for_is_not_offered() {
        let embedded = EmbeddedAdapter::new(EmbeddedConfig {
            worker: Some("/no/such/program".into()),
            ..EmbeddedConfig::default()
        });
        let router = ModelRouter::new(vec![
            Arc::new(embedded.unwrap()),
            adapter("here", Locality::Local, &[("light", None)]),
        ])
        .unwrap();
        let offered: Vec<_> =
            router.offered().map(|(adapter, model)| (&*adapter.name, model.id.as_str())).collect();
        assert_eq!(offered, [("here", "light")]);
    }

    #[test]
    fn nothing_stands_in_for_what_was_declared() {
        check(
            "medium",
            Privacy::AllowRemote,
            "no model or tier is called `medium`; there are `big`, `large`, `small`, `tiny`",
        );
        check(
            "BIG",
            Privacy::AllowRemote,
            "no model or tier is called `BIG`; there are `big`, `large`, `small`, `tiny`",
        );
        let none = ModelRouter::default().route("big", Privacy::AllowRemote).unwrap_err();
        assert_eq!(none.to_string(), "no model or tier is called `big`; there are none");
    }

    #[test]
    fn a_name_that_means_two_things_is_refused() {
        let two = |a: &[(&str, Option<&str>)], b: &[(&str, Option<&str>)]| {
            ModelRouter::new(vec![adapter("a", Locality::Local, a), adapter("b", Locality::Local, b)])
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            two(&[("x", Some("small"))], &[("x", Some("large"))]),
            "model `x` is in two tiers; give it the same tier in every adapter, or another id"
        );
        assert_eq!(
            two(&[("x", Some("y"))], &[("y", Some("z"))]),
            "`y` is both a model and a tier; rename one"
        );
        assert_eq!(two(&[("x", None), ("x", None)], &[]), "adapter `a` lists model `x` twice; remove one");
    }
}
