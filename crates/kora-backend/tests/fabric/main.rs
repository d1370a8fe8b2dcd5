//! `kora-backend fabric` as processes of its own, and graphs that are run on it by the same command.

#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "what cannot be set up is a failed test")]

mod golden;
mod part;
mod replay;
mod stage;
mod tokens;
mod words;
