//! Where in the log each session's records are, and what may come next of it. The one rule for reading and for appending.

use std::collections::BTreeMap;

use krako_contract::{Event, Happening, SessionEvent, SessionId};

use super::record::Record;
use super::{AppendError, BadBatch, SegmentNumber};

/// A record's place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Place {
    pub(super) segment: SegmentNumber,
    /// Of its head.
    pub(super) offset: u64,
    /// Of its body.
    pub(super) bytes: u32,
}

/// What is known of a session without reading its records.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) submitted: Place,
    /// The number of each batch's first event, in order.
    pub(super) batches: Vec<(u64, Place)>,
    pub(super) stage: Stage,
}

/// How far a session is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stage {
    /// Its next event.
    pub(super) next: u64,
    pub(super) ended: bool,
}

impl Stage {
    pub(super) const NEW: Self = Self { next: 1, ended: false };

    /// The stage after a batch, if it continues this one.
    pub(super) fn then(self, batch: Batch) -> Result<Self, BadBatch> {
        if self.ended {
            return Err(BadBatch::AfterEnd(batch.first));
        }
        if batch.first != self.next {
            return Err(BadBatch::Order { expected: self.next, found: batch.first });
        }
        Ok(Self { next: batch.next, ended: batch.ends })
    }
}

/// Events of one session, one after the other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Batch {
    pub(super) first: u64,
    next: u64,
    ends: bool,
}

impl Batch {
    pub(super) fn of(session: &SessionId, events: &[Event]) -> Result<Self, BadBatch> {
        let first = events.first().ok_or(BadBatch::Empty)?.sequence.number();
        let mut batch = Self { first, next: first, ends: false };
        for event in events {
            let found = event.sequence.number();
            if event.execution_session_id != *session {
                return Err(BadBatch::OtherSession(found));
            }
            if batch.ends {
                return Err(BadBatch::AfterEnd(found));
            }
            if found != batch.next {
                return Err(BadBatch::Order { expected: batch.next, found });
            }
            batch = Self { first, next: found.saturating_add(1), ends: ends(event) };
        }
        Ok(batch)
    }
}

/// Whether nothing comes after these events.
pub(super) fn ends_with(events: &[Event]) -> bool {
    events.last().is_some_and(ends)
}

/// Whether nothing comes after this event.
fn ends(event: &Event) -> bool {
    match &event.happening {
        Happening::Session(SessionEvent::Completed(_) | SessionEvent::Failed(_)) => true,
        Happening::Session(SessionEvent::Started(_) | SessionEvent::Stopping(_))
        | Happening::Unit(_)
        | Happening::Unknown(_) => false,
    }
}

/// Every session of a log.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) epoch: u64,
    pub(super) records: u64,
    pub(super) bytes: u64,
    pub(super) sessions: BTreeMap<SessionId, Session>,
}

impl Index {
    /// Takes in a record that was read at its place. The error says why it cannot come there.
    pub(super) fn take(&mut self, place: Place, record: &Record) -> Result<(), String> {
        match record {
            Record::Opened(opened) => {
                if opened.epoch != self.epoch + 1 {
                    return Err(format!("opening {} comes after {}", opened.epoch, self.epoch));
                }
                self.epoch = opened.epoch;
            }
            Record::Submitted(submitted) => {
                if self.sessions.contains_key(&submitted.session) {
                    return Err(AppendError::Exists(submitted.session.clone()).to_string());
                }
                self.submit(submitted.session.clone(), place);
            }
            Record::Events(session, events) => {
                let Some(known) = self.sessions.get_mut(session) else {
                    return Err(AppendError::NoSession(session.clone()).to_string());
                };
                let stage = Batch::of(session, events).and_then(|batch| known.stage.then(batch));
                let stage =
                    stage.map_err(|why| AppendError::Batch { session: session.clone(), why }.to_string())?;
                known.batches.push((known.stage.next, place));
                known.stage = stage;
            }
        }
        self.records += 1;
        Ok(())
    }

    /// Takes in a submission that is new.
    pub(super) fn submit(&mut self, session: SessionId, submitted: Place) {
        let known = Session { submitted, batches: Vec::new(), stage: Stage::NEW };
        self.sessions.insert(session, known);
    }
}

impl Session {
    /// The batches that hold the events from `first` on, in order, at most `max` of them.
    pub(super) fn batches_from(&self, first: u64, max: usize) -> Vec<Place> {
        if first >= self.stage.next {
            return Vec::new();
        }
        // The last batch that begins at it or before.
        let from = self.batches.partition_point(|(begins, _)| *begins <= first).saturating_sub(1);
        self.batches.iter().skip(from).take(max).map(|(_, place)| *place).collect()
    }
}
