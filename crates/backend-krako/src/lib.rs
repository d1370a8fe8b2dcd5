//! Runs task graphs on a Krako fabric (contract §5), and believes nothing that it says without checking it.
//!
//! [`KrakoBackend`] submits a graph in the text that KORA wrote, follows the session's events, and makes a run of them
//! again with the engine that LocalBackend drives: what comes out is what the events come to, not what the fabric says it
//! is (decision 0020). A fabric that is found out makes a failed result that says so.
mod config;

mod backoff;
mod fabric;

mod submitting;

mod cancelling;
mod following;
mod reporting;

mod outcome;

mod backend;

pub use crate::backend::{ConnectError, KrakoBackend};
pub use crate::config::{KrakoConfig, KrakoLimits};
