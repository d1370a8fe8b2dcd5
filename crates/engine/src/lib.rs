//! What a run means: a state machine without I/O, clock, threads or randomness (S4 to S10, S13, I7).
//!
//! A driver asks [`Run::next_start`] what may start now, does it, and [`report`](Run::report)s what came of it. Everything
//! that the run decides is decided here, from those facts alone: who is admitted, who is retried, which edge is taken,
//! what counts. So every driver gives the same meaning to a run (C2.6), whatever order the facts arrive in (S6).
mod fact;
mod start;

mod ledger;

mod escalation;
mod skip;
mod verdict;

mod ready;
mod state;

mod progress;
mod run;

mod outcome;
mod replay;

pub use crate::fact::{AttemptOutcome, AttemptReport, Fact, FactRefused, Next, Usage};
pub use crate::outcome::{RunOutcome, Unfinished};
pub use crate::replay::{ReplayError, replay};
pub use crate::run::Run;
pub use crate::start::{Arguments, Start, StartWork};
