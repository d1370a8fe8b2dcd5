//! What whoever starts a server decides.

use std::time::Duration;

use crate::Identity;

/// Everything about a server that is not its listener or its service.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a plain record of choices, written as a literal")]
pub struct HttpConfig {
    /// Who serves.
    pub identity: Identity,
    /// Names in `Host` that are answered beside those of this machine, without ports.
    pub allowed_hosts: Vec<String>,
    /// Bounds on callers.
    pub limits: HttpLimits,
}

/// Bounds on what callers may send, keep open and ask for at once (I8).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record of choices, written as a literal")]
pub struct HttpLimits {
    /// Connections at once. A few more are told that there is no room; others are closed.
    pub max_connections: usize,
    /// Bytes of a request's line and headers.
    pub max_head_bytes: usize,
    /// Headers of a request.
    pub max_headers: usize,
    /// For the line and the headers of a request to arrive, and for the next request on an idle connection.
    pub head_timeout: Duration,
    /// Bytes of a request's body.
    pub max_body_bytes: usize,
    /// For a body to arrive.
    pub body_timeout: Duration,
    /// Bytes of the bodies of all requests under way. One without a declared length counts as the longest.
    pub max_pending_bytes: usize,
    /// For a caller that reads its answer to read some more of it.
    pub write_timeout: Duration,
    /// Runs under way at once. Others are turned away.
    pub max_runs: usize,
    /// For a backend to tell its health.
    pub health_timeout: Duration,
    /// Runs whose telemetry is kept for `GET /telemetry/{run_id}`.
    pub max_recent_runs: usize,
    /// Bytes of that telemetry as JSON.
    pub max_recent_bytes: usize,
    /// For what is under way to end after a shutdown.
    pub grace: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            max_connections: 256,
            max_head_bytes: 32 << 10,
            max_headers: 64,
            head_timeout: Duration::from_secs(10),
            max_body_bytes: 64 << 20,
            body_timeout: Duration::from_secs(60),
            max_pending_bytes: 512 << 20,
            write_timeout: Duration::from_secs(60),
            max_runs: 16,
            health_timeout: Duration::from_secs(10),
            max_recent_runs: 256,
            max_recent_bytes: 64 << 20,
            grace: Duration::from_secs(10),
        }
    }
}
