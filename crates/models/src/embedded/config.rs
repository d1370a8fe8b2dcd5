//! What an operator says about models of our own. Plain data: read from TOML or JSON.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use model_store::{DEFAULT_MODEL, InvalidModelName, Sha256Digest};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ModelId;

/// Models that run in worker processes of ours, on this machine.
///
/// ```
/// let config: models::EmbeddedConfig = serde_json::from_str(r#"{
///     "models": [
///         {"id": "smollm2-135m-instruct", "tier": "tiny"},
///         {"id": "mine", "tier": "small", "weights": {"path": "/srv/models/mine.gguf"}, "context_tokens": 4096}
///     ],
///     "threads": 2
/// }"#)?;
/// assert_eq!(config.name, "embedded");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "a plain record of choices, written as a literal")]
pub struct EmbeddedConfig {
    /// Names the adapter in errors, health and telemetry.
    #[serde(default = "embedded")]
    pub name: String,
    /// The models to use, in order of preference.
    pub models: Vec<EmbeddedModel>,
    /// The program that runs a model when it is called as `PROGRAM model-worker`. Without it: what
    /// `KORA_BACKEND_WORKER` names, else this very program if it is `kora-backend`, else the `kora-backend` beside it,
    /// else the one on the `PATH`.
    #[serde(default)]
    pub worker: Option<PathBuf>,
    /// Who computes in each process. Without it: llama.cpp if `worker` was built with it, else our own forward pass.
    #[serde(default)]
    pub runtime: Option<EmbeddedRuntime>,
    /// Replies that are generated at once, each by a process of its own.
    #[serde(default = "one")]
    pub workers: NonZeroU32,
    /// Threads of each process. More than one is worth it on an otherwise idle machine only: they wait for each other.
    #[serde(default = "one")]
    pub threads: NonZeroU32,
    /// Bounds on processes and on their patience.
    #[serde(default)]
    pub limits: EmbeddedLimits,
}

impl Default for EmbeddedConfig {
    /// The default model, one reply at a time, one thread.
    fn default() -> Self {
        Self {
            name: embedded(),
            models: vec![EmbeddedModel {
                id: ModelId::from(DEFAULT_MODEL),
                tier: None,
                weights: None,
                sha256: None,
                context_tokens: None,
            }],
            worker: None,
            runtime: None,
            workers: one(),
            threads: one(),
            limits: EmbeddedLimits::default(),
        }
    }
}

/// A model of our own.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "a plain record of choices, written as a literal")]
pub struct EmbeddedModel {
    /// By which tasks ask for it.
    pub id: ModelId,
    /// The class of models it belongs to. That of the catalogue by default.
    #[serde(default)]
    pub tier: Option<String>,
    /// Where its weights are. By default those in the store that go by the id.
    #[serde(default)]
    pub weights: Option<WeightsSource>,
    /// What the weights hash to; others are refused. That of the store by default.
    #[serde(default)]
    pub sha256: Option<Sha256Digest>,
    /// Tokens of prompt and reply together, if it should be fewer than the model can.
    #[serde(default)]
    pub context_tokens: Option<u64>,
}

/// Who computes what a model says.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "the runtimes that a worker may have")]
pub enum EmbeddedRuntime {
    /// Our own forward pass, which every worker has.
    Own,
    /// llama.cpp. A worker that was built without it says so when its model is asked for.
    LlamaCpp,
}

impl EmbeddedRuntime {
    /// Its name in configurations, and behind a worker's `--runtime`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::LlamaCpp => "llamacpp",
        }
    }
}

/// Where weights are.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "they are in the store or elsewhere")]
pub enum WeightsSource {
    /// In the store, under this name.
    Store(String),
    /// In this GGUF file.
    Path(PathBuf),
}

