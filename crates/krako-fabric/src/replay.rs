//! A session as its log has it, worked out again: what it came to, what it answered, what it cost (C5.4).

use engine::RunOutcome;
use kora_ir::Limits;
use krako_contract::{
    Anchoring, Event, InvalidSubmission, LineItem, SessionId, SessionReport, Submission, WireLimits, mapping,
};
use krako_session::{Found, NotRecoverable, Prices, SessionReader, SessionWriter};
use thiserror::Error;

use crate::{LogError, LogReader, Submitted};

/// What a session was run under: with other bounds or prices it is another session.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "whoever replays says what the session was run under")]
pub struct ReplayOptions {
    /// What a graph may be.
    pub limits: Limits,
    /// What a document may be.
    pub wire: WireLimits,
    /// Where a submission has its anchor from.
    pub anchoring: Anchoring,
    /// What things cost.
    pub prices: Prices,
}

/// A session, worked out again.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "all that follows from a session's records")]
pub struct Replayed {
    /// What it was submitted as.
    pub submitted: Submitted,
    /// What its caller is answered: the same, byte for byte, as the live session answered after the last event.
    pub report: SessionReport,
    /// What its run came to, with its semantic digest, if it has ended: verified as KrakoBackend verifies it.
    pub outcome: Option<RunOutcome>,
    /// What is billed for it, in order.
    pub lines: Vec<LineItem>,
    /// How many events it has.
    pub events: u64,
}

/// Why a session cannot be replayed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// Its records cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// What it was submitted as is no submission, or none under these limits.
    #[error(
        "what session `{session}` was submitted as is refused now: {why}; replay with the limits that it was accepted with"
    )]
    Submission {
        /// The session.
        session: SessionId,
        /// Why.
        why: InvalidSubmission,
    },
    /// Another graph was accepted than is recorded.
    #[error(
        "session `{session}` was accepted with a graph of digest {accepted}, and one of {recorded} is recorded"
    )]
    Digest {
        /// The session.
        session: SessionId,
        /// When it was accepted.
        accepted: String,
        /// Of the recorded graph.
        recorded: String,
    },
    /// Its events are none of such a session.
    #[error("session `{session}`: {why}")]
    Events {
        /// The session.
        session: SessionId,
        /// Why.
        why: NotRecoverable,
    },
    /// It does not pass the verification of a caller.
    #[error("session `{session}` is not what its report says: {why}")]
    Found {
        /// The session.
        session: SessionId,
        /// Why.
        why: Found,
    },
}

/// Works a session of a log out again.
///
/// # Errors
///
/// [`ReplayError`].
pub async fn replay(
    log: &LogReader,
    session: &SessionId,
    options: &ReplayOptions,
) -> Result<Replayed, ReplayError> {
    let submitted = log.read_submission(session).await?;
    let events = log.read_events(session).await?;
    replay_records(submitted, &events, options)
}

/// Works a session out again from what is recorded of it.
///
/// Twice, by both ends: as its writer, which gives the report, and as a reader who trusts nothing, which must agree.
///
/// # Errors
///
/// [`ReplayError`], never `Log`.
pub fn replay_records(
    submitted: Submitted,
    events: &[Event],
    options: &ReplayOptions,
) -> Result<Replayed, ReplayError> {
    let session = submitted.session.clone();
    let read = Submission::read(submitted.text.as_bytes(), &options.wire, &options.limits, options.anchoring);
    let submission = read.map_err(|why| ReplayError::Submission { session: session.clone(), why })?;
    let graph = submission.graph();
    if submitted.graph_digest != *graph.digest() {
        let (accepted, recorded) = (submitted.graph_digest.to_string(), graph.digest().to_string());
        return Err(ReplayError::Digest { session, accepted, recorded });
    }
    let recovered = SessionWriter::recover(session.clone(), graph.clone(), events.iter().cloned());
    let recovered = recovered.map_err(|why| ReplayError::Events { session: session.clone(), why })?;
    let report = recovered.writer.report_document(&submitted.request_id, &options.prices);
    let mut reader = SessionReader::new(session.clone(), submission.graph_id().clone(), graph.clone());
    let mut lines = Vec::new();
    for event in events {
        let taken = reader.take(event);
        taken.map_err(|why| ReplayError::Found { session: session.clone(), why })?;
        lines.extend(line(&submission, event));
    }
    let outcome = if report.status.has_ended() {
        Some(reader.finish(&report).map_err(|why| ReplayError::Found { session, why })?)
    } else {
        None
    };
    Ok(Replayed { submitted, report, outcome, lines, events: events.len() as u64 })
}

fn line(submission: &Submission, event: &Event) -> Option<LineItem> {
    let krako_contract::Happening::Unit(unit) = &event.happening else { return None };
    let task = submission.graph().index_of(unit.work_unit_id.as_str())?;
    mapping::line_item(event, mapping::kind(submission.graph().task(task).task_type))
}
