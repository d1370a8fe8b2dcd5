//! The simulated network in the place of TCP. Every connection is counted, at both ends, for as long as it is open.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use async_trait::async_trait;
use krako_fabric::{Accept, Accepted};
use krako_transport::{Dial, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::{TcpListener, TcpStream};

/// How many connections are open at one end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Open(Arc<AtomicUsize>);

impl Open {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn one_more(&self, stream: TcpStream) -> Counted {
        self.0.fetch_add(1, Ordering::Relaxed);
        Counted { stream, open: self.clone() }
    }
}

/// A connection that is counted.
struct Counted {
    stream: TcpStream,
    open: Open,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.open.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Connects to other hosts of the simulation.
#[derive(Debug)]
pub(crate) struct SimulatedDial(pub(crate) Open);

#[async_trait]
impl Dial for SimulatedDial {
    async fn connect(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect((host.to_owned(), port)).await?;
        Ok(Box::new(self.0.one_more(stream)))
    }
}

/// A port of the host that it is bound on.
pub(crate) struct SimulatedAccept {
    listener: TcpListener,
    open: Open,
}

impl fmt::Debug for SimulatedAccept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimulatedAccept({:?})", self.open)
    }
}

impl SimulatedAccept {
    pub(crate) async fn bind(port: u16, open: Open) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(("0.0.0.0", port)).await?, open })
    }
}

#[async_trait]
impl Accept for SimulatedAccept {
    async fn accept(&self) -> io::Result<Accepted> {
        let (stream, peer) = self.listener.accept().await?;
        Ok(Accepted { wire: Box::new(self.open.one_more(stream)), peer: Some(peer.ip()) })
    }
}