/// Bounds on worker processes (I8).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::exhaustive_structs, reason = "a plain record of choices, written as a literal")]
pub struct EmbeddedLimits {
    /// Processes at once, idle ones included: each holds a model in memory. At least as many as `workers`. The one
    /// that was idle longest goes when another model needs its place.
    pub max_processes: NonZeroU32,
    /// Milliseconds to load a model.
    pub load_timeout_ms: u64,
    /// Milliseconds without a sign of life before a process counts as stuck.
    pub silence_timeout_ms: u64,
    /// Milliseconds to stop when told to, before the process is killed.
    pub cancel_grace_ms: u64,
    /// Milliseconds that a process waits for work before it goes.
    pub idle_timeout_ms: u64,
    /// Milliseconds to wait before a process is started again after a failure; doubled each time.
    pub first_restart_delay_ms: u64,
    /// The most milliseconds of such a wait.
    pub max_restart_delay_ms: u64,
}

impl Default for EmbeddedLimits {
    fn default() -> Self {
        Self {
            max_processes: NonZeroU32::MIN.saturating_add(1),
            load_timeout_ms: 120_000,
            silence_timeout_ms: 5_000,
            cancel_grace_ms: 1_000,
            idle_timeout_ms: 300_000,
            first_restart_delay_ms: 100,
            max_restart_delay_ms: 30_000,
        }
    }
}

impl EmbeddedLimits {
    pub(super) fn load_timeout(&self) -> Duration {
        Duration::from_millis(self.load_timeout_ms)
    }

    pub(super) fn silence_timeout(&self) -> Duration {
        Duration::from_millis(self.silence_timeout_ms)
    }

    pub(super) fn cancel_grace(&self) -> Duration {
        Duration::from_millis(self.cancel_grace_ms)
    }

    pub(super) fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }

    /// How long to wait after so many failures in a row, counted from 1.
    pub(super) fn restart_delay(&self, failures: u32) -> Duration {
        let doubled = 1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX);
        let delay_ms = self.first_restart_delay_ms.saturating_mul(doubled).min(self.max_restart_delay_ms);
        Duration::from_millis(delay_ms)
    }
}

fn embedded() -> String {
    String::from("embedded")
}

fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}

/// A configuration that cannot be used. Says which part and how to mend it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EmbeddedConfigError {
    /// There is nothing to serve.
    #[error("adapter `{adapter}` lists no models; name at least one in `models`")]
    NoModels {
        /// The adapter.
        adapter: String,
    },
    /// The weights of a model cannot be in the store.
    #[error(
        "weights of model `{model}` of adapter `{adapter}`: {source}; say where they are by `weights.path`"
    )]
    NotInStore {
        /// The adapter.
        adapter: String,
        /// The model.
        model: ModelId,
        /// What is wrong with the name.
        source: InvalidModelName,
    },
    /// A limit is out of its range.
    #[error("`limits.{limit}` of adapter `{adapter}` must be at least {least}")]
    Limit {
        /// The adapter.
        adapter: String,
        /// Which limit.
        limit: &'static str,
        /// The least that works.
        least: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_model_of_the_catalogue() {
        let config = EmbeddedConfig::default();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<EmbeddedConfig>(&text).unwrap(), config);
        let least: EmbeddedConfig =
            serde_json::from_str(r#"{"models": [{"id": "smollm2-135m-instruct"}]}"#).unwrap();
        assert_eq!(least, config);
    }

    #[test]
    fn a_runtime_is_told_to_a_worker_by_the_name_that_it_has_in_configurations() {
        for runtime in [EmbeddedRuntime::Own, EmbeddedRuntime::LlamaCpp] {
            assert_eq!(serde_json::to_value(runtime).unwrap(), runtime.name());
        }
        assert!(serde_json::from_str::<EmbeddedRuntime>("\"gpu\"").is_err());
    }

    #[test]
    fn the_wait_before_a_restart_doubles_up_to_its_bound() {
        let limits = EmbeddedLimits::default();
        let ms = |failures| limits.restart_delay(failures).as_millis();
        assert_eq!(
            [ms(1), ms(2), ms(3), ms(9), ms(10), ms(u32::MAX)],
            [100, 200, 400, 25_600, 30_000, 30_000]
        );
    }
}
