//! The log as its one writer has it.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use krako_contract::{Event, RequestId, Sequence, SessionId, Sha256Text, TenantId, Timestamp};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::frame::{HEADER, Header};
use super::index::Batch;
use super::record::{self, Record};
use super::scan::{Scanned, scan};
use super::storage::failed;
use super::writer::{Shared, Waiting, What, Writer};
use super::{
    AppendError, Cut, LogError, LogLimits, NotBegun, Segment, SegmentNumber, Submitted, WriteSegments, reader,
};
use crate::{EventPage, Ledger};

/// The unit in which waiting bytes are counted.
const KIB: usize = 1024;

/// An event log, open to be written. There is one of it for a directory, in one process.
///
/// It needs a tokio runtime: a task of its own writes. Dropped, it writes what waits, and lets go of the storage.
#[derive(Debug)]
pub struct EventLog {
    storage: Arc<dyn WriteSegments>,
    limits: LogLimits,
    shared: Arc<Shared>,
    epoch: u64,
    waiting: Mutex<Option<mpsc::Sender<Waiting>>>,
    room: Arc<Semaphore>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// What an opened log holds.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "whoever opens a log takes all of it up")]
pub struct Opened {
    /// How often the log was opened, this time included: a number that no other opening has.
    pub epoch: u64,
    /// Every session, in the order in which they were submitted.
    pub sessions: Vec<Recorded>,
    /// What a crash had left unfinished. It is gone; nobody was told that it was durable.
    pub cut: Option<Cut>,
    /// What was billed so far, by everything that the log holds.
    pub ledger: Ledger,
}

/// A session that the log holds.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "what is recorded of a session")]
pub struct Recorded {
    /// Names it.
    pub session: SessionId,
    /// Who is billed.
    pub tenant: TenantId,
    /// What it was submitted under.
    pub request_id: RequestId,
    /// Of its graph.
    pub graph_digest: Sha256Text,
    /// When it was accepted.
    pub at: Timestamp,
    /// How far it is.
    pub standing: Standing,
}

/// How far a recorded session is.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a session has ended or has not")]
pub enum Standing {
    /// It has not ended: all of it, to go on from.
    Open {
        /// The submission, as it was written.
        text: String,
        /// Its events, in order, without gaps.
        events: Vec<Event>,
    },
    /// It has. What it was is read from the log when it is asked for.
    Ended {
        /// Its last event.
        last: Sequence,
    },
}

impl EventLog {
    /// Opens a log, or begins one in an empty storage. `at` is the time of day, for people.
    ///
    /// Everything is read and checked. What a crash left unfinished at the very end is cut off and told.
    ///
    /// # Errors
    ///
    /// [`LogError`] with the file and the offset if anything else is not as it was written, or with why the storage failed.
    pub async fn open(
        storage: impl WriteSegments,
        limits: LogLimits,
        at: Timestamp,
    ) -> Result<(Self, Opened), LogError> {
        let storage: Arc<dyn WriteSegments> = Arc::new(storage);
        let mut sessions = Sessions::default();
        let scanned = scan(&*storage, |record| sessions.take(record)).await?;
        let (end, mut index, cut) = begin(&*storage, scanned).await?;
        index.bytes = index.bytes.max(HEADER as u64);
        let epoch = index.epoch + 1;
        let shared = Arc::new(Shared { index: RwLock::new(index), stopped: RwLock::new(None) });
        let (sender, receiver) = mpsc::channel(limits.max_waiting.max(1));
        let writer = Writer {
            storage: Arc::clone(&storage),
            limits: limits.clone(),
            shared: Arc::clone(&shared),
            end,
        };
        let most = (limits.max_waiting_bytes / KIB).clamp(1, Semaphore::MAX_PERMITS);
        let log = Self {
            storage,
            limits,
            shared,
            epoch,
            waiting: Mutex::new(Some(sender)),
            room: Arc::new(Semaphore::new(most)),
            writer: Mutex::new(Some(tokio::spawn(writer.run(receiver)))),
        };
        // What was read is protected from now on: nothing before this record can be taken for unfinished.
        let opened = record::opened(&record::Opened { epoch, at });
        log.append(What::Opened(epoch), opened).await.map_err(LogError::Opening)?;
        Ok((log, Opened { epoch, sessions: sessions.list, cut, ledger: sessions.ledger }))
    }

