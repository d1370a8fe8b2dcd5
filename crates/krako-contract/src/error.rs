//! What a fabric answers instead: a status, an error of KORA's public API, and when to try again.

use backend_api::RefusalDocument;

use crate::reading::{fields, text};
use crate::word::words;
use crate::{InvalidDocument, WireLimits};

words! {
    /// The words of `error_type`. Never one of the failures of a run (C9.2), except for the word that KORA uses for both.
    #[expect(clippy::exhaustive_enums, reason = "each has a status and a meaning at the other end")]
    pub enum ErrorType {
        /// A document of another MAJOR, or of none.
        VersionMismatch = "VERSION_MISMATCH",
        /// A document that breaks a rule, or needs more than is offered.
        ValidationError = "VALIDATION_ERROR",
        /// No bearer token, or none that is known.
        Unauthenticated = "UNAUTHENTICATED",
        /// A known caller who may not do this: another tenant's session, say.
        Forbidden = "FORBIDDEN",
        /// No such path or session.
        NotFound = "NOT_FOUND",
        /// Another method.
        MethodNotAllowed = "METHOD_NOT_ALLOWED",
        /// The body did not arrive in time.
        RequestTimeout = "REQUEST_TIMEOUT",
        /// The `request_id` was used for another graph.
        Conflict = "CONFLICT",
        /// The body is too long.
        PayloadTooLarge = "PAYLOAD_TOO_LARGE",
        /// The body is not said to be JSON.
        UnsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE",
        /// More than this caller may have under way.
        TooManyRequests = "TOO_MANY_REQUESTS",
        /// A bug of the fabric.
        InternalError = "INTERNAL_ERROR",
        /// The fabric takes no more work now.
        Unavailable = "UNAVAILABLE",
    }
}

impl ErrorType {
    /// The HTTP status that it is sent with.
    pub fn status(self) -> u16 {
        match self {
            Self::VersionMismatch | Self::ValidationError => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::Conflict => 409,
            Self::PayloadTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::TooManyRequests => 429,
            Self::InternalError => 500,
            Self::Unavailable => 503,
        }
    }

    /// What a status means whose body says nothing that is known: a proxy's, say.
    pub fn of_status(status: u16) -> Self {
        match status {
            401 | 407 => Self::Unauthenticated,
            403 => Self::Forbidden,
            404 | 410 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            408 => Self::RequestTimeout,
            409 => Self::Conflict,
            413 => Self::PayloadTooLarge,
            415 => Self::UnsupportedMediaType,
            429 => Self::TooManyRequests,
            400..=499 => Self::ValidationError,
            502..=504 => Self::Unavailable,
            _ => Self::InternalError,
        }
    }

    /// Whether the same request may be answered otherwise later. Its `Retry-After` says when.
    pub fn is_passing(self) -> bool {
        match self {
            Self::TooManyRequests | Self::Unavailable | Self::RequestTimeout => true,
            Self::VersionMismatch
            | Self::ValidationError
            | Self::Unauthenticated
            | Self::Forbidden
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::Conflict
            | Self::PayloadTooLarge
            | Self::UnsupportedMediaType
            | Self::InternalError => false,
        }
    }
}

/// An error on the wire.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "status, header and body")]
pub struct ErrorResponse {
    /// What kind; it decides the status.
    pub error_type: ErrorType,
    /// The body.
    pub document: RefusalDocument,
    /// Whole seconds, as the header `Retry-After` has them.
    pub retry_after_s: Option<u32>,
}

impl ErrorResponse {
    /// Seconds beyond which nobody waits: a day.
    pub const MAX_RETRY_AFTER_S: u32 = 86_400;

    /// An error of this kind.
    pub fn new(error_type: ErrorType, message: impl Into<String>) -> Self {
        let retry_after_s = error_type.is_passing().then_some(1);
        Self { error_type, document: RefusalDocument::new(error_type.as_str(), message), retry_after_s }
    }

    /// An error whose document says its kind.
    pub fn of(document: RefusalDocument) -> Self {
        let error_type = ErrorType::from_word(&document.error_type).unwrap_or(ErrorType::InternalError);
        let retry_after_s = error_type.is_passing().then_some(1);
        Self { error_type, document, retry_after_s }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.error_type.status()
    }

    /// Reads what came with a status that is no success. It never fails: a body that is no error document, which a
    /// proxy's is not, is told as such.
    pub fn read(status: u16, retry_after: Option<&str>, body: &[u8], limits: &WireLimits) -> Self {
        let by_status = ErrorType::of_status(status);
        let document: Result<RefusalDocument, InvalidDocument> =
            text(body, "error", limits.max_document_bytes).and_then(|text| fields(text, "error"));
        let (error_type, document) = match document {
            Ok(document) => {
                // A word that goes with another status is somebody's mistake; the status is what all agree on.
                let said = ErrorType::from_word(&document.error_type).filter(|said| said.status() == status);
                (said.unwrap_or(by_status), document)
            }
            Err(_) => {
                let message = format!("status {status}, without a document that says why");
                (by_status, RefusalDocument::new(by_status.as_str(), message))
            }
        };
        let seconds = retry_after.and_then(|seconds| seconds.trim().parse::<u64>().ok());
        let retry_after_s = seconds
            .map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX).min(Self::MAX_RETRY_AFTER_S))
            .or(error_type.is_passing().then_some(1));
        Self { error_type, document, retry_after_s }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_status_means_what_it_is_sent_for() {
        for &error_type in ErrorType::ALL {
            let back = ErrorType::of_status(error_type.status());
            // One status for two words: the body tells them apart.
            if error_type != ErrorType::VersionMismatch {
                assert_eq!(back, error_type);
            }
            let sent = ErrorResponse::new(error_type, "why");
            let body = serde_json::to_vec(&sent.document).unwrap();
            let seconds = sent.retry_after_s.map(|seconds| seconds.to_string());
            let read = ErrorResponse::read(sent.status(), seconds.as_deref(), &body, &WireLimits::default());
            assert_eq!(read, sent);
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(
            status in any::<u16>(),
            retry in proptest::option::of("[0-9a-z ]{0,30}"),
            body in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let read = ErrorResponse::read(status, retry.as_deref(), &body, &WireLimits::default());
            prop_assert!(read.retry_after_s.unwrap_or(0) <= ErrorResponse::MAX_RETRY_AFTER_S);
        }
    }

    #[test]
    fn a_proxys_page_is_told_as_such() {
        let read = ErrorResponse::read(502, None, b"<html>Bad Gateway</html>", &WireLimits::default());
        assert_eq!(read.error_type, ErrorType::Unavailable);
        assert_eq!(read.document.message, "status 502, without a document that says why");
    }
}
