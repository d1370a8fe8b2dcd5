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

#[cfg(test)]
mod tests {
    use kora_ir::Limits;
    use krako_contract::{Anchoring, Submission};

    use super::super::SegmentNumber;
    use super::super::frame::{self, Header};
    use super::super::index::Batch;
    use super::*;

    const PAGE: &str = include_str!("../../../../docs/formats/event-log.md");

    /// The blocks of the page in this language.
    fn blocks(language: &str) -> Vec<&str> {
        let opens = format!("\n```{language}\n");
        PAGE.split(&opens).skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect()
    }

    #[test]
    fn the_page_shows_each_kind_as_it_is_written() {
        let shown = blocks("json");
        let read: Vec<_> = shown.iter().map(|shown| Record::read(shown.as_bytes()).unwrap()).collect();
        let [Record::Opened(open), Record::Submitted(submission), Record::Events(session, batch)] = &read[..]
        else {
            panic!("the page shows {read:?}");
        };
        let written = [opened(open), submitted(submission), events(session, batch)];
        assert_eq!(written.map(|written| String::from_utf8(written).unwrap())[..], shown[..]);
        let limits = (WireLimits::default(), Limits::default());
        let text = submission.text.as_bytes();
        let read = Submission::read(text, &limits.0, &limits.1, Anchoring::default()).unwrap();
        assert!(submission.graph_digest == *read.graph().digest());
        assert_eq!((&submission.session, &submission.request_id), (session, &read.anchor().request_id));
        Batch::of(session, batch).unwrap();
    }

    #[test]
    fn the_page_shows_the_bytes_that_are_written() {
        let segment = SegmentNumber::FIRST;
        let mut bytes = Header { segment, records_before: 0 }.write().to_vec();
        frame::put(&mut bytes, segment, 32, 32, blocks("json")[0].as_bytes());
        let (before, record) = bytes.split_at(48);
        let hex = before.chunks(16).map(|line| {
            let digits: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            digits.join(" ") + "\n"
        });
        let shown = hex.collect::<String>() + std::str::from_utf8(record).unwrap();
        assert_eq!(blocks("text"), [shown]);
    }

    #[test]
    fn what_is_no_record_is_told() {
        for (body, said) in [
            ("", "EOF"),
            ("[]", "no record is written so"),
            (r#"{"closed":{"at":"2026-03-09T07:40:00Z"}}"#, "unknown variant `closed`"),
            (r#"{"opened":{"epoch":1}}"#, "missing field `at`"),
            (r#"{"events":{"session":"ses_1","events":[{}]}}"#, "version"),
        ] {
            let error = Record::read(body.as_bytes()).unwrap_err();
            assert!(error.contains(said), "{body}: {error}");
        }
    }
}
