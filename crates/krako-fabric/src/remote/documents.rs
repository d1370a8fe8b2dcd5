//! What is asked and answered over the seams, beside the documents of the wire.

use bounded_body::Held;
use krako_contract::{
    ErrorResponse, ErrorType, Event, InvalidDocument, Sequence, SessionId, TenantId, WireLimits,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::listen::Problem;
use crate::node::{NodeError, WorkOrder};
use crate::sessions::EventPage;

/// Asks for something of a tenant.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct OfTenant {
    pub(super) tenant: TenantId,
}

/// Hands over a submission, as it was sent.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Submit {
    pub(super) tenant: TenantId,
    pub(super) submission: Box<RawValue>,
}

/// Asks for something of a session.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct OfSession {
    pub(super) tenant: TenantId,
    pub(super) session: SessionId,
    /// Milliseconds to wait for what is asked.
    #[serde(default)]
    pub(super) wait_ms: u64,
    /// The last event that is known, where events are asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<Sequence>,
}

/// Orders for a node.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Orders {
    pub(super) orders: Vec<WorkOrder>,
}

/// Nothing more to say.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Done {}

/// Some of a session's events: the length of each in bytes is bounded as on a stream.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Page {
    pub(super) events: Vec<Box<RawValue>>,
    pub(super) ended: bool,
}

impl Page {
    /// Of events of ours.
    pub(super) fn of(page: &EventPage) -> Self {
        // What was written as JSON is JSON.
        let raw = |event: &Event| RawValue::from_string(event.write()).ok();
        Self { events: page.events.iter().filter_map(raw).collect(), ended: page.ended }
    }

    /// Reads events of somebody else.
    ///
    /// # Errors
    ///
    /// [`InvalidDocument`] of the first that is none.
    pub(super) fn read(&self, limits: &WireLimits) -> Result<EventPage, InvalidDocument> {
        let events = self.events.iter().map(|event| Event::read(event.get().as_bytes(), limits));
        Ok(EventPage { events: events.collect::<Result<_, _>>()?, ended: self.ended })
    }
}

/// Reads a document that was asked with.
///
/// # Errors
///
/// `VALIDATION_ERROR`, with the place of what is wrong.
pub(super) fn read<D: DeserializeOwned>(held: &Held) -> Result<D, Problem> {
    read_bytes(&held.bytes).map_err(|wrong| Problem::new(ErrorType::ValidationError, wrong))
}

/// Reads a document of the seams.
///
/// # Errors
///
/// What is wrong, where, and how to mend it.
pub(super) fn read_bytes<D: DeserializeOwned>(bytes: &[u8]) -> Result<D, String> {
    // The derived reader would take a list for the fields in their order.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(String::from("the document is no JSON object; send one"));
    }
    let printable =
        |text: String| text.chars().filter(|char| !char.is_control()).take(200).collect::<String>();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let read = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let (place, said) = (printable(error.path().to_string()), printable(error.inner().to_string()));
        format!("the document is wrong at `{place}`: {said}; both sides must be of one version")
    })?;
    deserializer.end().map_err(|_| String::from("there is more after the document; send one alone"))?;
    Ok(read)
}

/// A worker's error as an answer: the status tells which it is.
pub(super) fn answer_of(error: &NodeError) -> ErrorResponse {
    let error_type = match error {
        NodeError::LeaseOver => ErrorType::Conflict,
        NodeError::Refused(_) => ErrorType::ValidationError,
        NodeError::Unavailable(_) => ErrorType::Unavailable,
    };
    ErrorResponse::new(error_type, error.to_string())
}
