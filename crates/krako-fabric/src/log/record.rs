//! What a log holds: that it was opened, what was submitted, and what happened.

use krako_contract::{Event, RequestId, SessionId, Sha256Text, TenantId, Timestamp, WireLimits};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A session that was accepted, and what it was submitted as.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "what the log records of a submission")]
pub struct Submitted {
    /// Names the session.
    pub session: SessionId,
    /// Who is billed.
    pub tenant: TenantId,
    /// What it was submitted under: one session for each tenant and anchor.
    pub request_id: RequestId,
    /// Of the graph (I1).
    pub graph_digest: Sha256Text,
    /// When it was accepted.
    pub at: Timestamp,
    /// The submission, as [`Submission::write`](krako_contract::Submission::write) wrote it.
    pub text: String,
}

/// One record, as it is read.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Record {
    Opened(Opened),
    Submitted(Submitted),
    Events(SessionId, Vec<Event>),
}

/// That a log was opened to be written. The number counts these records.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Opened {
    pub(super) epoch: u64,
    pub(super) at: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Read<'d> {
    Opened(Opened),
    Submitted(Submitted),
    #[serde(borrow)]
    Events(ReadEvents<'d>),
}

#[derive(Deserialize)]
struct ReadEvents<'d> {
    session: SessionId,
    #[serde(borrow)]
    events: Vec<&'d RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Written<'r> {
    Opened(&'r Opened),
    Submitted(&'r Submitted),
    Events { session: &'r SessionId, events: &'r [Event] },
}

impl Record {
    /// Reads a record whose checksum fitted. The error says what of it cannot be understood.
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        let read =
            serde_json::from_slice(body).map_err(|error| format!("no record is written so: {error}"))?;
        Ok(match read {
            Read::Opened(opened) => Self::Opened(opened),
            Read::Submitted(submitted) => Self::Submitted(submitted),
            Read::Events(ReadEvents { session, events }) => {
                // They were written here; what they could hold then was bounded then.
                let limits = WireLimits { max_event_bytes: usize::MAX, ..WireLimits::default() };
                let read = |raw: &RawValue| Event::read(raw.get().as_bytes(), &limits);
                let events: Result<_, _> = events.into_iter().map(read).collect();
                Self::Events(session, events.map_err(|error| error.to_string())?)
            }
        })
    }
}

fn write(written: &Written<'_>) -> Vec<u8> {
    // Names, numbers, words and JSON: nothing in it fails to be written.
    serde_json::to_vec(written).unwrap_or_default()
}

pub(super) fn opened(opened: &Opened) -> Vec<u8> {
    write(&Written::Opened(opened))
}

pub(super) fn submitted(submitted: &Submitted) -> Vec<u8> {
    write(&Written::Submitted(submitted))
}

pub(super) fn events(session: &SessionId, events: &[Event]) -> Vec<u8> {
    write(&Written::Events { session, events })
}
