//! Answers as HTTP responses.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode};
use serde::Serialize;

/// Bytes that are handed over at once: whoever stops reading is noticed between two of these.
const PART: usize = 64 << 10;

/// The body of any answer.
pub(crate) type ReplyBody = UnsyncBoxBody<Bytes, Infallible>;

/// A document as an answer.
pub(crate) fn json(status: StatusCode, document: &impl Serialize) -> Response<ReplyBody> {
    match serde_json::to_string(document) {
        Ok(body) => text(status, body),
        Err(_) => text(
            StatusCode::INTERNAL_SERVER_ERROR,
            String::from(
                r#"{"error_type":"INTERNAL_ERROR","message":"the answer cannot be written; this is a bug"}"#,
            ),
        ),
    }
}

/// A document that is written already.
pub(crate) fn text(status: StatusCode, body: String) -> Response<ReplyBody> {
    answer(status, "application/json", Parts(body.into()).boxed_unsync())
}

/// The beginning of a stream of events.
pub(crate) fn head_of_stream(body: ReplyBody) -> Response<ReplyBody> {
    answer(StatusCode::OK, "text/event-stream", body)
}

fn answer(status: StatusCode, content_type: &'static str, body: ReplyBody) -> Response<ReplyBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    // Outputs are content: nobody on the way should keep them.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Splits off what is handed over next.
pub(crate) fn part(bytes: &mut Bytes) -> Bytes {
    bytes.split_to(bytes.len().min(PART))
}

/// A text in parts.
#[derive(Debug)]
struct Parts(Bytes);

impl Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let part = part(&mut self.0);
        Poll::Ready((!part.is_empty()).then(|| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}
