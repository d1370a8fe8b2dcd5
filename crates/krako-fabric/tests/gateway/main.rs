//! The gateway and the desk over real TLS on loopback, before scripted sessions.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what cannot be set up is a failed test")]

mod drain;
mod endpoints;
mod fleet;
mod hostile;
mod limits;
mod remote;
mod scripted;
mod served;
mod streams;
#[path = "../fabric/support.rs"]
#[expect(dead_code, reason = "the other tests of the fabric need the rest")]
mod support;
mod tls;
mod tokens;
