//! `kora-backend fabric` as processes of its own, and graphs that are run on it by the same command.

#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "what cannot be set up is a failed test")]

mod golden;
mod guide;
#[path = "../serve/model.rs"]
mod model;
#[path = "../shared/output.rs"]
mod output;
mod part;
mod parts;
mod replay;
mod settings;
mod stage;
mod stopping;
mod tokens;
mod words;

use self::part::PATIENCE;
