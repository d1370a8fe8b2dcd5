//! A fabric in one process: an orchestrator over a disk in memory, and nodes of both pools.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod callers;
mod crash;
mod golden;
mod lies;
mod support;
mod workers;
mod writes;
