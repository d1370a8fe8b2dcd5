//! Bounds on whoever connects.

use std::time::Duration;

/// Bounds on connections and on what they carry, before anybody knows who asks (I8).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record of choices, written as a literal")]
pub struct ListenLimits {
    /// Connections at once. 16 more are told that there is no room; others are closed. 1,024 by default.
    pub max_connections: usize,
    /// Connections of one address at once; more are closed. 256 by default.
    pub max_connections_per_peer: usize,
    /// For the TLS handshake. 10 s by default.
    pub handshake_timeout: Duration,
    /// Bytes of a request's headers, its line included. 32 KiB by default, 8 KiB at least.
    pub max_head_bytes: usize,
    /// Headers of a request over HTTP/1.1. 64 by default.
    pub max_headers: usize,
    /// For the head of a request to arrive over HTTP/1.1, and for the next request of a connection. 30 s by default.
    pub head_timeout: Duration,
    /// Requests at once on one connection of HTTP/2. 128 by default.
    pub max_streams: u32,
    /// For a connection without a request under way, from its first byte on. 120 s by default.
    pub idle_timeout: Duration,
    /// For a body to arrive. 60 s by default.
    pub body_timeout: Duration,
    /// Bytes of all bodies under way. 512 MiB by default.
    pub max_pending_bytes: usize,
    /// For a caller to take some more of an answer. Whoever takes longer is cut off, at twice as long the latest. 30 s by
    /// default.
    pub write_timeout: Duration,
    /// Requests under way on all connections, streams of events included. 4,096 by default.
    pub max_requests: usize,
    /// For what is under way to end once the listener drains. 10 s by default.
    pub grace: Duration,
}

impl Default for ListenLimits {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            max_connections_per_peer: 256,
            handshake_timeout: Duration::from_secs(10),
            max_head_bytes: 32 << 10,
            max_headers: 64,
            head_timeout: Duration::from_secs(30),
            max_streams: 128,
            idle_timeout: Duration::from_secs(120),
            body_timeout: Duration::from_secs(60),
            max_pending_bytes: 512 << 20,
            write_timeout: Duration::from_secs(30),
            max_requests: 4096,
            grace: Duration::from_secs(10),
        }
    }
}
