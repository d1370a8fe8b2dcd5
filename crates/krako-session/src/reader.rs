//! The caller's end: a fabric is not trusted, so its events are made a run of again (C5.4, C5.5).

mod held;

use engine::RunOutcome;
use kora_ir::CheckedGraph;
use krako_contract::{
    Event, EventIntake, GraphId, Region, Sequence, SessionId, SessionReport, SessionStatus, SessionStopping,
    Taken as Intake, WrongEvent,
};
use sha2::{Digest, Sha256};
use telemetry::Event as RunEvent;

use crate::found::Found;
use crate::replay::Replay;

/// Reads one session: takes its events, each once and in order, and trusts nothing that follows from the graph.
///
/// Holds the run, and 16 bytes of every event that was taken.
#[derive(Debug)]
pub struct SessionReader {
    session: SessionId,
    graph_id: GraphId,
    pub(crate) intake: EventIntake,
    // Invariant: one for each event that was taken, in order.
    seen: Vec<[u8; 16]>,
    pub(crate) replay: Replay,
    found: Option<Found>,
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "an event is new or was there before")]
pub enum Taken {
    /// It is the next of its session, and this is what the run makes of it, for whoever observes.
    New(Vec<RunEvent>),
    /// It was delivered before (UPSTREAM: at least once). It says nothing again.
    Again,
}

/// 16 bytes that nobody can make another event have.
fn fingerprint(event: &Event) -> [u8; 16] {
    let digest: [u8; 32] = Sha256::digest(event.write()).into();
    let mut kept = [0; 16];
    kept.copy_from_slice(&digest[..16]);
    kept
}

/// A run that was given up, and the events that closing it made.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "what it came to, and what an observer has not seen of it")]
pub struct Abandoned {
    /// What it had come to. No output of it is to be used.
    pub outcome: RunOutcome,
    /// For whoever observes.
    pub run_events: Vec<RunEvent>,
}

impl SessionReader {
    /// For the events of `session`, which is to run `graph`.
    pub fn new(session: SessionId, graph_id: GraphId, graph: CheckedGraph) -> Self {
        Self {
            intake: EventIntake::new(session.clone(), graph_id.clone(), &graph),
            session,
            graph_id,
            seen: Vec::new(),
            replay: Replay::new(graph),
            found: None,
        }
    }

    /// Takes the next event, or one that was there before.
    ///
    /// # Errors
    ///
    /// [`Found`]. What is [out of its place](Found::Place) was not taken, and the reader goes on where it was; after
    /// anything else it answers the same for good.
    pub fn take(&mut self, event: &Event) -> Result<Taken, Found> {
        if let Some(found) = &self.found {
            return Err(found.clone());
        }
        self.bounded(event)?;
        let taken = self.intake.take(event)?;
        let result = match taken {
            Intake::New => {
                self.seen.push(fingerprint(event));
                self.replay.take(event).map(Taken::New)
            }
            Intake::Again => {
                let sequence = event.sequence.number();
                let place = usize::try_from(sequence - 1).unwrap_or(usize::MAX);
                if self.seen.get(place) == Some(&fingerprint(event)) {
                    Ok(Taken::Again)
                } else {
                    Err(Found::Repeated { sequence })
                }
            }
        };
        if let Err(found) = &result {
            self.found = Some(found.clone());
        }
        result
    }

    /// The last event that was taken: the `Last-Event-ID` after a lost connection.
    pub fn last(&self) -> Option<Sequence> {
        self.intake.last()
    }

    /// Whether the session's last event was taken.
    pub fn has_ended(&self) -> bool {
        self.replay.ended.is_some()
    }

    /// How it ended, by its events.
    pub fn status(&self) -> Option<SessionStatus> {
        self.replay.ended.as_ref().map(|ended| ended.status)
    }

    /// Where the session is said to run.
    pub fn region(&self) -> Option<&Region> {
        self.replay.region.as_ref()
    }

    /// Whether, why and when the session was stopped.
    pub fn stopping(&self) -> Option<SessionStopping> {
        self.replay.stopping
    }

    /// The graph that it is to run.
    pub fn graph(&self) -> &CheckedGraph {
        &self.replay.graph
    }

    /// Holds a report of a session that ended against its events, all of which were taken.
    ///
    /// # Errors
    ///
    /// [`Found`]: `InvalidReport`, `NoEnd` or `Report`.
    pub fn check(&self, report: &SessionReport) -> Result<(), Found> {
        if let Some(found) = &self.found {
            return Err(found.clone());
        }
        held::against(self, report)
    }

    /// What the session came to.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn finish(self, report: &SessionReport) -> Result<RunOutcome, Found> {
        self.check(report)?;
        let last = self.intake.last();
        self.replay.ended.map(|ended| ended.outcome).ok_or_else(|| held::no_end(report, last))
    }

    /// Gives the run up after `latency_ms` milliseconds: what did not settle is cancelled, what was spent stays spent.
    pub fn abandon(self, latency_ms: u64) -> Abandoned {
        if let Some(ended) = self.replay.ended {
            return Abandoned { outcome: ended.outcome, run_events: Vec::new() };
        }
        self.replay.abandon(latency_ms)
    }

    /// Whether there are no more events, the next included, than what has happened so far can make.
    fn bounded(&self, event: &Event) -> Result<(), Found> {
        let next = self.intake.last().map_or(Some(Sequence::FIRST), Sequence::next);
        let most = self.intake.most_after(self.replay.started);
        let sequence = event.sequence.number();
        if Some(event.sequence) == next && sequence > most {
            return Err(Found::Place(WrongEvent::TooMany { sequence, most }));
        }
        Ok(())
    }

    pub(crate) fn session(&self) -> &SessionId {
        &self.session
    }

    pub(crate) fn graph_id(&self) -> &GraphId {
        &self.graph_id
    }
}
