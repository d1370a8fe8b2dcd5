//! Servers that are not what they should be, over real TLS on loopback.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod server;
mod tls;
