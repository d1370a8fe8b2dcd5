//! One graph, and the ways in which its session can go.

use kora_ir::{CheckedGraph, Limits};
use krako_contract::{GraphId, SessionId, Stopping};

use super::world::{Script, Step, Told, play};
use crate::SessionReader;

/// What a fabric could tell of [`Story::GRAPH`]. Every one is true.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "each is another way for a session to go")]
pub enum Story {
    /// Everything gives an output at once.
    Plain,
    /// Everything is tried twice: the first output breaks its schema.
    Retried,
    /// The model fails for good, and what is declared stands in for it.
    Escalated,
    /// Everything fails, transiently, until its retries are used up.
    Exhausted,
    /// Everything costs more than it may.
    Overspent,
    /// Cancelled after the first attempt.
    Cancelled,
    /// Its `max_latency_ms` is over after the first attempt.
    Late,
}

impl Story {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Plain,
        Self::Retried,
        Self::Escalated,
        Self::Exhausted,
        Self::Overspent,
        Self::Cancelled,
        Self::Late,
    ];

    /// The graph, in the text that was submitted.
    pub const GRAPH: &'static str = include_str!("graph.json");

    /// The graph.
    ///
    /// # Panics
    ///
    /// Never: the graph is checked by the tests of this crate.
    pub fn graph() -> CheckedGraph {
        CheckedGraph::parse(Self::GRAPH, &Limits::default()).expect("the graph is valid")
    }

    /// The session that all of them are of.
    ///
    /// # Panics
    ///
    /// Never.
    pub fn session() -> SessionId {
        SessionId::new("ses_story").expect("a wire name")
    }

    /// Somebody who reads it.
    ///
    /// # Panics
    ///
    /// Never.
    pub fn reader() -> SessionReader {
        let graph = Self::graph();
        let graph_id = GraphId::new(graph.graph_id()).expect("a wire name");
        SessionReader::new(Self::session(), graph_id, graph)
    }

    /// The truth.
    pub fn tell(self) -> Told {
        let (steps, stop) = match self {
            Self::Plain => (vec![], None),
            // By task and attempt, in threes: the first and the second attempt.
            Self::Retried => (vec![Step::Mismatch, Step::Output, Step::Output], None),
            Self::Escalated => (self.steps(Step::Failed(false)), None),
            Self::Exhausted => (vec![Step::Failed(true)], None),
            Self::Overspent => (vec![Step::Overspent], None),
            Self::Cancelled => (vec![], Some((1, Stopping::Cancelled))),
            Self::Late => (vec![], Some((1, Stopping::LatencyExceeded))),
        };
        play(&Self::session(), &Self::graph(), &Script { steps, picks: vec![], stop, room: 0 })
    }

    /// Outputs, but for what `draft` comes to at first.
    fn steps(self, draft: Step) -> Vec<Step> {
        let graph = Self::graph();
        let mut steps = vec![Step::Output; graph.tasks().len() * 3];
        if let Some(index) = graph.index_of("draft") {
            steps[index.as_usize() * 3] = draft;
        }
        steps
    }
}
