//! The model over HTTP: one streamed call for each connection.

use std::collections::VecDeque;

use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::{Fault, Said};
use crate::loopback::{Address, Lost, Reply};
use crate::model::Asked;

/// Bytes of one line of a stream.
const MAX_LINE_BYTES: usize = 1 << 20;

/// An answer on its way over HTTP.
#[derive(Debug)]
pub(super) struct Stream {
    reply: Reply,
    // What came and is no whole line yet.
    line: Vec<u8>,
    heard: VecDeque<Said>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Delta,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
}

/// Calls the model, and waits for the head of its answer.
pub(super) async fn call(address: &Address, asked: Asked) -> Result<Stream, Fault> {
    let mut body = json!({
        "model": asked.model, "messages": [{"role": "user", "content": asked.prompt}],
        "stream": true, "stream_options": {"include_usage": true},
    });
    if let Some(cap) = asked.max_tokens {
        body["max_tokens"] = cap.into();
    }
    let sent = address.send(Method::POST, "/chat/completions", Some(body.to_string().into_bytes())).await;
    let reply = sent.map_err(|_: Lost| Fault::Broken)?;
    match reply.status {
        StatusCode::OK if reply.content_type() == "text/event-stream" => {
            Ok(Stream { reply, line: Vec::new(), heard: VecDeque::new(), usage: None })
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Err(Fault::Transient),
        status if status.is_server_error() => Err(Fault::Transient),
        status if status.is_client_error() => Err(Fault::Final),
        _ => Err(Fault::Broken),
    }
}

impl Stream {
    pub(super) async fn next(&mut self) -> Result<Said, Fault> {
        loop {
            if let Some(said) = self.heard.pop_front() {
                return Ok(said);
            }
            let bytes = self.reply.bytes().await.map_err(|_: Lost| Fault::Broken)?;
            self.read(&bytes.ok_or(Fault::Broken)?)?;
        }
    }

    fn read(&mut self, mut bytes: &[u8]) -> Result<(), Fault> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.line.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.line);
            self.read_line(&line)?;
        }
        self.line.extend_from_slice(bytes);
        if self.line.len() > MAX_LINE_BYTES { Err(Fault::Broken) } else { Ok(()) }
    }

    fn read_line(&mut self, line: &[u8]) -> Result<(), Fault> {
        let Some(data) = line.strip_prefix(b"data:") else { return Ok(()) };
        if data.trim_ascii() == b"[DONE]" {
            let usage = self.usage.ok_or(Fault::Broken)?;
            let (tokens_in, tokens_out) = (usage.prompt_tokens, usage.completion_tokens);
            self.heard.push_back(Said::End { tokens_in, tokens_out });
            return Ok(());
        }
        let chunk: Chunk = serde_json::from_slice(data).map_err(|_| Fault::Broken)?;
        self.usage = chunk.usage.or(self.usage);
        let texts = chunk.choices.into_iter().filter_map(|choice| choice.delta.content);
        let pieces = texts.filter(|text| !text.is_empty()).map(|text| Said::Piece { text, tokens: 1 });
        self.heard.extend(pieces);
        Ok(())
    }
}
