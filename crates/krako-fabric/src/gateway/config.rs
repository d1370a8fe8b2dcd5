//! What whoever starts a gateway decides.

use std::time::Duration;

use kora_ir::Limits;
use krako_contract::WireLimits;

use crate::listen::ListenLimits;

/// Every bound of a gateway.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record of choices, written as a literal")]
pub struct GatewayConfig {
    /// On connections.
    pub listen: ListenLimits,
    /// On graphs: what is beyond is refused before it is checked. As everywhere, but 64 MiB for a graph's text.
    pub graph: Limits,
    /// On what is around a graph.
    pub wire: WireLimits,
    /// What `Prefer: wait=` may ask for. 60 s by default; more is cut to that.
    pub max_wait: Duration,
    /// For the orchestrator to answer, beside what a caller asked it to wait. 30 s by default.
    pub answer_timeout: Duration,
    /// Requests of one tenant each second, in the long run. 50 by default.
    pub requests_per_second: u32,
    /// Requests of one tenant at once, beyond that. 200 by default.
    pub burst: u32,
    /// Requests of one tenant under way. 64 by default.
    pub max_requests_per_tenant: usize,
    /// Streams of events of one tenant. 256 by default.
    pub max_streams_per_tenant: usize,
    /// Graphs that are read at once, of those longer than 64 KiB. 2 by default.
    pub max_readers: usize,
    /// Between two signs of life on a quiet stream. 15 s by default.
    pub keep_alive: Duration,
    /// For a stream of events, which its caller then takes up again: a token that was taken back is noticed then. One
    /// hour by default.
    pub max_stream: Duration,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            listen: ListenLimits::default(),
            graph: Limits { max_graph_bytes: 64 << 20, ..Limits::default() },
            wire: WireLimits::default(),
            max_wait: Duration::from_secs(60),
            answer_timeout: Duration::from_secs(30),
            requests_per_second: 50,
            burst: 200,
            max_requests_per_tenant: 64,
            max_streams_per_tenant: 256,
            max_readers: 2,
            keep_alive: Duration::from_secs(15),
            max_stream: Duration::from_secs(3600),
        }
    }
}
