//! The seam under TLS: TCP, or a simulated network in its place.

use std::fmt::Debug;
use std::io;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};

/// How many addresses of a name are tried.
const MAX_ADDRESSES: usize = 8;
/// How long one address may take while others are left.
const PATIENCE_WITH_ONE: Duration = Duration::from_millis(2_500);

/// Bytes both ways, in order, without a promise that anybody else cannot read them.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Makes network connections. What goes through them is encrypted above it.
#[async_trait]
pub trait Dial: Debug + Send + Sync + 'static {
    /// Connects to `port` of `host`, a name or an address without brackets. Whoever calls bounds the time.
    ///
    /// # Errors
    ///
    /// As the network says.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves no connection.
    async fn connect(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>>;
}

/// TCP, one address of the name after the other.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to choose")]
pub struct TcpDial;

#[async_trait]
impl Dial for TcpDial {
    async fn connect(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>> {
        let mut addresses = lookup_host((host, port)).await?.take(MAX_ADDRESSES).peekable();
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        while let Some(address) = addresses.next() {
            let connecting = TcpStream::connect(address);
            let connected = if addresses.peek().is_some() {
                let gone = |_| io::Error::from(io::ErrorKind::TimedOut);
                tokio::time::timeout(PATIENCE_WITH_ONE, connecting)
                    .await
                    .map_err(gone)
                    .and_then(|tried| tried)
            } else {
                connecting.await
            };
            match connected {
                Ok(stream) => {
                    // Small requests: waiting to fill packets only adds delay. No harm if it cannot be set.
                    drop(stream.set_nodelay(true));
                    return Ok(Box::new(stream));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}
