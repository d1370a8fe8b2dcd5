//! Why a log could not be opened, read or appended to, and what was cut off its end.

use std::io;

use krako_contract::SessionId;
use thiserror::Error;

/// A log that cannot be opened or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LogError {
    /// Somebody else writes it.
    #[error(
        "the event log in {place} is open in another process{}; end that one first, or give this one a directory of its \
         own",
        .holder.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    Held {
        /// The log.
        place: String,
        /// Who holds it, if it says so.
        holder: Option<u32>,
    },
    /// The storage failed.
    #[error("{file}: {doing} failed: {source}")]
    Storage {
        /// What was tried.
        doing: &'static str,
        /// On what.
        file: String,
        /// Why it failed.
        source: io::Error,
    },
    /// What was written is not there any more, or is not what was written.
    #[error(
        "{file}: damaged at byte {offset}: {what}; restore this file from a backup, or move the whole log away to begin \
         an empty one: nothing is skipped, for a session could lose events without anyone being told"
    )]
    Damaged {
        /// The segment.
        file: String,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// Another program wrote it.
    #[error(
        "{file}: written in version {found} of the format, and this program reads {known}; use the program that wrote it, \
         or a newer one"
    )]
    Version {
        /// The segment.
        file: String,
        /// Its version.
        found: u32,
        /// The version that is known here.
        known: u32,
    },
    /// That it was opened could not be recorded.
    #[error(transparent)]
    Opening(AppendError),
    /// No such session.
    #[error("the log knows no session `{0}`; was it another directory?")]
    NoSession(SessionId),
}

/// What a crash had left at the end of the last segment: begun and not finished, so that nobody was told that it was durable.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "where, how much, why")]
pub struct Cut {
    /// The segment.
    pub file: String,
    /// The end of its last whole record.
    pub offset: u64,
    /// Bytes behind it.
    pub bytes: u64,
    /// What is wrong with them.
    pub what: String,
}

/// A record that is not in the log.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum AppendError {
    /// There is no room. Nothing of the record is in the log, and the log goes on as soon as there is room again.
    #[error("the event log has no room: {0}; make room on its disk or raise its limit")]
    Full(String),
    /// The storage failed in a way that leaves open what is there. Nothing more is written until the log is opened again;
    /// only then it is known whether this record is there.
    #[error("the event log stopped: {0}; see to its disk and start again")]
    Stopped(String),
    /// The log was closed.
    #[error("the event log is closed")]
    Closed,
    /// More than one record may be.
    #[error("a record of {bytes} bytes is beyond the {max} that one may have (`max_record_bytes`)")]
    TooLarge {
        /// Of the record.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// The session was submitted before.
    #[error("session `{0}` is in the log already")]
    Exists(SessionId),
    /// No such session was submitted.
    #[error("session `{0}` is not in the log; append its submission first")]
    NoSession(SessionId),
    /// The batch does not continue its session. A bug of whoever appends.
    #[error("events of session `{session}` do not continue it: {why}")]
    Batch {
        /// The session.
        session: SessionId,
        /// Why.
        why: BadBatch,
    },
}

/// A session that was not begun, or not as far as it was to be.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "either of the two records")]
pub enum NotBegun {
    /// Its submission is not in the log, and so are its events.
    #[error(transparent)]
    Submission(AppendError),
    /// Its submission is in the log, durable, and its events are not.
    #[error(transparent)]
    Events(AppendError),
}

impl NotBegun {
    /// Why.
    pub fn cause(self) -> AppendError {
        match self {
            Self::Submission(error) | Self::Events(error) => error,
        }
    }
}

/// Why events do not continue a session.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "what a batch is: some events, of one session, in order, before its end"
)]
pub enum BadBatch {
    /// There are none.
    #[error("there are none")]
    Empty,
    /// One is of another session.
    #[error("event {0} is of another session")]
    OtherSession(u64),
    /// One is not the next.
    #[error("event {found} came where {expected} is next")]
    Order {
        /// The next one.
        expected: u64,
        /// The event's number.
        found: u64,
    },
    /// The session ended before.
    #[error("event {0} comes after the end")]
    AfterEnd(u64),
}
