//! Why a request got no result: a status, and an error of KORA's public API.

use backend_api::RefusalDocument;
use bounded_body::BodyError;
use hyper::header::{ALLOW, CONNECTION, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde_json::Value;

use super::reply::{self, ReplyBody};

/// An error on its way to a caller.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    document: Box<RefusalDocument>,
    allow: Option<&'static str>,
    retry_after_ms: Option<u64>,
    hang_up: bool,
}

impl Problem {
    fn new(status: StatusCode, error_type: &str, message: impl Into<String>) -> Self {
        let document = Box::new(RefusalDocument::new(error_type, message));
        Self { status, document, allow: None, retry_after_ms: None, hang_up: false }
    }

    pub(super) fn into_response(self) -> Response<ReplyBody> {
        let mut response = reply::json(self.status, &self.document);
        let headers = response.headers_mut();
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(wait) = self.retry_after_ms {
            // Whole seconds, and none too few.
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.div_ceil(1000).max(1)));
        }
        if self.hang_up {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl From<RefusalDocument> for Problem {
    fn from(document: RefusalDocument) -> Self {
        let status = match document.error_type.as_str() {
            "UNAUTHENTICATED" => StatusCode::UNAUTHORIZED,
            "UNAVAILABLE" => StatusCode::SERVICE_UNAVAILABLE,
            "INTERNAL_ERROR" => StatusCode::INTERNAL_SERVER_ERROR,
            // What is wrong is wrong with the request.
            _ => StatusCode::BAD_REQUEST,
        };
        let told = document.details.as_ref().and_then(|details| details.get("retry_after_ms"));
        let wait = told.and_then(Value::as_u64);
        let retry_after_ms = wait.or((status == StatusCode::SERVICE_UNAVAILABLE).then_some(1000));
        Self { status, document: Box::new(document), allow: None, retry_after_ms, hang_up: false }
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        let hang_up = |status, error_type, help: &str| Self {
            hang_up: true,
            ..Self::new(status, error_type, format!("{error}{help}"))
        };
        match error {
            BodyError::TooLarge { .. } => {
                hang_up(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", "; send a smaller graph")
            }
            BodyError::TooSlow { .. } => hang_up(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", ""),
            // Whoever broke off is hardly there to read it.
            BodyError::Broken => hang_up(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", ""),
            BodyError::NoRoom => unavailable(format!("{error}; try again when one is over")),
        }
    }
}

pub(super) fn no_such_path() -> Problem {
    let message = "nothing is here; there are POST /execute, GET /models, GET /health, GET /telemetry/{run_id}, \
                   GET /capabilities";
    Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", message)
}

pub(super) fn no_such_run(kept: usize) -> Problem {
    let message = format!(
        "no telemetry of that run is here; it is kept of the last {kept} runs at most, and of finished ones only"
    );
    Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", message)
}

pub(super) fn no_such_method(allow: &'static str) -> Problem {
    let message = format!("this path takes {allow} and nothing else");
    Problem {
        allow: Some(allow),
        ..Problem::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", message)
    }
}

pub(super) fn no_host() -> Problem {
    let message =
        "one `Host` header is needed, naming this machine: `127.0.0.1` or `localhost`, with the port";
    Problem::new(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", message)
}

/// Another name may be one that a stranger's page made point here (DNS rebinding).
pub(super) fn strange_host() -> Problem {
    let message = "`Host` does not name this machine; use `127.0.0.1` or `localhost`, or start the server with that \
                   name allowed";
    Problem::new(StatusCode::FORBIDDEN, "FORBIDDEN", message)
}

/// Pages of other sites can send plain forms without being asked for permission, and JSON only with it.
pub(super) fn not_json() -> Problem {
    let message = "the body has to be JSON and to say so: `Content-Type: application/json`";
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", message)
}

/// It would be run again, and nobody asked for that.
pub(super) fn no_resuming() -> Problem {
    let message = "a stream cannot be taken up again here (`Last-Event-ID`), and nothing was run; a finished run's \
                   telemetry is at GET /telemetry/{run_id}";
    Problem::new(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", message)
}

pub(super) fn too_many_runs(max: usize) -> Problem {
    let message =
        format!("as many runs are under way as are taken at once: {max}; try again when one is over");
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS", message);
    Problem { retry_after_ms: Some(1000), ..problem }
}

pub(super) fn full() -> Problem {
    Problem { hang_up: true, ..unavailable("as many connections are open as are allowed; try again later") }
}

pub(super) fn no_health(seconds: u64) -> Problem {
    unavailable(format!("the backend did not tell its health within {seconds} s"))
}

fn unavailable(message: impl Into<String>) -> Problem {
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message);
    Problem { retry_after_ms: Some(1000), ..problem }
}
