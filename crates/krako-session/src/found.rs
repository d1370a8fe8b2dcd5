//! What a fabric that lies, or is broken, is found out for.

use engine::{FactRefused, Unfinished};
use krako_contract::mapping::WrongUnit;
use krako_contract::{InvalidDocument, WrongEvent};
use thiserror::Error;

/// What was said and cannot be so. Every message begins with what was said, and goes on with what is true; none holds
/// anything of a prompt or an output (I9).
#[derive(Clone, Debug, Error, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "whoever trusts nothing looks at all of these")]
pub enum Found {
    /// An event out of its place, or of something else. A gap is the only one that asking again may mend: nothing of
    /// the event was taken.
    #[error(transparent)]
    Place(#[from] WrongEvent),
    /// An event that was there before, and says something else now.
    #[error("event {sequence} came again and says something else than the first time")]
    Repeated {
        /// Its place.
        sequence: u64,
    },
    /// An event that no run of the graph has: of a task that it does not have, on the wrong pool, beyond its retries,
    /// along an edge that it does not declare.
    #[error("event {sequence} cannot be of this graph: {wrong}")]
    Unit {
        /// The event's place.
        sequence: u64,
        /// Why not.
        wrong: WrongUnit,
    },
    /// A fact that cannot have been true when it was told.
    #[error("event {sequence} is `{name}`, which cannot have happened then: {refused}")]
    Fact {
        /// The event's place.
        sequence: u64,
        /// The event's name.
        name: String,
        /// Why not.
        refused: FactRefused,
    },
    /// An event of another attempt than the one that its unit is at.
    #[error(
        "event {sequence} says that it is of attempt {told} of `{unit}`, and the unit is at attempt {own}"
    )]
    Attempt {
        /// The event's place.
        sequence: u64,
        /// The unit.
        unit: String,
        /// As told.
        told: u32,
        /// By the events before.
        own: u32,
    },
    /// An output that is said to have passed and does not (C2.4, C11.1).
    #[error("event {sequence} says that an output of `{unit}` passed its schema, and it does not: {faults}")]
    Inadmissible {
        /// The event's place.
        sequence: u64,
        /// The unit.
        unit: String,
        /// Which parts of the schema it breaks; nothing of the output.
        faults: String,
    },
    /// What is said of an attempt does not go together.
    #[error(
        "event {sequence} says that {told} of `{unit}`, and its attempt is said to have ended as `{ended}`"
    )]
    Contradiction {
        /// The event's place.
        sequence: u64,
        /// The unit.
        unit: String,
        /// What was said.
        told: &'static str,
        /// How the attempt is said to have ended.
        ended: &'static str,
    },
    /// A reply that came, and of which nobody says what its schema made of it.
    #[error(
        "event {sequence} goes on after a reply of `{unit}`, and what its schema says of that reply was not told"
    )]
    Unvalidated {
        /// The event's place.
        sequence: u64,
        /// The unit.
        unit: String,
    },
    /// Something that does not follow from the graph and what was told before: a retry, a skip, an edge, a failure, a
    /// completion that is not so.
    #[error("event {sequence} says that {told}; by the graph and the events before it, {own}")]
    Disagrees {
        /// The event's place.
        sequence: u64,
        /// What was said.
        told: String,
        /// What is so.
        own: String,
    },
    /// An output that a `skip_when` declares, told as something else.
    #[error("event {sequence} gives an output for `{unit}`, which was not run; the graph declares another")]
    OtherOutput {
        /// The event's place.
        sequence: u64,
        /// The unit.
        unit: String,
    },
    /// The session is said to have ended and has not.
    #[error("event {sequence} says that the session ended, and it cannot have: {unfinished}")]
    EndsEarly {
        /// The event's place.
        sequence: u64,
        /// What is open.
        unfinished: Unfinished,
    },
    /// Something follows from the graph and the events, and was never told.
    #[error("event {sequence} says that the session ended, and it was never told that {own}")]
    Untold {
        /// The event's place.
        sequence: u64,
        /// What is so.
        own: String,
    },
    /// The session's end says something else than its events come to.
    #[error("event {sequence} says that the session's `{field}` is {told}; its events come to {own}")]
    End {
        /// The event's place.
        sequence: u64,
        /// The field's name.
        field: &'static str,
        /// What was said.
        told: String,
        /// What is so.
        own: String,
    },
    /// A report that contradicts itself.
    #[error("the report cannot be that of any session: {0}")]
    InvalidReport(InvalidDocument),
    /// The report says something else than the events come to.
    #[error("the report says that `{field}` is {told}; the session's events come to {own}")]
    Report {
        /// The field, by its place in the report.
        field: String,
        /// What was said.
        told: String,
        /// What is so.
        own: String,
    },
    /// The report says that the session ended, and its events do not.
    #[error("the report says `{status}`; the session's events go as far as {last} and do not end it")]
    NoEnd {
        /// As told.
        status: &'static str,
        /// The last event, 0 before the first.
        last: u64,
    },
}

impl Found {
    /// Its name, for tables and counters.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Place(_) => "place",
            Self::Repeated { .. } => "repeated",
            Self::Unit { .. } => "unit",
            Self::Fact { .. } => "fact",
            Self::Attempt { .. } => "attempt",
            Self::Inadmissible { .. } => "inadmissible",
            Self::Contradiction { .. } => "contradiction",
            Self::Unvalidated { .. } => "unvalidated",
            Self::Disagrees { .. } => "disagrees",
            Self::OtherOutput { .. } => "other_output",
            Self::EndsEarly { .. } => "ends_early",
            Self::Untold { .. } => "untold",
            Self::End { .. } => "end",
            Self::InvalidReport(_) => "invalid_report",
            Self::Report { .. } => "report",
            Self::NoEnd { .. } => "no_end",
        }
    }

    /// Whether asking again, from the last event that was taken, may mend it.
    pub fn is_gap(&self) -> bool {
        matches!(self, Self::Place(WrongEvent::Gap { .. }))
    }
}
