//! The fabric's endpoints, one function each: bytes in, documents out.

use std::sync::Arc;
use std::time::Duration;

use backend_api::Refusal;
use krako_contract::{
    CapabilitiesDocument, Document, ErrorResponse, HealthDocument, InvalidDocument, Sequence, SessionId,
    SessionReport, WireLimits, mapping, read,
};
use krako_transport::{
    Answer, Call, Client, HeaderName, HeaderValue, Started, Streaming, TransportError, TransportFault, header,
};
use thiserror::Error;

/// The API of one fabric.
#[derive(Clone, Debug)]
pub(crate) struct Fabric {
    client: Client,
    wire: Arc<WireLimits>,
}

/// Why there is no document.
#[derive(Clone, Debug, Error)]
pub(crate) enum NoAnswer {
    /// It did not arrive, or no whole answer came back.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The fabric says no.
    #[error("the fabric answers {}: {}", .0.status(), .0.document)]
    Refused(Box<ErrorResponse>),
    /// What it answers is not the document that it must be.
    #[error("the fabric's answer cannot be read: {0}")]
    Unreadable(#[from] InvalidDocument),
    /// A stream of something else.
    #[error("the fabric answers its events as `{found}`; a stream of events is `text/event-stream`")]
    NoStream {
        /// At most 64 characters of what it says it is.
        found: String,
    },
}

impl NoAnswer {
    /// Whether the same question may be answered later, by what the fabric itself says of it.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Transport(error) => error.is_passing(),
            Self::Refused(answer) => answer.error_type.is_passing(),
            Self::Unreadable(_) | Self::NoStream { .. } => false,
        }
    }

    /// Whether it is worth asking again about a session that is under way: a bug of the fabric may be one of a node that
    /// is gone in a moment.
    pub(crate) fn may_pass(&self) -> bool {
        self.is_passing() || matches!(self, Self::Refused(answer) if answer.status() >= 500)
    }

    /// Nothing ran, and this is why (C10.3).
    pub(crate) fn refusal(&self) -> Refusal {
        match self {
            Self::Refused(answer) => mapping::refusal(answer),
            Self::Unreadable(invalid @ InvalidDocument::Version(_)) => {
                mapping::refusal(&ErrorResponse::of(invalid.to_document()))
            }
            Self::Transport(_) | Self::Unreadable(_) | Self::NoStream { .. } => {
                Refusal::Unavailable { reason: self.to_string(), retry_after_ms: None }
            }
        }
    }

    /// How long the fabric asks to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(answer) => answer.retry_after_s.map(|seconds| Duration::from_secs(seconds.into())),
            Self::Transport(_) | Self::Unreadable(_) | Self::NoStream { .. } => None,
        }
    }

    /// Whether the fabric may have acted on what it was asked.
    pub(crate) fn may_have_arrived(&self) -> bool {
        match self {
            // Whoever sends elsewhere has not taken it.
            Self::Transport(error) => {
                error.may_have_arrived && !matches!(error.what, TransportFault::Redirect { .. })
            }
            Self::Refused(_) => false,
            Self::Unreadable(_) | Self::NoStream { .. } => true,
        }
    }
}

impl Fabric {
    pub(crate) fn new(client: Client, wire: WireLimits) -> Self {
        Self { client, wire: Arc::new(wire) }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn wire(&self) -> &WireLimits {
        &self.wire
    }

    pub(crate) async fn capabilities(&self) -> Result<CapabilitiesDocument, NoAnswer> {
        self.ask(Call::get("/v1/capabilities")).await
    }

    pub(crate) async fn health(&self) -> Result<HealthDocument, NoAnswer> {
        self.ask(Call::get("/v1/health")).await
    }

    /// Submits, and does not wait for the end.
    pub(crate) async fn submit(&self, submission: String) -> Result<SessionReport, NoAnswer> {
        let prefer = HeaderName::from_static("prefer");
        let call = Call::post("/v1/execute", submission).header(prefer, HeaderValue::from_static("wait=0"));
        self.ask(call).await
    }

    pub(crate) async fn report(&self, session: &SessionId) -> Result<SessionReport, NoAnswer> {
        self.ask(Call::get(format!("/v1/execution/{session}"))).await
    }

    pub(crate) async fn cancel(
        &self,
        session: &SessionId,
        within: Duration,
    ) -> Result<SessionReport, NoAnswer> {
        self.ask(Call::post(format!("/v1/execution/{session}/cancel"), "").within(within)).await
    }

    /// The events after `last`.
    pub(crate) async fn events(
        &self,
        session: &SessionId,
        last: Option<Sequence>,
    ) -> Result<Streaming, NoAnswer> {
        const EVENTS: &str = "text/event-stream";
        let mut call = Call::get(format!("/v1/execution/{session}/events"))
            .header(header::ACCEPT, HeaderValue::from_static(EVENTS))
            .at_most(self.wire.max_document_bytes);
        if let Some(last) = last {
            let name = HeaderName::from_static("last-event-id");
            call = call.header(name, HeaderValue::from(last.number()));
        }
        match self.client.stream(call).await? {
            Started::Streaming(stream) => {
                let found = stream.header(header::CONTENT_TYPE).unwrap_or_default();
                let kind = found.split(';').next().unwrap_or_default().trim();
                if kind.eq_ignore_ascii_case(EVENTS) {
                    return Ok(stream);
                }
                let found = found.chars().filter(|c| !c.is_control()).take(64).collect();
                Err(NoAnswer::NoStream { found })
            }
            Started::Answer(answer) => Err(self.refused(&answer)),
        }
    }

    async fn ask<D: Document>(&self, call: Call) -> Result<D, NoAnswer> {
        let answer = self.client.request(call.at_most(D::max_bytes(&self.wire))).await?;
        if !answer.status.is_success() {
            return Err(self.refused(&answer));
        }
        Ok(read(&answer.body, &self.wire)?)
    }

    fn refused(&self, answer: &Answer) -> NoAnswer {
        let retry_after = answer.header(header::RETRY_AFTER);
        let read = ErrorResponse::read(answer.status.as_u16(), retry_after, &answer.body, &self.wire);
        NoAnswer::Refused(Box::new(read))
    }
}
