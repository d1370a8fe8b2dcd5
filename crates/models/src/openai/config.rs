//! What an operator says about an OpenAI-compatible server. Plain data: read from TOML or JSON.

use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::openai::endpoint::EndpointError;
use crate::{KeySource, ModelId, SecretError};

/// An OpenAI-compatible server: Ollama, llama.cpp, LM Studio, vLLM, a hosted one.
///
/// ```
/// let config: models::OpenAiConfig = serde_json::from_str(r#"{
///     "name": "ollama",
///     "base_url": "http://127.0.0.1:11434/v1",
///     "models": [{"id": "qwen2.5-0.5b", "served_as": "qwen2.5:0.5b", "tier": "small", "context_tokens": 32768}]
/// }"#)?;
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "a plain record of choices, written as a literal")]
pub struct OpenAiConfig {
    /// Names the adapter in errors, health and telemetry.
    pub name: String,
    /// Up to and including the version, usually `…/v1`. `https`; `http` on this machine only.
    pub base_url: String,
    /// Allows `http` to another machine, say in a closed network. Never together with an API key (I9).
    #[serde(default)]
    pub allow_plaintext: bool,
    /// Says that the server, though on this machine, sends prompts elsewhere: a proxy, a tunnel, a hosted model.
    /// `local_only` tasks then never go there. A server elsewhere is remote in any case.
    #[serde(default)]
    pub forwards_elsewhere: bool,
    /// Where the API key is, if the server wants one. Read once, when the adapter is made.
    #[serde(default)]
    pub api_key: Option<KeySource>,
    /// The only certificate authorities to trust, as a PEM file. Without it: those of the system.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The models to use, in order of preference.
    pub models: Vec<OpenAiModel>,
    /// How to make the server keep to the schema.
    #[serde(default)]
    pub structured_output: StructuredOutput,
    /// Asks for strict schemas, as hosted servers call their guarantee. What they then refuse falls back.
    #[serde(default = "yes")]
    pub strict_schema: bool,
    /// In which fields to send the token cap.
    #[serde(default)]
    pub token_cap_fields: TokenCapFields,
    /// Asks for the reply piece by piece, so that it can be cut off. Off for servers that tell what a call cost, or why
    /// it failed, only where they answer in one; then the deadline alone ends a call early.
    #[serde(default = "yes")]
    pub stream: bool,
    /// Asks the server to tell the usage of a stream (`stream_options`). Off for servers that refuse the question.
    #[serde(default = "yes")]
    pub ask_usage: bool,
    /// Sends `temperature: 0` for tasks that declare none. Off for models that refuse the field.
    #[serde(default = "yes")]
    pub send_default_temperature: bool,
    /// Asks the server, once for each model, what it lists, and refuses a model that is not listed: some servers answer
    /// in whatever name they are asked, with the model that they have (C11.3). Off for servers that list only a part.
    #[serde(default = "yes")]
    pub check_listing: bool,
    /// How many calls the server works on at once, such as llama.cpp's slots. More wait here, where their time does not
    /// run (C7.4). Without it: no bound, and what waits waits there.
    #[serde(default)]
    pub concurrent_calls: Option<NonZeroU32>,
    /// Bounds on what the server may send, and how long it may take to connect.
    #[serde(default)]
    pub limits: OpenAiLimits,
}

/// A model of such a server.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "a plain record of choices, written as a literal")]
pub struct OpenAiModel {
    /// By which tasks ask for it.
    pub id: ModelId,
    /// The server's name for it. The id by default.
    #[serde(default)]
    pub served_as: Option<String>,
    /// Other names under which the server may answer for it. Besides these and `served_as`, with a date or `:latest`
    /// after it, an answer in another model's name is refused (C11.3).
    #[serde(default)]
    pub also_reported_as: Vec<String>,
    /// The class of models it belongs to.
    #[serde(default)]
    pub tier: Option<String>,
    /// Tokens of prompt and reply together, if known.
    #[serde(default)]
    pub context_tokens: Option<u64>,
    /// Number of weights, if known.
    #[serde(default)]
    pub parameters: Option<u64>,
}

/// How to make the server keep to the schema. The schema gate checks the reply in any case.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "the ways that servers know")]
pub enum StructuredOutput {
    /// The strongest way that the server accepts, remembered for each model.
    #[default]
    Auto,
    /// `response_format: json_schema`, and nothing else.
    JsonSchema,
    /// `response_format: json_object` with the schema beside it and in the prompt, and nothing else.
    JsonObject,
    /// The schema in the prompt, and nothing else.
    Prompt,
}

/// In which fields of a request the token cap stands.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "there are two fields")]
pub enum TokenCapFields {
    /// `max_tokens` and `max_completion_tokens`: many servers silently ignore the one or the other.
    #[default]
    Both,
    /// `max_tokens` only.
    MaxTokens,
    /// `max_completion_tokens` only, for servers that refuse the other.
    MaxCompletionTokens,
}

/// Bounds on what a server may send, and how long it may take (I8).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::exhaustive_structs, reason = "a plain record of choices, written as a literal")]
pub struct OpenAiLimits {
    /// Milliseconds to connect, TLS included. The task's own time ends it earlier.
    pub connect_timeout_ms: u64,
    /// Milliseconds for a health check.
    pub health_timeout_ms: u64,
    /// Bytes of a response's status line and headers together; at least 8192.
    pub max_header_bytes: usize,
    /// Headers of a response.
    pub max_headers: usize,
    /// Bytes of a response's body.
    pub max_response_bytes: usize,
    /// Bytes of one line of a stream, and of one event.
    pub max_event_bytes: usize,
}

impl Default for OpenAiLimits {
    fn default() -> Self {
        Self {
            connect_timeout_ms: 10_000,
            health_timeout_ms: 3_000,
            max_header_bytes: 64 << 10,
            max_headers: 100,
            max_response_bytes: 64 << 20,
            max_event_bytes: 1 << 20,
        }
    }
}

fn yes() -> bool {
    true
}

/// A configuration that cannot be used. Says which part and how to mend it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenAiConfigError {
    /// The address is not usable.
    #[error("`base_url` of adapter `{adapter}`: {fault}")]
    BaseUrl {
        /// The adapter.
        adapter: String,
        /// What is wrong.
        fault: EndpointError,
    },
    /// The API key is not usable.
    #[error("`api_key` of adapter `{adapter}`: {source}")]
    ApiKey {
        /// The adapter.
        adapter: String,
        /// What is wrong.
        source: SecretError,
    },
    /// A key would travel in the clear.
    #[error("adapter `{adapter}` would send its API key unencrypted; use `https`, or remove `api_key`")]
    KeyInTheClear {
        /// The adapter.
        adapter: String,
    },
    /// The certificate authorities are not usable.
    #[error("certificate authorities of adapter `{adapter}`: {fault}")]
    Authorities {
        /// The adapter.
        adapter: String,
        /// What is wrong.
        fault: String,
    },
    /// There is nothing to serve.
    #[error("adapter `{adapter}` lists no models; name at least one in `models`")]
    NoModels {
        /// The adapter.
        adapter: String,
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