    /// How often the log was opened, this time included.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Why nothing can be written any more, if that is so.
    pub fn stopped(&self) -> Option<String> {
        self.shared.stopped()
    }

    /// Records a submission. Durable when this returns.
    ///
    /// # Errors
    ///
    /// [`AppendError`]. Unless it is `Stopped`, nothing of the record is in the log.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the record may be written or not.
    pub async fn append_submission(&self, submitted: &Submitted) -> Result<(), AppendError> {
        let what = What::Submitted(submitted.session.clone());
        self.append(what, record::submitted(submitted)).await
    }

    /// Records what one fact made: events that continue a session, all of them or none. Durable when this returns.
    ///
    /// # Errors
    ///
    /// [`AppendError`]. Unless it is `Stopped`, nothing of the record is in the log.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the record may be written or not.
    pub async fn append_events(&self, session: &SessionId, events: &[Event]) -> Result<(), AppendError> {
        let batch = Batch::of(session, events);
        let batch = batch.map_err(|why| AppendError::Batch { session: session.clone(), why })?;
        self.append(What::Events(session.clone(), batch), record::events(session, events)).await
    }

    /// Records a submission and the first events of its session, as two records that share a write if they can. Both are
    /// durable when this returns.
    ///
    /// # Errors
    ///
    /// [`NotBegun`] says which of them is not in the log.
    ///
    /// # Cancel safety
    ///
    /// Dropped, both may be written, or the submission alone, or neither.
    pub async fn append_session(&self, submitted: &Submitted, events: &[Event]) -> Result<(), NotBegun> {
        let session = &submitted.session;
        let first = (What::Submitted(session.clone()), record::submitted(submitted));
        let batch =
            Batch::of(session, events).map_err(|why| AppendError::Batch { session: session.clone(), why });
        let second =
            batch.map(|batch| (What::Events(session.clone(), batch), record::events(session, events)));
        let first = self.send(first.0, first.1).await.map_err(NotBegun::Submission)?;
        // Sent before the first is written, for it is refused with the first if that is.
        let second = match second {
            Ok((what, body)) => self.send(what, body).await,
            Err(error) => Err(error),
        };
        answered(first).await.map_err(NotBegun::Submission)?;
        match second {
            Ok(second) => answered(second).await.map_err(NotBegun::Events),
            Err(error) => Err(NotBegun::Events(error)),
        }
    }

    /// Durable events of a session after `after`, in order: at most `max`, and no more bytes than a page may have.
    ///
    /// # Errors
    ///
    /// [`LogError`], `NoSession` among them.
    pub async fn read_events(
        &self,
        session: &SessionId,
        after: Option<Sequence>,
        max: usize,
    ) -> Result<EventPage, LogError> {
        reader::page(&*self.storage, &self.shared, self.limits.max_page_bytes, session, after, max).await
    }

    /// What a session was submitted as.
    ///
    /// # Errors
    ///
    /// [`LogError`], `NoSession` among them.
    pub async fn read_submission(&self, session: &SessionId) -> Result<Submitted, LogError> {
        reader::submission(&*self.storage, &self.shared, session).await
    }

    /// The number of a session's last durable event, 0 before the first, and whether it is the session's end. `None` if there
    /// is no such session.
    pub fn last(&self, session: &SessionId) -> Option<(u64, bool)> {
        self.shared
            .index(|index| index.sessions.get(session).map(|known| (known.stage.next - 1, known.stage.ended)))
    }

