//! What a local backend has to work with.

use std::time::Duration;

use models::{AdapterConfig, EmbeddedConfig, ModelRouter};
use operations::OperationRegistry;

/// Everything that a [`LocalBackend`](crate::LocalBackend) is made of.
#[expect(clippy::exhaustive_structs, reason = "a plain struct: whoever makes one decides about all of it")]
#[derive(Clone, Debug)]
pub struct LocalConfig {
    /// Tasks that run at once, operations and model calls together. At least 1.
    pub max_concurrency: u32,
    /// What deterministic and aggregation tasks may name.
    pub operations: OperationRegistry,
    /// What model tasks may name.
    pub models: ModelRouter,
    /// How long to wait before a failed model is asked again.
    pub backoff: Backoff,
}

impl Default for LocalConfig {
    /// Four tasks for each processor, since model calls mostly wait; the standard operations; the default model of our
    /// own, in a process of its own. That process needs the program `kora-backend` and the model's weights: without
    /// them a graph that names the model is refused, and says so; others are not concerned.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            max_concurrency: u32::try_from(processors).unwrap_or(u32::MAX).saturating_mul(4),
            operations: OperationRegistry::standard(),
            models: own_model(),
            backoff: Backoff::default(),
        }
    }
}

/// One adapter with one name, of a configuration that has nothing to be wrong about.
fn own_model() -> ModelRouter {
    let own = AdapterConfig::Embedded(EmbeddedConfig::default());
    ModelRouter::from_config(vec![own]).unwrap_or_default()
}

/// The wait before a retry: doubled each time, never beyond what the task's budget has left (S8).
///
/// Only errors of the model's side are waited for. A reply that broke its schema is asked again at once.
#[expect(clippy::exhaustive_structs, reason = "a plain struct: whoever makes one decides about all of it")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Backoff {
    /// Before the first retry.
    pub initial: Duration,
    /// Before any retry. A server that asks for more is given this much.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { initial: Duration::from_millis(100), max: Duration::from_secs(10) }
    }
}

impl Backoff {
    /// How long to wait before attempt `attempt`, counted from 1, if the server asked for `hint`.
    #[must_use]
    pub fn before(&self, attempt: u32, hint: Option<Duration>) -> Duration {
        let doubled =
            self.initial.saturating_mul(1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX));
        doubled.max(hint.unwrap_or_default()).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_has_a_model() {
        assert_eq!(LocalConfig::default().models.descriptors().len(), 1);
    }

    #[test]
    fn the_wait_doubles_and_is_bounded_whatever_a_server_asks() {
        let backoff = Backoff::default();
        let ms = |attempt, hint| backoff.before(attempt, hint).as_millis();
        assert_eq!([ms(1, None), ms(2, None), ms(3, None)], [100, 200, 400]);
        assert_eq!(ms(60, None), 10_000);
        assert_eq!(ms(1, Some(Duration::from_secs(2))), 2_000);
        assert_eq!(ms(1, Some(Duration::from_secs(3600))), 10_000);
    }
}
