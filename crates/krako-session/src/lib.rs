//! A session as events, both ways: a fabric writes them from a run, whoever reads them makes a run of them again (C5.4).
//!
//! Pure, as the engine is: no clock, no network, no randomness. Writing, verifying, recovering after a crash and
//! replaying are one set of rules, so they cannot disagree.
//!
//! [`SessionWriter`] is the fabric's end, [`SessionReader`] the caller's, who trusts nothing; [`Found`] is what a fabric
//! that lies is found out for. [`SessionWriter::recover`] goes on where a log ends.
mod claim;
mod ending;
mod price;

mod found;
mod words;

mod replay;

mod reader;

mod recovery;
mod writer;

#[cfg(feature = "testing")]
pub mod testing;

pub use crate::claim::{MAX_CLAIMS, OpenAttempt};
pub use crate::found::Found;
pub use crate::price::{Billed, Prices};
pub use crate::reader::{Abandoned, SessionReader, Taken};
pub use crate::recovery::{NotRecoverable, Recovered, UnderWay, WaitingRetry};
pub use crate::writer::{SessionWriter, WriteRefused};
