//! A session taken up again where its log ends: recorded events are read by the very rules of whoever trusts nothing.

use engine::{Next, Start};
use kora_ir::{CheckedGraph, TaskIndex};
use krako_contract::{Event, EventIntake, InvalidWireName, SessionId, Taken, Timestamp};
use telemetry::Event as RunEvent;
use thiserror::Error;

use crate::claim::OpenAttempt;
use crate::found::Found;
use crate::replay::Replay;
use crate::writer::SessionWriter;

/// A session that goes on, and what was left open.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "whoever goes on must look at all of it")]
pub struct Recovered {
    /// Writes on.
    pub writer: SessionWriter,
    /// Attempts that started and did not end, in canonical order: give them again, or report them if they are unwanted.
    pub under_way: Vec<UnderWay>,
    /// Units between two attempts, in canonical order.
    pub waiting: Vec<WaitingRetry>,
}

/// An attempt that started and did not end.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "whoever gives it again needs all of it")]
pub struct UnderWay {
    /// As it was given to be started.
    pub start: Start,
    /// Since when, and how often it was claimed.
    pub open: OpenAttempt,
    /// Whether it still counts. If not, it is to be stopped and reported; nobody names it again.
    pub is_wanted: bool,
}

/// A unit between two attempts.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "whoever waits needs all of it")]
pub struct WaitingRetry {
    /// The unit.
    pub task: TaskIndex,
    /// The attempt to come.
    pub attempt: u32,
    /// Microseconds left to the unit, the wait included.
    pub time_left_us: u64,
    /// Since when it waits.
    pub since: Timestamp,
}

/// Recorded events that no session of the graph can have begun with. The log is damaged, or of another version.
#[derive(Clone, Debug, Error, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the names, an event, or the place where it ends")]
pub enum NotRecoverable {
    /// A name that the wire does not have.
    #[error(transparent)]
    Name(#[from] InvalidWireName),
    /// An event that cannot be.
    #[error("the recorded events are not those of a session of this graph: {0}")]
    Found(#[from] Found),
    /// A batch is recorded as a whole or not at all; of this one a part is missing.
    #[error(
        "the record ends with event {last}, in the middle of what one fact made; restore the log from a copy"
    )]
    WithinBatch {
        /// The last event, 0 before the first.
        last: u64,
    },
}

impl SessionWriter {
    /// Takes a session up where its recorded events end. None at all is a session that was accepted and has not begun.
    ///
    /// # Errors
    ///
    /// [`NotRecoverable`]. Never of what a writer has made, cut between two batches.
    pub fn recover(
        session: SessionId,
        graph: CheckedGraph,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<Recovered, NotRecoverable> {
        let mut writer = Self::new(session.clone(), graph.clone())?;
        let mut intake = EventIntake::new(session, writer.graph_id.clone(), &graph);
        let mut replay = Replay::new(graph);
        let mut since = std::collections::BTreeMap::new();
        for event in events {
            if intake.take(&event).map_err(Found::Place)? == Taken::Again {
                continue;
            }
            for made in replay.take(&event)? {
                match made {
                    // So that it knows which attempt each unit is at.
                    RunEvent::AttemptStarted { .. } => {
                        let _ = writer.publisher.publish(&made, &Default::default());
                    }
                    RunEvent::Retrying { task, .. } => {
                        since.insert(task, event.timestamp.clone());
                    }
                    RunEvent::AttemptEnded { .. }
                    | RunEvent::Validated { .. }
                    | RunEvent::Completed { .. }
                    | RunEvent::Failed { .. }
                    | RunEvent::Skipped { .. }
                    | RunEvent::Escalated { .. }
                    | _ => {}
                }
            }
            writer.note(&event);
        }
        if !replay.is_between_batches() {
            let last = intake.last().map_or(0, |last| last.number());
            return Err(NotRecoverable::WithinBatch { last });
        }
        let mut under_way = Vec::new();
        let mut waiting = Vec::new();
        if let Some(run) = &replay.run {
            for (&task, open) in &replay.open {
                if let Some(start) = run.under_way(task) {
                    let is_wanted = !replay.unwanted.contains(&task);
                    under_way.push(UnderWay { start, open: open.clone(), is_wanted });
                }
            }
            for (task, next) in run.waiting() {
                if let (Next::Retry { attempt, time_left_us }, Some(since)) = (next, since.get(&task)) {
                    waiting.push(WaitingRetry { task, attempt, time_left_us, since: since.clone() });
                }
            }
        }
        // Before the first event the run's own first events are still to be drawn from it, as `begin` does.
        if intake.last().is_some() {
            writer.run = replay.run;
            writer.ended = replay.ended;
        }
        Ok(Recovered { writer, under_way, waiting })
    }
}
