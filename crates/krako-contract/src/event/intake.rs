//! Takes the events of one session in: each once, in order, of the right session and graph, and no more than there can be.

use kora_ir::CheckedGraph;
use thiserror::Error;

use super::{Event, Happening, Sequence, SessionEvent};
use crate::{GraphId, SessionId};

/// Events of one unit's attempt that no fabric needs more of: four claims of it among them.
const PER_ATTEMPT: u64 = 16;
/// Events of a session beside those of its units, unknown ones included.
const OF_SESSION: u64 = 64;

/// What has come of a session's events so far. Holds nothing that grows with their number.
#[derive(Clone, Debug)]
pub struct EventIntake {
    session: SessionId,
    graph_id: GraphId,
    digest: kora_ir::GraphDigest,
    next: Option<Sequence>,
    units: u64,
    most: u64,
    ended: bool,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "an event is new or was there before")]
pub enum Taken {
    /// It is the next of its session.
    New,
    /// It was delivered before (UPSTREAM: at least once). It says nothing again.
    Again,
}

/// An event that cannot be the next of its session. The intake is unchanged.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "what an event has to fit: session, graph, place, number, start and end"
)]
pub enum WrongEvent {
    /// Of another session.
    #[error("an event of session `{found}` came where those of `{expected}` were asked for")]
    OtherSession {
        /// The one that was asked for.
        expected: SessionId,
        /// The event's.
        found: SessionId,
    },
    /// Of another graph.
    #[error("an event of graph `{found}` came in a session of `{expected}`")]
    OtherGraph {
        /// The graph that was submitted.
        expected: GraphId,
        /// The event's.
        found: GraphId,
    },
    /// The session says that it runs something else than what was submitted (I1).
    #[error("the session runs a graph of digest {found}, and {expected} was submitted")]
    OtherDigest {
        /// Of the graph that was submitted.
        expected: String,
        /// Of the graph that is said to be run.
        found: String,
    },
    /// One or more are missing: ask again, with the last that was taken as `Last-Event-ID`.
    #[error("event {found} came where {expected} was next; ask again from there")]
    Gap {
        /// The next one.
        expected: u64,
        /// The event's.
        found: u64,
    },
    /// Only the first event starts a session, and it does nothing else.
    #[error("event {sequence} is `{name}`; a session starts with its first event and only then")]
    Start {
        /// The event's place.
        sequence: u64,
        /// The event's name.
        name: String,
    },
    /// Nothing comes after the end.
    #[error("event {sequence} came after the session had ended")]
    AfterEnd {
        /// The event's place.
        sequence: u64,
    },
    /// More than the graph's caps can make (I8).
    #[error("event {sequence} is beyond the {most} that a session of this graph can have")]
    TooMany {
        /// The event's place.
        sequence: u64,
        /// The highest place there can be.
        most: u64,
    },
}

impl EventIntake {
    /// For the events of `session`, which runs `graph`.
    pub fn new(session: SessionId, graph_id: GraphId, graph: &CheckedGraph) -> Self {
        Self {
            session,
            graph_id,
            digest: *graph.digest(),
            next: Some(Sequence::FIRST),
            units: graph.tasks().len() as u64,
            most: most(graph),
            ended: false,
        }
    }

    /// Takes the next event.
    ///
    /// # Errors
    ///
    /// [`WrongEvent`] if it is not the next one, and was not there before.
    pub fn take(&mut self, event: &Event) -> Result<Taken, WrongEvent> {
        if event.execution_session_id != self.session {
            let (expected, found) = (self.session.clone(), event.execution_session_id.clone());
            return Err(WrongEvent::OtherSession { expected, found });
        }
        if event.graph_id != self.graph_id {
            let (expected, found) = (self.graph_id.clone(), event.graph_id.clone());
            return Err(WrongEvent::OtherGraph { expected, found });
        }
        let sequence = event.sequence.number();
        match self.next {
            Some(next) if event.sequence > next => {
                return Err(WrongEvent::Gap { expected: next.number(), found: sequence });
            }
            Some(next) if event.sequence == next => {}
            Some(_) | None => return Ok(Taken::Again),
        }
        if self.ended {
            return Err(WrongEvent::AfterEnd { sequence });
        }
        if sequence > self.most {
            return Err(WrongEvent::TooMany { sequence, most: self.most });
        }
        let start = match &event.happening {
            Happening::Session(SessionEvent::Started(started)) => {
                if started.graph_digest != self.digest {
                    let (expected, found) = (self.digest.to_string(), started.graph_digest.to_string());
                    return Err(WrongEvent::OtherDigest { expected, found });
                }
                true
            }
            Happening::Session(
                SessionEvent::Stopping(_) | SessionEvent::Completed(_) | SessionEvent::Failed(_),
            )
            | Happening::Unit(_)
            | Happening::Unknown(_) => false,
        };
        if start != (event.sequence == Sequence::FIRST) {
            return Err(WrongEvent::Start { sequence, name: event.name().to_owned() });
        }
        self.ended = match &event.happening {
            Happening::Session(SessionEvent::Completed(_) | SessionEvent::Failed(_)) => true,
            Happening::Session(SessionEvent::Started(_) | SessionEvent::Stopping(_))
            | Happening::Unit(_)
            | Happening::Unknown(_) => false,
        };
        self.next = event.sequence.next();
        Ok(Taken::New)
    }

