//! KrakoBackend against a scripted fabric: real TLS and HTTP/2 on loopback, and sessions that the engine made.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cuts;
mod honest;
mod outages;
mod refusals;
#[path = "../../../krako-transport/tests/hostile/server.rs"]
mod server;
mod session;
mod stopping;
mod world;
