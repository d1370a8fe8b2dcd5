//! The script: who is answered what, how slowly, at what cost. Read from JSON, or written in Rust.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{AdapterErrorKind, Locality, ModelId, ServedModel};

/// What a [`ScriptedAdapter`](crate::ScriptedAdapter) answers.
///
/// ```
/// let script: models::Script = serde_json::from_str(r#"{
///     "models": [{"id": "stand-in", "tier": "small"}],
///     "tasks": {"answer": [{"act": {"text": "no JSON"}}, {"act": {"reply": {"ok": true}}, "tokens_out": 4}]},
///     "otherwise": {"act": {"reply": {}}, "delay_ms": 5}
/// }"#)?;
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::exhaustive_structs, reason = "tests write it as a literal")]
pub struct Script {
    /// The adapter's name.
    pub name: String,
    /// Whether it claims to be on this machine.
    pub locality: Locality,
    /// What it claims to serve.
    #[serde(deserialize_with = "served")]
    pub models: Vec<ServedModel>,
    /// For each task id a step per attempt, the first for attempt 0. Later attempts repeat the last.
    pub tasks: BTreeMap<String, Vec<Step>>,
    /// For tasks that are not named. `None`: they get a final error.
    pub otherwise: Option<Step>,
    /// Why the adapter is unavailable, if its health check shall say so.
    pub unavailable: Option<String>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            name: String::from("scripted"),
            locality: Locality::Local,
            models: vec![ServedModel {
                id: ModelId::from("scripted"),
                tier: None,
                context_tokens: None,
                parameters: None,
            }],
            tasks: BTreeMap::new(),
            otherwise: None,
            unavailable: None,
        }
    }
}

impl Script {
    pub(super) fn step(&self, task: &str, attempt: u32) -> Option<&Step> {
        let steps = self.tasks.get(task).filter(|steps| !steps.is_empty());
        match steps {
            Some(steps) => {
                let place = usize::try_from(attempt).unwrap_or(usize::MAX);
                steps.get(place).or(steps.last())
            }
            None => self.otherwise.as_ref(),
        }
    }
}

/// One answer.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "tests write it as a literal")]
pub struct Step {
    /// What happens.
    pub act: Act,
    /// Milliseconds before the first token.
    #[serde(default)]
    pub delay_ms: u64,
    /// Milliseconds before each token.
    #[serde(default)]
    pub ms_per_token: u64,
    /// What the prompt is said to cost. Unknown by default.
    #[serde(default)]
    pub tokens_in: Option<u64>,
    /// What the answer costs. By default a token for each 4 bytes; before an error, none.
    #[serde(default)]
    pub tokens_out: Option<u64>,
    /// How the cost becomes known.
    #[serde(default)]
    pub usage: ReportedUsage,
}

impl From<Act> for Step {
    fn from(act: Act) -> Self {
        Self {
            act,
            delay_ms: 0,
            ms_per_token: 0,
            tokens_in: None,
            tokens_out: None,
            usage: ReportedUsage::Told,
        }
    }
}

/// What happens in a [`Step`].
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Act {
    /// Answers with this value as JSON.
    Reply(Value),
    /// Answers with this text, JSON or not.
    Text(String),
    /// Answers with this text and says that it was cut for its length.
    Truncated(String),
    /// Generates until something stops it.
    Overrun,
    /// Fails.
    Error(ScriptedError),
    /// Never answers, and does not keep the deadline.
    Hang,
    /// Panics.
    Panic,
}

/// How a [`Step`] fails.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "tests write it as a literal")]
pub struct ScriptedError {
    /// What went wrong.
    pub kind: AdapterErrorKind,
    /// Whether it may pass. By default as the kind is by nature.
    #[serde(default)]
    pub transient: Option<bool>,
    /// What is said about it.
    #[serde(default)]
    pub message: Option<String>,
    /// How long the "server" asks to wait, in milliseconds.
    #[serde(default)]
    pub retry_after_ms: Option<u64>,
}

/// How the cost of a [`Step`] becomes known.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "counted or not, told or not")]
pub enum ReportedUsage {
    /// Token by token, and told at the end.
    #[default]
    Told,
    /// Token by token, and not told.
    Counted,
    /// All at once, and told at the end: the cap can only be checked then.
    Afterwards,
    /// All at once, and not told: nobody knows.
    Unknown,
}

/// A token for each 4 bytes, the last one begun.
pub(super) fn tokens_of(text: &str) -> u64 {
    u64::try_from(text.len().div_ceil(4)).unwrap_or(u64::MAX)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Served {
    id: ModelId,
    #[serde(default)]
    tier: Option<String>,
    #[serde(default)]
    context_tokens: Option<u64>,
    #[serde(default)]
    parameters: Option<u64>,
}

fn served<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<ServedModel>, D::Error> {
    let models = Vec::<Served>::deserialize(deserializer)?;
    let model = |Served { id, tier, context_tokens, parameters }| ServedModel {
        id,
        tier,
        context_tokens,
        parameters,
    };
    Ok(models.into_iter().map(model).collect())
}
