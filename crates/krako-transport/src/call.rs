//! What is asked, and what came back whole.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use hyper::body::Bytes;

/// One call: what is asked of which path, and how long and how large its answer may be.
#[derive(Clone)]
#[must_use = "a call is made by `Client::request` or `Client::stream`"]
pub struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) within: Option<Duration>,
    pub(crate) max_body_bytes: Option<usize>,
}

impl Call {
    /// A call without a body. `path` begins with a slash and stands below the endpoint's prefix.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            within: None,
            max_body_bytes: None,
        }
    }

    /// Reads what is at `path`.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// Sends a JSON document to `path`; an empty one is no body.
    pub fn post(path: impl Into<String>, json: impl Into<Bytes>) -> Self {
        let body = json.into();
        let call = Self { body, ..Self::new(Method::POST, path) };
        if call.body.is_empty() {
            return call;
        }
        call.header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
    }

    /// The same with a header more. Never a secret: a client has its token itself.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The same with a time of its own instead of `request_timeout_ms`.
    pub fn within(self, limit: Duration) -> Self {
        Self { within: Some(limit), ..self }
    }

    /// The same with a size of its own instead of `max_body_bytes`.
    pub fn at_most(self, max_body_bytes: usize) -> Self {
        Self { max_body_bytes: Some(max_body_bytes), ..self }
    }
}

// Bodies hold graphs, which are nobody's business (I9).
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({} bytes)", self.method, self.path, self.body.len())
    }
}

/// An answer that came whole, within its bounds. Its status may be an error's.
#[derive(Clone)]
#[expect(clippy::exhaustive_structs, reason = "an HTTP answer is these three")]
pub struct Answer {
    /// Never one of a redirect.
    pub status: StatusCode,
    /// As sent.
    pub headers: HeaderMap,
    /// As sent.
    pub body: Bytes,
}

impl Answer {
    /// A header's value, if it is text.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name).map(HeaderValue::to_str).and_then(Result::ok)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.status, self.body.len())
    }
}
