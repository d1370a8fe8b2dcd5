//! The network is lost at places that nobody chose: within a TLS record, a frame, a handshake.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use async_trait::async_trait;
use backend_api::ExecutionStatus;
use backend_krako::KrakoBackend;
use krako_transport::{Dial, Stream, TcpDial};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::session::{record, small};
use crate::world::{Asked, World, run};

/// TCP whose connections end after some bytes have come, one number for each connection; those after them are whole.
#[derive(Debug, Default)]
struct Cutting {
    after: Mutex<Vec<usize>>,
    received: Arc<AtomicUsize>,
}

struct Cut {
    inner: Box<dyn Stream>,
    left: usize,
    received: Arc<AtomicUsize>,
}

#[async_trait]
impl Dial for Cutting {
    async fn connect(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>> {
        let inner = TcpDial.connect(host, port).await?;
        let left = self.after.lock().unwrap().pop().unwrap_or(usize::MAX);
        Ok(Box::new(Cut { inner, left, received: Arc::clone(&self.received) }))
    }
}

impl AsyncRead for Cut {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let mut some = buffer.take(self.left);
        let read = Pin::new(&mut self.inner).poll_read(context, &mut some);
        let bytes = some.filled().len();
        buffer.advance(bytes);
        self.left -= bytes;
        self.received.fetch_add(bytes, Ordering::Relaxed);
        read
    }
}

impl AsyncWrite for Cut {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

// shows C5.1, C5.4
#[tokio::test]
async fn a_network_that_is_lost_anywhere_changes_no_result() {
    let graph = small();
    let recorded = record(&graph, "run 7", 0);
    let world = World::start(recorded.clone(), |_, _, _| None).await;
    // How many bytes a run takes if nothing is lost.
    let whole = Arc::new(Cutting::default());
    let received = Arc::clone(&whole.received);
    let backend = KrakoBackend::connect_through(world.config(), whole).await.unwrap();
    run(&backend, &graph).await.unwrap();
    let bytes = received.load(Ordering::Relaxed);
    assert!(bytes > 4_000, "{bytes}");
    // Connecting asks for the capabilities, over the same connection: what it takes is not cut.
    for place in (1..bytes).step_by(97) {
        let dial = Arc::new(Cutting::default());
        // The last is cut first. A second connection is cut at another place, in the handshake or after it.
        *dial.after.lock().unwrap() = vec![(place * 7) % bytes, place];
        let Ok(backend) = KrakoBackend::connect_through(world.config(), dial).await else { continue };
        let result = run(&backend, &graph).await.unwrap();
        assert_eq!(result.status, ExecutionStatus::Success, "cut after {place}: {:?}", result.failure);
        assert_eq!(result.execution_metadata.semantic_digest, recorded.outcome.semantic_digest);
        assert_eq!(result.final_output, recorded.outcome.final_output);
    }
    assert_eq!(world.count(Asked::Cancel), 0);
}