    /// Events that can have been told at most once `started` attempts have: fewer than a session can have in all, so that a
    /// fabric that only says idle things is stopped early.
    pub fn most_after(&self, started: u64) -> u64 {
        let units = self.units.saturating_add(started);
        units.saturating_mul(PER_ATTEMPT).saturating_add(OF_SESSION).min(self.most)
    }

    /// The last event that was taken: the `Last-Event-ID` of a reader who lost its connection.
    pub fn last(&self) -> Option<Sequence> {
        match self.next {
            Some(next) => Sequence::new(next.number() - 1).ok(),
            None => Sequence::new(Sequence::MAX).ok(),
        }
    }

    /// Whether the session's last event was taken.
    pub fn has_ended(&self) -> bool {
        self.ended
    }
}

/// Events that a session of `graph` can have at most: its retries are capped, and so is what one attempt can say.
fn most(graph: &CheckedGraph) -> u64 {
    let attempts = graph.tasks().iter().map(|task| 1 + u64::from(task.budget.max_retries()));
    let attempts = attempts.fold(0_u64, u64::saturating_add);
    attempts.saturating_mul(PER_ATTEMPT).saturating_add(OF_SESSION).min(Sequence::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WireLimits;
    use crate::testing::graph;

    fn events() -> Vec<Event> {
        let lines = include_str!("../../examples/events.jsonl").lines();
        lines.map(|line| Event::read(line.as_bytes(), &WireLimits::default()).unwrap()).collect()
    }

    fn intake() -> EventIntake {
        let graph = graph();
        EventIntake::new(
            events()[0].execution_session_id.clone(),
            GraphId::new(graph.graph_id()).unwrap(),
            &graph,
        )
    }

    // shows C5.4
    #[test]
    fn what_is_delivered_twice_counts_once() {
        let (mut intake, events) = (intake(), events());
        assert_eq!(intake.last(), None);
        for (nth, event) in events.iter().enumerate() {
            assert_eq!(intake.take(event), Ok(Taken::New));
            for before in &events[..=nth] {
                assert_eq!(intake.take(before), Ok(Taken::Again));
            }
        }
        assert!(intake.has_ended());
        assert_eq!(intake.last().map(Sequence::number), Some(events.len() as u64));
    }

    #[test]
    fn what_does_not_fit_is_refused_and_changes_nothing() {
        let (mut intake, events) = (intake(), events());
        assert!(matches!(intake.take(&events[1]), Err(WrongEvent::Gap { expected: 1, found: 2 })));
        let other = Event { execution_session_id: SessionId::new("other").unwrap(), ..events[0].clone() };
        assert!(matches!(intake.take(&other), Err(WrongEvent::OtherSession { .. })));
        let other = Event { graph_id: GraphId::new("other").unwrap(), ..events[0].clone() };
        assert!(matches!(intake.take(&other), Err(WrongEvent::OtherGraph { .. })));
        let early = Event { sequence: Sequence::FIRST, ..events[1].clone() };
        assert!(matches!(intake.take(&early), Err(WrongEvent::Start { .. })));
        let mut other = events[0].clone();
        if let Happening::Session(SessionEvent::Started(started)) = &mut other.happening {
            started.graph_digest = crate::Sha256Text::new(&format!("sha256:{}", "0".repeat(64))).unwrap();
        }
        assert!(matches!(intake.take(&other), Err(WrongEvent::OtherDigest { .. })));
        for event in &events {
            assert_eq!(intake.take(event), Ok(Taken::New));
        }
        let late = Event { sequence: intake.last().unwrap().next().unwrap(), ..events[1].clone() };
        assert!(matches!(intake.take(&late), Err(WrongEvent::AfterEnd { .. })));
    }

    // A fabric that never ends a session is stopped by the graph's own caps.
    #[test]
    fn a_session_has_no_more_events_than_its_graph_can_make() {
        let (mut intake, events) = (intake(), events());
        intake.take(&events[0]).unwrap();
        let mut sequence = Sequence::FIRST;
        let refused = loop {
            sequence = sequence.next().unwrap();
            if let Err(refused) = intake.take(&Event { sequence, ..events[2].clone() }) {
                break refused;
            }
        };
        assert!(matches!(refused, WrongEvent::TooMany { most, .. } if most == intake.most), "{refused}");
    }
}
