//! An error on its way to a caller.

use bounded_body::BodyError;
use hyper::Response;
use hyper::StatusCode;
use hyper::header::{ALLOW, CONNECTION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use krako_contract::{ErrorResponse, ErrorType};

use super::reply::{self, ReplyBody};

/// An error, and what its answer does beside telling it.
#[derive(Debug)]
pub(crate) struct Problem {
    error: Box<ErrorResponse>,
    allow: Option<&'static str>,
    hang_up: bool,
}

impl Problem {
    /// An error of this kind.
    pub(crate) fn new(error_type: ErrorType, message: impl Into<String>) -> Self {
        ErrorResponse::new(error_type, message).into()
    }

    /// What is too much or not to be had now, and when to ask again.
    pub(crate) fn later(error_type: ErrorType, message: impl Into<String>, seconds: u32) -> Self {
        let mut error = ErrorResponse::new(error_type, message);
        error.retry_after_s = Some(seconds.clamp(1, ErrorResponse::MAX_RETRY_AFTER_S));
        error.into()
    }

    /// Another method than the one that a path takes.
    pub(crate) fn method(allow: &'static str) -> Self {
        let message = format!("this path takes {allow} and nothing else; send a {allow}");
        Self { allow: Some(allow), ..Self::new(ErrorType::MethodNotAllowed, message) }
    }

    /// The same, and the connection ends with it: what is left of the request is not read.
    pub(crate) fn and_hang_up(self) -> Self {
        Self { hang_up: true, ..self }
    }

    pub(super) fn full() -> Self {
        let message = "as many connections are open as are allowed; try again later";
        Self::new(ErrorType::Unavailable, message).and_hang_up()
    }

    pub(super) fn too_many_requests() -> Self {
        Self::new(ErrorType::Unavailable, "as many requests are under way as are allowed; try again later")
    }

    pub(super) fn draining() -> Self {
        let message = "this server is about to stop and takes nothing new; try again, another may answer";
        Self::new(ErrorType::Unavailable, message).and_hang_up()
    }

    pub(super) fn panicked() -> Self {
        let message =
            "the server failed at this request; this is a bug of its own, and what was accepted goes on";
        Self::new(ErrorType::InternalError, message)
    }

    pub(crate) fn into_response(self) -> Response<ReplyBody> {
        let status = StatusCode::from_u16(self.error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = reply::json(status, &self.error.document);
        let headers = response.headers_mut();
        if let Some(seconds) = self.error.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if self.error.error_type == ErrorType::Unauthenticated {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.hang_up {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl From<ErrorResponse> for Problem {
    fn from(error: ErrorResponse) -> Self {
        Self { error: Box::new(error), allow: None, hang_up: false }
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge { .. } => {
                Self::new(ErrorType::PayloadTooLarge, format!("{error}; send a smaller document"))
                    .and_hang_up()
            }
            BodyError::TooSlow { .. } => {
                Self::new(ErrorType::RequestTimeout, format!("{error}; send it faster")).and_hang_up()
            }
            BodyError::Broken => {
                Self::new(ErrorType::ValidationError, format!("{error}; send it again")).and_hang_up()
            }
            BodyError::NoRoom => {
                Self::new(ErrorType::Unavailable, format!("{error}; try again when one is over"))
            }
        }
    }
}
