//! One connection: the network, TLS, HTTP/2, and a task that moves its bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::connection::words::of_tls;
use crate::error::of_hyper;
use crate::{Dial, Endpoint, Stream, TransportFault, TransportLimits, Trust, Within};

mod words;

/// Whom to connect to, and how.
pub(crate) struct Target {
    pub(crate) endpoint: Endpoint,
    pub(crate) trust: Trust,
    pub(crate) tls: TlsConnector,
    pub(crate) dial: Arc<dyn Dial>,
    pub(crate) limits: TransportLimits,
}

/// An open connection.
pub(crate) struct Connection {
    pub(crate) sender: SendRequest<Full<Bytes>>,
    pub(crate) load: Arc<Load>,
}

/// How much a connection is used.
#[derive(Debug, Default)]
pub(crate) struct Load {
    pub(crate) in_flight: AtomicUsize,
    pub(crate) uses: AtomicU64,
}

impl Target {
    /// Connects, within its limits. Dropping the future leaves nothing open.
    pub(crate) async fn connect(&self) -> Result<Connection, TransportFault> {
        let host = self.endpoint.host();
        let dialing = async {
            let dialed = self.dial.connect(&host, self.endpoint.port()).await;
            dialed.map_err(|error| TransportFault::Unreachable { said: error.to_string() })
        };
        let stream = within(Within::Connecting, self.limits.connect_timeout_ms, dialing).await?;
        within(Within::Handshake, self.limits.handshake_timeout_ms, self.handshake(stream)).await
    }

    async fn handshake(&self, stream: Box<dyn Stream>) -> Result<Connection, TransportFault> {
        let name =
            self.endpoint.server_name().map_err(|error| TransportFault::Call { said: error.to_string() })?;
        let stream: TlsStream<Box<dyn Stream>> =
            self.tls.connect(name, stream).await.map_err(|error| of_tls(&error, &self.trust))?;
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(TransportFault::Protocol { said: "it speaks TLS, and no HTTP/2; is it a fabric?" });
        }
        let limits = &self.limits;
        let ping = Duration::from_millis(limits.ping_ms);
        let streams = u32::try_from(limits.max_streams_per_connection).unwrap_or(u32::MAX);
        // Large enough that streams which nobody reads right now cannot hold up the others.
        let window = limits.stream_window_bytes.saturating_mul(streams).min((1 << 31) - 1);
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_header_list_size(limits.max_header_bytes)
            .initial_stream_window_size(limits.stream_window_bytes)
            .initial_connection_window_size(window)
            .keep_alive_interval(ping)
            .keep_alive_timeout(ping)
            .handshake::<_, Full<Bytes>>(TokioIo::new(stream))
            .await
            .map_err(|error| of_hyper(&error).0)?;
        let load = Arc::new(Load::default());
        let idle = Duration::from_millis(limits.idle_connection_ms);
        tokio::spawn(keep(connection, Arc::clone(&load), idle));
        Ok(Connection { sender, load })
    }
}

/// Moves the bytes until the connection ends, or until nobody has used it for a while. What goes wrong here comes out of
/// the calls too.
async fn keep(connection: impl Future<Output = hyper::Result<()>>, load: Arc<Load>, idle: Duration) {
    tokio::pin!(connection);
    let mut seen = load.uses.load(Ordering::Relaxed);
    loop {
        tokio::select! {
            biased;
            _ = &mut connection => return,
            () = tokio::time::sleep(idle) => {}
        }
        let uses = load.uses.load(Ordering::Relaxed);
        if uses == seen && load.in_flight.load(Ordering::Relaxed) == 0 {
            return;
        }
        seen = uses;
    }
}

/// Bounds a step.
pub(crate) async fn within<T>(
    within: Within,
    limit_ms: u64,
    step: impl Future<Output = Result<T, TransportFault>>,
) -> Result<T, TransportFault> {
    let limit = Duration::from_millis(limit_ms);
    tokio::time::timeout(limit, step).await.unwrap_or(Err(TransportFault::TimedOut { within, limit_ms }))
}
