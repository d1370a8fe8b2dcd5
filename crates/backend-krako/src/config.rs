//! Which fabric, who asks, and every bound (I8).

use std::path::PathBuf;

use krako_contract::{Anchoring, SubmissionOptions, WireLimits};
use krako_transport::{Endpoint, KeySource, TransportLimits};
use serde::{Deserialize, Serialize};

/// What a [`KrakoBackend`](crate::KrakoBackend) is made of.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a plain record of choices, written as a literal")]
pub struct KrakoConfig {
    /// Where the fabric is. Encrypted, or it is no endpoint (C11.4).
    pub endpoint: Endpoint,
    /// The only certificate authorities to trust, as a PEM file. Without it: those of the system.
    pub ca_file: Option<PathBuf>,
    /// Where the bearer token is. Read once, on connecting.
    pub token: Option<KeySource>,
    /// Hints for every session (C12.3).
    pub options: SubmissionOptions,
    /// What a graph must have to be submitted.
    pub anchoring: Anchoring,
    /// Bounds on sessions.
    pub limits: KrakoLimits,
    /// Bounds on connections.
    pub transport: TransportLimits,
    /// Bounds on documents.
    pub wire: WireLimits,
    /// Where the jitter of waits begins. The same seed waits alike; any number will do.
    pub seed: u64,
}

impl KrakoConfig {
    /// Everything else at its default: the system's authorities, no token.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            ca_file: None,
            token: None,
            options: SubmissionOptions::default(),
            anchoring: Anchoring::default(),
            limits: KrakoLimits::default(),
            transport: TransportLimits::default(),
            wire: WireLimits::default(),
            seed: 0,
        }
    }
}

/// Bounds on what a session may take of the caller's time.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::exhaustive_structs, reason = "a plain record of choices, written as a literal")]
pub struct KrakoLimits {
    /// Sessions at once; whoever comes then waits as for a fabric that is full. 128.
    pub max_sessions: usize,
    /// Milliseconds to get a session accepted, waits that the fabric asks for included. 60 000.
    pub submission_patience_ms: u64,
    /// Milliseconds without an event while the fabric cannot be reached or answers errors; then the run is given up.
    /// 120 000.
    pub outage_patience_ms: u64,
    /// Milliseconds that a session may go on beyond its graph's `max_latency_ms`, counted from its first event; then the
    /// run is given up. 60 000.
    pub overtime_ms: u64,
    /// Milliseconds that a session may be queued, and that one of a graph without `max_latency_ms` may then take. A day.
    pub max_session_ms: u64,
    /// The first wait after a failure, in milliseconds; each next one is twice as long, half of it by chance. 200.
    pub first_backoff_ms: u64,
    /// The longest such wait. 10 000.
    pub max_backoff_ms: u64,
    /// Failures of the stream in a row after which the session is asked how far it is, between tries. 3.
    pub polls_after: u32,
    /// Milliseconds between such questions. 2 000.
    pub poll_ms: u64,
    /// Milliseconds for one cancellation of a run that nobody wants any more. 5 000.
    pub cancel_timeout_ms: u64,
}

impl Default for KrakoLimits {
    fn default() -> Self {
        Self {
            max_sessions: 128,
            submission_patience_ms: 60_000,
            outage_patience_ms: 120_000,
            overtime_ms: 60_000,
            max_session_ms: 86_400_000,
            first_backoff_ms: 200,
            max_backoff_ms: 10_000,
            polls_after: 3,
            poll_ms: 2_000,
            cancel_timeout_ms: 5_000,
        }
    }
}
