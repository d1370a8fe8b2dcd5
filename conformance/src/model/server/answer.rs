//! What is sent back: events, a whole answer, a list, an error; in the shapes that OpenAI-compatible servers have.

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::unfold::{CutShort, Making, Next, Unfold};
use crate::model::server::turned_down;
use crate::model::{Beat, MODELS, OpenCall};

/// What goes out.
pub(super) type Body = UnsyncBoxBody<Bytes, CutShort>;

/// The same for every answer: nothing hangs on it, and a clock would make two equal runs differ.
const ID: &str = "chatcmpl-suite";

/// An error in the shape that clients know. Its words say nothing of ways to ask for structured output, lest a client
/// takes that for advice.
pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let kind = if status.is_server_error() { "server_error" } else { "invalid_request_error" };
    let error = json!({"error": {"message": message, "type": kind, "param": null, "code": code}});
    document(status, &error)
}

/// Nothing is done with this method here.
pub(super) fn wrong_method(allowed: &'static str) -> Response<Body> {
    let message = format!("only {allowed} is answered here");
    let mut response = error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", &message);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

/// The models that are served.
pub(super) fn models() -> Response<Body> {
    let models = MODELS.map(|model| {
        json!({"id": model.id, "object": "model", "created": 0, "owned_by": "suite", "tier": model.tier,
            "context_tokens": model.context_tokens})
    });
    document(StatusCode::OK, &json!({"object": "list", "data": models}))
}

/// The answer as events, one for each token.
pub(super) fn streamed(call: OpenCall, model: String, tells_usage: bool) -> Response<Body> {
    let body = Unfold::new(Stream { call, model, tells_usage, tokens: 0, is_over: false }, next_event);
    response(StatusCode::OK, "text/event-stream", body.boxed_unsync())
}

/// The answer at once, when all of it is there.
pub(super) async fn whole(mut call: OpenCall, model: &str) -> Response<Body> {
    call.at_once();
    let mut text = String::new();
    loop {
        match call.next().await {
            Beat::Begun => {}
            Beat::Piece(piece) => text.push_str(&piece),
            Beat::Failed(fault) => return turned_down(fault, call.is_served()),
            Beat::Done { tokens_in, tokens_out } => {
                return document(StatusCode::OK, &completion(model, &text, tokens_in, tokens_out));
            }
            Beat::Broken => {
                let mut torn = completion(model, &text, 0, 0).to_string();
                // Within the text or before it, so that nothing that is left is an answer.
                torn.truncate(torn.find(r#""finish_reason""#).unwrap_or(0));
                let torn = Unfold::new(Some(Bytes::from(torn)), next_of_torn);
                return response(StatusCode::OK, "application/json", torn.boxed_unsync());
            }
        }
    }
}

fn completion(model: &str, text: &str, tokens_in: u64, tokens_out: u64) -> Value {
    json!({
        "id": ID, "object": "chat.completion", "created": 0, "model": model,
        "choices": [{
            "index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop",
        }],
        "usage": usage(tokens_in, tokens_out),
    })
}

fn usage(tokens_in: u64, tokens_out: u64) -> Value {
    let all = tokens_in.saturating_add(tokens_out);
    json!({"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": all})
}

struct Stream {
    call: OpenCall,
    model: String,
    tells_usage: bool,
    tokens: u64,
    is_over: bool,
}

fn next_event(mut stream: Stream) -> Making<Stream> {
    Box::pin(async move {
        let next = stream.next().await;
        (stream, next)
    })
}

impl Stream {
    async fn next(&mut self) -> Next {
        if self.is_over {
            return None;
        }
        loop {
            match self.call.next().await {
                Beat::Begun => {}
                Beat::Piece(text) => {
                    let delta = match self.tokens {
                        0 => json!({"role": "assistant", "content": text}),
                        _ => json!({"content": text}),
                    };
                    self.tokens += 1;
                    return Some(Ok(self.event(&delta, None).into()));
                }
                Beat::Done { tokens_in, tokens_out } => {
                    self.is_over = true;
                    let mut end = self.event(&json!({}), Some("stop"));
                    if self.tells_usage {
                        let usage = usage(tokens_in, tokens_out);
                        end += &self.chunk(&json!([]), Some(usage));
                    }
                    return Some(Ok((end + "data: [DONE]\n\n").into()));
                }
                Beat::Broken => {
                    // Else what was said last would never leave.
                    tokio::task::yield_now().await;
                    return Some(Err(CutShort));
                }
                // Only before an answer begins.
                Beat::Failed(_) => return Some(Err(CutShort)),
            }
        }
    }

    fn event(&self, delta: &Value, finish: Option<&str>) -> String {
        self.chunk(&json!([{"index": 0, "delta": delta, "finish_reason": finish}]), None)
    }

    fn chunk(&self, choices: &Value, usage: Option<Value>) -> String {
        let mut chunk = json!({
            "id": ID, "object": "chat.completion.chunk", "created": 0, "model": self.model, "choices": choices,
        });
        if let Some(usage) = usage {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n")
    }
}

fn next_of_torn(mut torn: Option<Bytes>) -> Making<Option<Bytes>> {
    Box::pin(async move {
        let next = match torn.take() {
            Some(bytes) => Ok(bytes),
            None => {
                tokio::task::yield_now().await;
                Err(CutShort)
            }
        };
        (torn, Some(next))
    })
}

fn document(status: StatusCode, document: &Value) -> Response<Body> {
    let bytes = Full::new(Bytes::from(document.to_string()));
    response(status, "application/json", bytes.map_err(|never| match never {}).boxed_unsync())
}

fn response(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
