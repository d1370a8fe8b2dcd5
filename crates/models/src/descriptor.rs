//! What an adapter says about itself, and no more than it knows (C3.7).

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What an adapter serves, and where.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[expect(
    clippy::exhaustive_structs,
    reason = "every adapter fills all of it; a new field must not compile unfilled"
)]
pub struct AdapterDescriptor {
    /// Names the adapter in errors, health and telemetry.
    pub name: String,
    /// Whether prompts leave the machine.
    pub locality: Locality,
    /// The models it serves, in order of preference.
    pub models: Vec<ServedModel>,
    /// Calls that it works on at once; whoever comes then waits its turn, and its time does not run. `None`: no bound.
    pub concurrent_calls: Option<NonZeroU32>,
}

/// A model that an adapter serves.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[expect(
    clippy::exhaustive_structs,
    reason = "every adapter fills all of it; a new field must not compile unfilled"
)]
pub struct ServedModel {
    /// By which tasks ask for it.
    pub id: ModelId,
    /// The class of models it belongs to, by which tasks may ask as well.
    pub tier: Option<String>,
    /// Tokens of prompt and reply together. `None` if nobody said.
    pub context_tokens: Option<u64>,
    /// Number of weights. `None` if nobody said.
    pub parameters: Option<u64>,
}

/// Whether prompts leave the machine. A task that is `local_only` is answered by `Local` adapters alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[derive(Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "a prompt leaves the machine or it does not")]
pub enum Locality {
    /// They stay on this machine.
    Local,
    /// They go elsewhere, or may.
    Remote,
}

impl fmt::Display for Locality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "local",
            Self::Remote => "remote",
        })
    }
}

/// A model's name as tasks use it. Compared letter for letter.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModelId(Arc<str>);

impl ModelId {
    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ModelId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
