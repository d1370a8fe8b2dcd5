//! What a run means, shown against the *oracle*: an interpreter that runs one task after the other.
//!
//! Whatever the interleaving, the engine must give what the oracle gives (S6, I7): for small graphs every
//! interleaving is tried, for large ones as many as time allows.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod exhaustive;
mod facts;
mod graphs;
mod oracle;
mod random;
mod script;
mod world;
