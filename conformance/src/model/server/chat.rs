//! What a backend asks for, as it comes over the wire.

use serde::Deserialize;

use crate::model::Asked;

/// A request for an answer. What else it holds is accepted and ignored.
#[derive(Debug)]
pub(super) struct Chat {
    pub(super) asked: Asked,
    pub(super) is_streamed: bool,
    pub(super) tells_usage: bool,
}

#[derive(Deserialize)]
struct Request {
    model: String,
    messages: Vec<Message>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "role")]
    _role: String,
    content: Option<Content>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    text: Option<String>,
}

impl Chat {
    /// Reads a request's body, or says what is wrong with it.
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        let request: Request = serde_json::from_slice(body)
            .map_err(|error| format!("not a chat completion request: {error}"))?;
        if request.messages.is_empty() {
            return Err(String::from("`messages` is empty; send the task's prompt"));
        }
        let prompt: Vec<_> = request.messages.into_iter().map(Message::text).collect();
        // Many clients send both. The smaller one is what the backend is sure to hold to.
        let caps = [request.max_tokens, request.max_completion_tokens];
        Ok(Self {
            asked: Asked {
                model: request.model,
                max_tokens: caps.into_iter().flatten().min(),
                prompt: prompt.join("\n\n"),
            },
            is_streamed: request.stream.unwrap_or(false),
            tells_usage: request.stream_options.and_then(|options| options.include_usage).unwrap_or(false),
        })
    }
}

impl Message {
    fn text(self) -> String {
        match self.content {
            None => String::new(),
            Some(Content::Text(text)) => text,
            Some(Content::Parts(parts)) => parts.into_iter().filter_map(|part| part.text).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(body: &Value) -> Result<Chat, String> {
        Chat::read(body.to_string().as_bytes())
    }

    #[test]
    fn a_conversation_is_its_texts_and_the_smaller_cap_counts() {
        let chat = read(&json!({
            "model": "suite-small", "temperature": 0, "whatever": {"else": 1}, "max_tokens": 9,
            "max_completion_tokens": 7, "stream": true, "stream_options": {"include_usage": true},
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "assistant", "content": null, "name": "x"},
                {"role": "user", "content": [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}]},
            ],
        }));
        let chat = chat.unwrap();
        assert_eq!(
            chat.asked,
            Asked {
                model: "suite-small".into(),
                max_tokens: Some(7),
                prompt: "be brief\n\n\n\nhello".into()
            }
        );
        assert!(chat.is_streamed && chat.tells_usage);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let check = |body: Value, words: &str| {
            let message = read(&body).unwrap_err();
            assert!(message.contains(words), "{message}");
        };
        check(json!([]), "not a chat completion request");
        check(json!({"messages": []}), "missing field `model`");
        check(json!({"model": "m", "messages": []}), "`messages` is empty");
        check(json!({"model": "m", "messages": [{"role": "user"}], "max_tokens": -1}), "invalid value");
        check(json!({"model": "m", "messages": [{"content": "x"}]}), "missing field `role`");
    }
}