    /// Takes nothing more, and returns when everything that waited is written or refused.
    pub async fn close(&self) {
        drop(self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take());
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // It ends by itself once nobody can send.
            drop(writer.await);
        }
    }

    async fn append(&self, what: What, body: Vec<u8>) -> Result<(), AppendError> {
        answered(self.send(what, body).await?).await
    }

    /// Lets a record wait for its write, behind those that were sent before.
    async fn send(&self, what: What, body: Vec<u8>) -> Result<Answer, AppendError> {
        let (bytes, max) = (body.len(), self.limits.max_record_bytes.min(u32::MAX as usize));
        if bytes > max {
            return Err(AppendError::TooLarge { bytes, max });
        }
        let all = (self.limits.max_waiting_bytes / KIB).clamp(1, Semaphore::MAX_PERMITS);
        // One that is beyond all room waits until it is alone.
        let share = u32::try_from(bytes.div_ceil(KIB).min(all)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(share).await.map_err(|_| AppendError::Closed)?;
        let sender = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sender = sender.ok_or(AppendError::Closed)?;
        let (done, answer) = oneshot::channel();
        let waiting = Waiting { what, body, done, _room: room };
        sender.send(waiting).await.map_err(|_| AppendError::Closed)?;
        Ok(answer)
    }
}

/// What the writer will say of a record.
type Answer = oneshot::Receiver<Result<(), AppendError>>;

async fn answered(answer: Answer) -> Result<(), AppendError> {
    answer.await.unwrap_or_else(|_| Err(AppendError::Stopped("its writer ended".to_owned())))
}

/// Makes the end of a log one that can be written behind.
async fn begin(
    storage: &dyn WriteSegments,
    scanned: Scanned,
) -> Result<(Segment, super::index::Index, Option<Cut>), LogError> {
    let Scanned { index, end, headed, cut } = scanned;
    let end = match end {
        Some(end) if headed => {
            // What is read may not be durable, if its writer ended before it could be: it is with the next sync, and until then
            // nobody is told of it.
            if cut.is_some() {
                let done = storage.cut(end.number, end.bytes).await;
                done.map_err(|source| {
                    failed(storage, end.number, "cutting off what was unfinished", source)
                })?;
            }
            end
        }
        Some(_) | None => {
            let number = end.map_or(SegmentNumber::FIRST, |end| end.number);
            let header = Header { segment: number, records_before: index.records }.write();
            let done = storage.create(number, header.to_vec()).await;
            done.map_err(|source| failed(storage, number, "beginning a segment", source))?;
            Segment { number, bytes: HEADER as u64 }
        }
    };
    Ok((end, index, cut))
}

/// Collects what an opened log holds.
#[derive(Debug, Default)]
struct Sessions {
    list: Vec<Recorded>,
    at: std::collections::BTreeMap<SessionId, usize>,
    ledger: Ledger,
}

impl Sessions {
    fn take(&mut self, record: Record) {
        match record {
            Record::Opened(_) => {}
            Record::Submitted(submitted) => {
                let Submitted { session, tenant, request_id, graph_digest, at, text } = submitted;
                self.at.insert(session.clone(), self.list.len());
                let standing = Standing::Open { text, events: Vec::new() };
                self.list.push(Recorded { session, tenant, request_id, graph_digest, at, standing });
            }
            Record::Events(session, batch) => {
                let recorded = self.at.get(&session).and_then(|&at| self.list.get_mut(at));
                let (Some(recorded), Some(last)) = (recorded, batch.last()) else { return };
                let last = last.sequence;
                // The index took the batch: it continues its session.
                drop(self.ledger.fold(batch.iter().map(|event| (&recorded.tenant, event))));
                let ended = super::index::ends_with(&batch);
                if let Standing::Open { events, .. } = &mut recorded.standing {
                    events.extend(batch);
                }
                if ended {
                    recorded.standing = Standing::Ended { last };
                }
            }
        }
    }
}
