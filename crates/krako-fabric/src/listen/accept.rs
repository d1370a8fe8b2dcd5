//! Where connections come from: this machine's TCP, or a simulated network.

use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

/// Bytes both ways.
pub trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<W: AsyncRead + AsyncWrite + Unpin + Send> Wire for W {}

/// A connection that has arrived.
#[expect(clippy::exhaustive_structs, reason = "the connection, and from where")]
#[expect(missing_debug_implementations, reason = "a wire has nothing to show")]
pub struct Accepted {
    /// The connection.
    pub wire: Box<dyn Wire>,
    /// From where, if that is known: connections of one peer are bounded together.
    pub peer: Option<IpAddr>,
}

/// Where connections come from.
#[async_trait]
pub trait Accept: Debug + Send + Sync + 'static {
    /// The next connection.
    ///
    /// # Errors
    ///
    /// Whatever kept this one from arriving. Others may arrive after it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no connection.
    async fn accept(&self) -> io::Result<Accepted>;
}

/// A TCP port of this machine.
#[derive(Debug)]
pub struct TcpAccept {
    listener: TcpListener,
    address: SocketAddr,
}

impl TcpAccept {
    /// Binds `address`; port 0 takes one that is free.
    ///
    /// # Errors
    ///
    /// The system's word: the port is taken, say.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// What it is bound to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

#[async_trait]
impl Accept for TcpAccept {
    async fn accept(&self) -> io::Result<Accepted> {
        let (stream, peer) = self.listener.accept().await?;
        // Answers are written whole; waiting to fill a packet only delays their end.
        let _ = stream.set_nodelay(true);
        Ok(Accepted { wire: Box::new(stream), peer: Some(peer.ip().to_canonical()) })
    }
}
