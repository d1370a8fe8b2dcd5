//! Services over every transport.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what cannot be set up is a failed test")]

mod http;
mod puppet;
mod stdio;
