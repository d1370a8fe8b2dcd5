//! An answer that comes piece by piece, pulled: nothing is read ahead beyond the stream's window.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};

use crate::connection::within;
use crate::error::of_hyper;
use crate::pool::Place;
use crate::{Answer, Client, TransportError, TransportFault, Within};

/// What a call for a stream brought.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a stream, or an answer that says why there is none")]
pub enum Started {
    /// A success: its body is still to come.
    Streaming(Streaming),
    /// Anything else, whole.
    Answer(Answer),
}

/// An answer whose body is read as it comes. Dropping it cuts it off.
pub struct Streaming {
    client: Client,
    status: StatusCode,
    headers: HeaderMap,
    body: Incoming,
    // Keeps the connection from being closed as unused, and the place from being given away.
    _place: Place,
}

impl fmt::Debug for Streaming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (streaming)", self.status)
    }
}

impl Streaming {
    pub(crate) fn new(client: Client, response: Response<Incoming>, place: Place) -> Self {
        let (head, body) = response.into_parts();
        Self { client, status: head.status, headers: head.headers, body, _place: place }
    }

    /// The status, a success.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// A header's value, if it is text.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name).map(HeaderValue::to_str).and_then(Result::ok)
    }

    /// The next bytes, or `None` at the end. Waits for at most `stream_idle_ms`; pieces without bytes do not count.
    ///
    /// # Errors
    ///
    /// [`TransportError`] if the stream was cut or is silent. Nothing comes after it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no bytes.
    pub async fn next(&mut self) -> Result<Option<Bytes>, TransportError> {
        let limit_ms = self.client.limits().stream_idle_ms;
        let next = within(Within::Silence, limit_ms, self.piece()).await;
        next.map_err(|what| self.client.error(what, true))
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, TransportFault> {
        loop {
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            match frame.map_err(|error| of_hyper(&error).0)?.into_data() {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Ok(Some(bytes)),
                // Trailers say nothing that anybody asked for.
                Err(_) => {}
            }
        }
    }

    /// The whole answer. Whoever calls bounds the time.
    pub(crate) async fn into_answer(mut self, max: usize) -> Result<Answer, TransportFault> {
        let mut body = Vec::new();
        while let Some(bytes) = self.piece().await? {
            if bytes.len() > max - body.len() {
                return Err(TransportFault::TooMuch { max, what: "bytes" });
            }
            body.extend_from_slice(&bytes);
        }
        Ok(Answer { status: self.status, headers: self.headers, body: Bytes::from(body) })
    }
}
