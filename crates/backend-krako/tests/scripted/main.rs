//! KrakoBackend against a scripted fabric: real TLS and HTTP/2 on loopback, and sessions that the engine made.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::wildcard_enum_match_arm, reason = "what a test does not speak of is answered honestly")]

mod cuts;
mod honest;
mod lies;
mod outages;
mod refusals;
#[path = "../../../krako-transport/tests/hostile/server.rs"]
mod server;
mod session;
mod stopping;
mod wire;
mod world;
