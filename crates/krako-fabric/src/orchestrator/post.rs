//! What a session is told: by nodes, by callers, by the clock. It looks when it has time.

use std::sync::{Mutex, MutexGuard, PoisonError};

use kora_ir::TaskIndex;
use krako_contract::{NodeId, SessionReport};
use std::sync::Arc;
use tokio::sync::{Notify, watch};

use crate::OrderReport;

/// What happened to an order of a session.
#[derive(Debug)]
pub(super) enum Note {
    /// A node took it.
    Claimed { task: TaskIndex, attempt: u32, node: NodeId },
    /// The node that had it was lost, having spent this as far as it said.
    Lost { task: TaskIndex, attempt: u32, tokens_out: u64, elapsed_us: u64 },
    /// The node that has it is beyond its time.
    Overdue { task: TaskIndex, attempt: u32, tokens_out: u64, elapsed_us: u64 },
    /// No node took it.
    NotTaken { task: TaskIndex, attempt: u32 },
    /// It ended.
    Reported { task: TaskIndex, attempt: u32, report: Box<OrderReport>, done: watch::Sender<Option<bool>> },
}

/// What a session is told and has not looked at. At most a few notes for each order that it has given.
#[derive(Debug)]
pub(super) struct Post {
    told: Mutex<Told>,
    notify: Notify,
    /// How far its events are durable.
    pub(super) seen: watch::Sender<Seen>,
    /// The last report that somebody asked for.
    pub(super) document: watch::Sender<Option<Arc<Document>>>,
}

#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) notes: Vec<Note>,
    pub(super) cancelled: bool,
    /// Reports that were asked for, counted. Whoever asks while one is being made gets the next.
    pub(super) asked: u64,
}

/// How far a session is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Seen {
    /// Its last durable event.
    pub(super) last: u64,
    pub(super) stage: Stage,
}

impl Seen {
    /// Whether nothing more will come of it here.
    pub(super) fn has_stopped(&self) -> bool {
        match self.stage {
            Stage::Ended | Stage::Stuck { .. } => true,
            Stage::Submitted | Stage::Accepted => false,
        }
    }
}

/// Where a session is with its log.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) enum Stage {
    /// Its submission is not durable.
    #[default]
    Submitted,
    /// It is.
    Accepted,
    /// Its last event is durable.
    Ended,
    /// It goes no further here.
    Stuck {
        /// For people.
        why: String,
        /// Whether trying again would change nothing.
        is_bug: bool,
    },
}

/// A report, and the last question that it answers.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) answers: u64,
    pub(super) report: SessionReport,
}

impl Post {
    pub(super) fn new(seen: Seen) -> Self {
        Self {
            told: Mutex::default(),
            notify: Notify::new(),
            seen: watch::Sender::new(seen),
            document: watch::Sender::new(None),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tell(&self, note: Note) {
        self.lock().notes.push(note);
        self.notify.notify_one();
    }

    pub(super) fn cancel(&self) {
        self.lock().cancelled = true;
        self.notify.notify_one();
    }

    /// Asks for a report: one whose `answers` is not less than this.
    pub(super) fn ask(&self) -> u64 {
        let mut told = self.lock();
        told.asked += 1;
        self.notify.notify_one();
        told.asked
    }

    /// How many reports were asked for.
    pub(super) fn asked(&self) -> u64 {
        self.lock().asked
    }

    /// Everything that was told since the last time; what was asked is asked still.
    pub(super) fn take(&self) -> Told {
        let mut told = self.lock();
        Told { notes: std::mem::take(&mut told.notes), cancelled: told.cancelled, asked: told.asked }
    }

    /// Resolves when something new was told.
    pub(super) async fn told(&self) {
        self.notify.notified().await;
    }
}
