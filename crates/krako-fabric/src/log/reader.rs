//! Reading what is durable: pages of events, submissions; and a log that somebody else writes.

use std::sync::{Arc, RwLock};

use krako_contract::{Event, Sequence, SessionId};

use super::record::Record;
use super::scan::{record_at, scan};
use super::writer::Shared;
use super::{Cut, LogError, LogLimits, ReadSegments, Submitted};
use crate::EventPage;

/// A log to be read only. It needs no lock: it shows what the log held when it was opened here, and may show records at its
/// end that are not durable yet.
#[derive(Debug)]
pub struct LogReader {
    storage: Arc<dyn ReadSegments>,
    shared: Shared,
    cut: Option<Cut>,
}

impl LogReader {
    /// Reads a log and checks everything in it.
    ///
    /// # Errors
    ///
    /// [`LogError`] with the file and the offset of what is not as it was written.
    pub async fn open(storage: impl ReadSegments) -> Result<Self, LogError> {
        let storage: Arc<dyn ReadSegments> = Arc::new(storage);
        let scanned = scan(&*storage, drop).await?;
        let shared = Shared { index: RwLock::new(scanned.index), stopped: RwLock::new(None) };
        Ok(Self { storage, shared, cut: scanned.cut })
    }

    /// What is unfinished at the end: by a crash, or because it is being written now.
    pub fn unfinished(&self) -> Option<&Cut> {
        self.cut.as_ref()
    }

    /// Every session, by name, and whether it has ended.
    pub fn sessions(&self) -> Vec<(SessionId, bool)> {
        self.shared.index(|index| {
            index.sessions.iter().map(|(session, known)| (session.clone(), known.stage.ended)).collect()
        })
    }

    /// All events of a session, in order.
    ///
    /// # Errors
    ///
    /// [`LogError`], `NoSession` among them.
    pub async fn read_events(&self, session: &SessionId) -> Result<Vec<Event>, LogError> {
        let mut events: Vec<Event> = Vec::new();
        let bytes = LogLimits::default().max_page_bytes;
        loop {
            let after = events.last().map(|event| event.sequence);
            let page = page(&*self.storage, &self.shared, bytes, session, after, usize::MAX).await?;
            if page.events.is_empty() {
                return Ok(events);
            }
            events.extend(page.events);
        }
    }

    /// What a session was submitted as.
    ///
    /// # Errors
    ///
    /// [`LogError`], `NoSession` among them.
    pub async fn read_submission(&self, session: &SessionId) -> Result<Submitted, LogError> {
        submission(&*self.storage, &self.shared, session).await
    }
}

/// Some events of a session.
pub(super) async fn page(
    storage: &dyn ReadSegments,
    shared: &Shared,
    max_bytes: usize,
    session: &SessionId,
    after: Option<Sequence>,
    max: usize,
) -> Result<EventPage, LogError> {
    let first = after.map_or(1, |after| after.number() + 1);
    let found = shared.index(|index| {
        index.sessions.get(session).map(|known| (known.batches_from(first, max), known.stage))
    });
    let (batches, stage) = found.ok_or_else(|| LogError::NoSession(session.clone()))?;
    let (mut events, mut bytes) = (Vec::new(), 0_usize);
    for place in batches {
        bytes = bytes.saturating_add(place.bytes as usize);
        if !events.is_empty() && (events.len() >= max || bytes > max_bytes) {
            break;
        }
        match record_at(storage, place).await? {
            Record::Events(of, batch) if of == *session => {
                events.extend(batch.into_iter().filter(|event| event.sequence.number() >= first));
            }
            Record::Events(..) | Record::Opened(_) | Record::Submitted(_) => {
                return Err(other_record(storage, place));
            }
        }
    }
    events.truncate(max);
    let next = events.last().map_or(first, |last: &Event| last.sequence.number() + 1);
    Ok(EventPage { events, ended: stage.ended && next >= stage.next })
}

/// What a session was submitted as.
pub(super) async fn submission(
    storage: &dyn ReadSegments,
    shared: &Shared,
    session: &SessionId,
) -> Result<Submitted, LogError> {
    let place = shared.index(|index| index.sessions.get(session).map(|known| known.submitted));
    let place = place.ok_or_else(|| LogError::NoSession(session.clone()))?;
    match record_at(storage, place).await? {
        Record::Submitted(submitted) if submitted.session == *session => Ok(submitted),
        Record::Submitted(_) | Record::Opened(_) | Record::Events(..) => Err(other_record(storage, place)),
    }
}

fn other_record(storage: &dyn ReadSegments, place: super::index::Place) -> LogError {
    let what = "another record stands here than when the log was opened".to_owned();
    LogError::Damaged { file: storage.path(place.segment), offset: place.offset, what }
}
