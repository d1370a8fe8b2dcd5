//! Group commit: one task writes, and all that wait for it share one write and one sync.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use krako_contract::SessionId;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::frame::{self, HEAD, HEADER, Header};
use super::index::{Batch, Index, Place, Stage};
use super::storage::is_full;
use super::{AppendError, LogLimits, Segment, WriteSegments};

/// What the writer and those who read share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) index: RwLock<Index>,
    pub(super) stopped: RwLock<Option<String>>,
}

impl Shared {
    /// Nobody panics while holding it; and the index would be whole if somebody did.
    pub(super) fn index<T>(&self, read: impl FnOnce(&Index) -> T) -> T {
        read(&self.index.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn stopped(&self) -> Option<String> {
        self.stopped.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A record that waits to be written.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) what: What,
    pub(super) body: Vec<u8>,
    pub(super) done: oneshot::Sender<Result<(), AppendError>>,
    /// Its share of what may wait, given back when it is dropped.
    pub(super) _room: OwnedSemaphorePermit,
}

/// What it is, as far as the index has to know.
#[derive(Debug)]
pub(super) enum What {
    Opened(u64),
    Submitted(SessionId),
    Events(SessionId, Batch),
}

/// The one who writes.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) storage: Arc<dyn WriteSegments>,
    pub(super) limits: LogLimits,
    pub(super) shared: Arc<Shared>,
    /// Where the next record goes.
    pub(super) end: Segment,
}

/// What is written at once.
#[derive(Debug, Default)]
struct Group {
    bytes: Vec<u8>,
    stages: BTreeMap<SessionId, Stage>,
    records: Vec<(Waiting, Place, Option<Stage>)>,
}

impl Writer {
    /// Writes what comes until nobody can send any more.
    pub(super) async fn run(mut self, mut waiting: mpsc::Receiver<Waiting>) {
        while let Some(first) = waiting.recv().await {
            let mut group = Group::default();
            let mut next = Some(first);
            while let Some(record) = next {
                self.admit(&mut group, record);
                let full = group.bytes.len() >= self.limits.max_write_bytes;
                next = if full { None } else { waiting.try_recv().ok() };
            }
            if !group.records.is_empty() {
                self.commit(group).await;
            }
        }
    }

    /// Puts a record into the group if it may come there, or answers why not.
    fn admit(&self, group: &mut Group, record: Waiting) {
        match self.stage_after(group, &record) {
            Ok(stage) => {
                let offset = self.end.bytes + group.bytes.len() as u64;
                // Below the limit of a record, which is below this.
                let bytes = u32::try_from(record.body.len()).unwrap_or(u32::MAX);
                frame::put(&mut group.bytes, self.end.number, offset, self.end.bytes, &record.body);
                if let (Some(stage), Some(session)) = (stage, record.what.session()) {
                    group.stages.insert(session.clone(), stage);
                }
                let place = Place { segment: self.end.number, offset, bytes };
                group.records.push((record, place, stage));
            }
            Err(error) => drop(record.done.send(Err(error))),
        }
    }

    fn stage_after(&self, group: &Group, record: &Waiting) -> Result<Option<Stage>, AppendError> {
        let stage_of = |session: &SessionId| {
            let staged = group.stages.get(session).copied();
            staged.or_else(|| self.shared.index(|index| index.sessions.get(session).map(|known| known.stage)))
        };
        match &record.what {
            What::Opened(_) => Ok(None),
            What::Submitted(session) => {
                if stage_of(session).is_some() {
                    return Err(AppendError::Exists(session.clone()));
                }
                let (has, max) = (self.shared.index(|index| index.bytes), self.limits.max_log_bytes);
                if has + (group.bytes.len() + record.body.len()) as u64 > max {
                    let why = format!("it has {has} bytes of the {max} that it may have (`max_log_bytes`)");
                    return Err(AppendError::Full(why));
                }
                Ok(Some(Stage::NEW))
            }
            What::Events(session, batch) => {
                let stage = stage_of(session).ok_or_else(|| AppendError::NoSession(session.clone()))?;
                let after = stage.then(*batch);
                after.map(Some).map_err(|why| AppendError::Batch { session: session.clone(), why })
            }
        }
    }

    /// Writes a group, and tells those who wait for it.
    async fn commit(&mut self, group: Group) {
        let result = self.write(group.bytes).await;
        if result.is_ok() {
            let mut index = self.shared.index.write().unwrap_or_else(PoisonError::into_inner);
            for (record, place, stage) in &group.records {
                index.settle(&record.what, *place, *stage);
            }
            index.bytes +=
                group.records.iter().map(|(_, place, _)| (HEAD as u64) + u64::from(place.bytes)).sum::<u64>();
        }
        for (record, _, _) in group.records {
            // Whoever does not wait any more needs no answer.
            drop(record.done.send(result.clone()));
        }
        if result.is_ok() && self.end.bytes >= self.limits.segment_bytes {
            // If there is no room for another segment now, this one goes on, and the next write tries again.
            drop(self.rotate().await);
        }
    }

    async fn write(&mut self, bytes: Vec<u8>) -> Result<(), AppendError> {
        if let Some(why) = self.shared.stopped() {
            return Err(AppendError::Stopped(why));
        }
        let written = bytes.len() as u64;
        match self.storage.append(self.end.number, self.end.bytes, bytes).await {
            Ok(()) => {
                self.end.bytes += written;
                Ok(())
            }
            Err(error) => {
                let what = format!("{}: {error}", self.storage.path(self.end.number));
                if !is_full(&error) {
                    return Err(self.stop(what));
                }
                // What was refused must not be there after a crash.
                match self.storage.cut(self.end.number, self.end.bytes).await {
                    Ok(()) => Err(AppendError::Full(what)),
                    Err(cut) => {
                        Err(self.stop(format!("{what}, and what was written could not be cut off: {cut}")))
                    }
                }
            }
        }
    }

    /// Begins the next segment.
    async fn rotate(&mut self) -> Result<(), AppendError> {
        let Some(number) = self.end.number.next() else { return Ok(()) };
        let records_before = self.shared.index(|index| index.records);
        let header = Header { segment: number, records_before }.write();
        match self.storage.create(number, header.to_vec()).await {
            Ok(()) => {
                self.end = Segment { number, bytes: HEADER as u64 };
                let mut index = self.shared.index.write().unwrap_or_else(PoisonError::into_inner);
                index.bytes += HEADER as u64;
                Ok(())
            }
            Err(error) if is_full(&error) => Err(AppendError::Full(error.to_string())),
            Err(error) => Err(self.stop(format!("{}: {error}", self.storage.path(number)))),
        }
    }

    fn stop(&self, why: String) -> AppendError {
        *self.shared.stopped.write().unwrap_or_else(PoisonError::into_inner) = Some(why.clone());
        AppendError::Stopped(why)
    }
}

impl What {
    fn session(&self) -> Option<&SessionId> {
        match self {
            Self::Opened(_) => None,
            Self::Submitted(session) | Self::Events(session, _) => Some(session),
        }
    }
}

impl Index {
    /// Takes in a record that was admitted, and is durable now.
    fn settle(&mut self, what: &What, place: Place, stage: Option<Stage>) {
        self.records += 1;
        match what {
            What::Opened(epoch) => self.epoch = *epoch,
            What::Submitted(session) => self.submit(session.clone(), place),
            What::Events(session, _) => {
                if let (Some(known), Some(stage)) = (self.sessions.get_mut(session), stage) {
                    known.batches.push((known.stage.next, place));
                    known.stage = stage;
                }
            }
        }
    }
}
