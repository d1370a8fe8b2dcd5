//! Runs task graphs on this machine (contract §4).
//!
//! [`LocalBackend`] drives the engine with a few threads for operations and with tokio for models. What a run means
//! is the engine's business; here is only where and when. There is no scheduling across machines, no ledger of
//! charges and no scoring of trust (C4.6).
mod backend;
mod config;
mod note;

mod plan;

pub mod attempt;
mod driver;

mod health;

pub use crate::backend::LocalBackend;
pub use crate::config::{Backoff, LocalConfig};
pub use crate::note::TaskNote;
