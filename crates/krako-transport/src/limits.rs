//! Every bound of a connection, in one place (I8).

use serde::{Deserialize, Serialize};

/// Bounds on what the other end may send, on how long it may take, and on what is kept open to it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::exhaustive_structs, reason = "a plain record of choices, written as a literal")]
pub struct TransportLimits {
    /// Milliseconds until a network connection stands, the resolving of the name included. 10 000.
    pub connect_timeout_ms: u64,
    /// Milliseconds for the TLS handshake and the first bytes of HTTP/2. 10 000.
    pub handshake_timeout_ms: u64,
    /// Milliseconds for a whole call, connecting and waiting for a free place included, unless the call says otherwise. Of
    /// a stream: until its head is there. 30 000.
    pub request_timeout_ms: u64,
    /// Milliseconds that a stream may be silent. A fabric sends a comment every 15 seconds. 45 000.
    pub stream_idle_ms: u64,
    /// Milliseconds after which a connection that nobody used is closed, give or take as much again. 60 000.
    pub idle_connection_ms: u64,
    /// Milliseconds between pings on a connection in use, and for the answer to each: so a peer that is gone is noticed.
    /// 15 000.
    pub ping_ms: u64,
    /// Bytes of an answer's headers, as HTTP/2 counts them. 32 KiB.
    pub max_header_bytes: u32,
    /// Headers of an answer. 100.
    pub max_headers: usize,
    /// Bytes of an answer's body, unless the call says otherwise. 4 MiB.
    pub max_body_bytes: usize,
    /// Bytes of a stream that may be on their way or waiting to be read: more is not sent until some were read. 256 KiB.
    pub stream_window_bytes: u32,
    /// Connections at once. 4.
    pub max_connections: usize,
    /// Calls and streams at once on one connection; whoever comes then waits within its own time. 64.
    pub max_streams_per_connection: usize,
}

impl Default for TransportLimits {
    fn default() -> Self {
        Self {
            connect_timeout_ms: 10_000,
            handshake_timeout_ms: 10_000,
            request_timeout_ms: 30_000,
            stream_idle_ms: 45_000,
            idle_connection_ms: 60_000,
            ping_ms: 15_000,
            max_header_bytes: 32 << 10,
            max_headers: 100,
            max_body_bytes: 4 << 20,
            stream_window_bytes: 256 << 10,
            max_connections: 4,
            max_streams_per_connection: 64,
        }
    }
}

impl TransportLimits {
    /// The same with every bound at a value that works: none of them means "nothing" or "for ever".
    pub(crate) fn usable(self) -> Self {
        // HTTP/2 has no larger window.
        const MAX_WINDOW: u32 = (1 << 31) - 1;
        // A day: tokio's clock has an end.
        const MAX_MS: u64 = 86_400_000;
        let ms = |value: u64| value.clamp(1, MAX_MS);
        Self {
            connect_timeout_ms: ms(self.connect_timeout_ms),
            handshake_timeout_ms: ms(self.handshake_timeout_ms),
            request_timeout_ms: ms(self.request_timeout_ms),
            stream_idle_ms: ms(self.stream_idle_ms),
            idle_connection_ms: ms(self.idle_connection_ms),
            ping_ms: ms(self.ping_ms),
            max_header_bytes: self.max_header_bytes.max(1 << 10),
            max_headers: self.max_headers.max(8),
            max_body_bytes: self.max_body_bytes,
            stream_window_bytes: self.stream_window_bytes.clamp(16 << 10, MAX_WINDOW),
            max_connections: self.max_connections.clamp(1, 1 << 10),
            max_streams_per_connection: self.max_streams_per_connection.clamp(1, 1 << 16),
        }
    }
}
