//! How a server is made to keep to a schema, and what it is known to accept.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde_json::{Value, json};

use crate::StructuredOutput;

/// A way of asking for structured output, the strongest first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub(super) enum Mode {
    JsonSchema,
    JsonObject,
    Prompt,
}

impl Mode {
    /// The next best way.
    pub(super) fn weaker(self) -> Option<Self> {
        match self {
            Self::JsonSchema => Some(Self::JsonObject),
            Self::JsonObject => Some(Self::Prompt),
            Self::Prompt => None,
        }
    }

    /// The `response_format` of a request.
    pub(super) fn response_format(self, schema: &Value, strict: bool) -> Option<Value> {
        match self {
            Self::JsonSchema => Some(json!({
                "type": "json_schema",
                "json_schema": {"name": "output", "schema": schema, "strict": strict},
            })),
            Self::JsonObject => Some(json!({"type": "json_object", "schema": schema})),
            Self::Prompt => None,
        }
    }

    /// What has to stand in the prompt, because the server alone does not make the model keep to the schema.
    pub(super) fn instruction(self, schema: &Value) -> Option<String> {
        match self {
            Self::JsonSchema => None,
            Self::JsonObject | Self::Prompt => Some(format!(
                "Answer with one JSON value and nothing else: no explanation, no code fence. \
                 The JSON value must be valid against this JSON Schema: {schema}"
            )),
        }
    }
}

/// What the models of one endpoint are known to accept.
#[derive(Debug)]
pub(super) struct Modes {
    configured: StructuredOutput,
    // Bounded by the models that the configuration names.
    accepted: Mutex<BTreeMap<String, Mode>>,
}

impl Modes {
    pub(super) fn new(configured: StructuredOutput) -> Self {
        Self { configured, accepted: Mutex::default() }
    }

    /// With which mode to begin.
    pub(super) fn first(&self, model: &str) -> Mode {
        match self.configured {
            StructuredOutput::Auto => {
                let accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
                accepted.get(model).copied().unwrap_or(Mode::JsonSchema)
            }
            StructuredOutput::JsonSchema => Mode::JsonSchema,
            StructuredOutput::JsonObject => Mode::JsonObject,
            StructuredOutput::Prompt => Mode::Prompt,
        }
    }

    /// With which mode to go on after `mode` was turned down.
    pub(super) fn after(&self, mode: Mode) -> Option<Mode> {
        match self.configured {
            StructuredOutput::Auto => mode.weaker(),
            StructuredOutput::JsonSchema | StructuredOutput::JsonObject | StructuredOutput::Prompt => None,
        }
    }

    /// Remembers that everything stronger than `mode` is in vain for this model.
    pub(super) fn remember(&self, model: &str, mode: Mode) {
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        // Two calls may learn at once; the weaker lesson holds.
        let known = accepted.entry(model.to_owned()).or_insert(mode);
        *known = (*known).max(mode);
    }
}
