//! What travels: the request as it is written, the pieces of an answer as they are read.

use std::borrow::Cow;

use kora_ir::{Message, Role};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::openai::structured::Mode;
use crate::{ModelRequest, OpenAiConfig, TokenCapFields};

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: Vec<Said<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Value>,
}

#[derive(Serialize)]
struct Said<'a> {
    role: &'static str,
    content: Cow<'a, str>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

/// The body of a request, in the given way of asking for structured output.
pub(super) fn request(
    config: &OpenAiConfig,
    served_as: &str,
    request: &ModelRequest,
    mode: Mode,
) -> Result<Vec<u8>, serde_json::Error> {
    let cap = request.max_output_tokens;
    let (old, new) = match config.token_cap_fields {
        TokenCapFields::Both => (Some(cap), Some(cap)),
        TokenCapFields::MaxTokens => (Some(cap), None),
        TokenCapFields::MaxCompletionTokens => (None, Some(cap)),
    };
    let parameters = &request.parameters;
    let schema = request.schema.document();
    serde_json::to_vec(&Request {
        model: served_as,
        messages: messages(&request.messages, mode.instruction(schema)),
        stream: config.stream,
        stream_options: (config.stream && config.ask_usage).then_some(StreamOptions { include_usage: true }),
        max_tokens: old,
        max_completion_tokens: new,
        temperature: parameters.temperature.or(config.send_default_temperature.then_some(0.0)),
        top_p: parameters.top_p,
        seed: parameters.seed,
        response_format: mode.response_format(schema, config.strict_schema),
    })
}

/// The conversation, with `instruction` at the end of its first system message, or as one.
fn messages(messages: &[Message<String>], instruction: Option<String>) -> Vec<Said<'_>> {
    let mut said: Vec<Said<'_>> = messages
        .iter()
        .map(|message| Said { role: role(message.role), content: Cow::Borrowed(&message.content) })
        .collect();
    if let Some(instruction) = instruction {
        match said.first_mut() {
            Some(first) if first.role == role(Role::System) => {
                first.content = Cow::Owned(format!("{}\n\n{instruction}", first.content));
            }
            Some(_) | None => {
                said.insert(0, Said { role: role(Role::System), content: Cow::Owned(instruction) })
            }
        }
    }
    said
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

/// A piece of a streamed answer, or a whole answer: the fields differ in name only.
#[derive(Deserialize)]
pub(super) struct Piece {
    pub(super) model: Option<String>,
    pub(super) choices: Option<Vec<Choice>>,
    pub(super) usage: Option<ToldUsage>,
    pub(super) error: Option<Value>,
}

/// One of the answers. Only the first counts; the others are counted.
#[derive(Deserialize)]
pub(super) struct Choice {
    pub(super) index: Option<u64>,
    #[serde(alias = "message")]
    pub(super) delta: Option<Delta>,
    pub(super) finish_reason: Option<String>,
}

/// What is new in an answer. Everything but `content` is generated too, and is no part of the reply.
#[derive(Deserialize)]
pub(super) struct Delta {
    pub(super) content: Option<String>,
    pub(super) reasoning_content: Option<String>,
    pub(super) reasoning: Option<String>,
    pub(super) refusal: Option<String>,
    tool_calls: Option<Vec<IgnoredAny>>,
    function_call: Option<IgnoredAny>,
}

impl Delta {
    /// Bytes of everything generated here. A tool call, which nobody asked for, is at least one.
    pub(super) fn generated_bytes(&self) -> usize {
        let texts = [&self.content, &self.reasoning_content, &self.reasoning, &self.refusal];
        let texts: usize = texts.into_iter().flatten().map(String::len).sum();
        let calls = self.tool_calls.as_ref().map_or(0, Vec::len) + usize::from(self.function_call.is_some());
        texts.saturating_add(calls)
    }
}

/// What the server says was spent. Numbers that are none are as good as not said.
#[derive(Deserialize)]
pub(super) struct ToldUsage {
    #[serde(default)]
    prompt_tokens: Value,
    #[serde(default)]
    completion_tokens: Value,
}

impl ToldUsage {
    pub(super) fn tokens_in(&self) -> Option<u64> {
        self.prompt_tokens.as_u64()
    }

    pub(super) fn tokens_out(&self) -> Option<u64> {
        self.completion_tokens.as_u64()
    }
}

/// The models that a server lists.
#[derive(Deserialize)]
pub(super) struct Listing {
    pub(super) data: Vec<Listed>,
}

/// A model that a server lists.
#[derive(Deserialize)]
pub(super) struct Listed {
    pub(super) id: String,
}
