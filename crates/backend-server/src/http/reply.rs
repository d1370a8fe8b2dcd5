//! Answers as HTTP responses.

use std::convert::Infallible;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode};
use serde::Serialize;

/// The body of any answer.
pub(super) type ReplyBody = BoxBody<Bytes, Infallible>;

/// A document as an answer.
pub(super) fn json(status: StatusCode, document: &impl Serialize) -> Response<ReplyBody> {
    match serde_json::to_vec(document) {
        Ok(body) => bytes(status, Bytes::from(body)),
        Err(_) => bytes(
            StatusCode::INTERNAL_SERVER_ERROR,
            Bytes::from_static(
                b"{\"error_type\":\"INTERNAL_ERROR\",\"message\":\"the answer cannot be written; this is a bug\"}",
            ),
        ),
    }
}

/// A document that is written already.
pub(super) fn bytes(status: StatusCode, body: Bytes) -> Response<ReplyBody> {
    let mut response = Response::new(Full::new(body).boxed());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // Outputs are content: nobody on the way should keep them.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
