//! A network of two ends in memory, on which time can be virtual.

use std::io;

use async_trait::async_trait;
use krako_fabric::{Accept, Accepted};
use krako_transport::{Dial, Stream};
use tokio::io::DuplexStream;
use tokio::sync::{Mutex, mpsc};

/// Bytes on their way in one direction: about what a socket holds.
const IN_FLIGHT: usize = 256 << 10;
/// Connections that have not been accepted.
const BACKLOG: usize = 128;

/// The end that dials.
#[derive(Debug)]
pub(super) struct Pipe(mpsc::Sender<DuplexStream>);

/// The end that accepts.
#[derive(Debug)]
pub(super) struct Far(Mutex<mpsc::Receiver<DuplexStream>>);

impl Pipe {
    /// Both ends.
    pub(super) fn new() -> (Far, Self) {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        (Far(Mutex::new(receiver)), Self(sender))
    }
}

#[async_trait]
impl Dial for Pipe {
    async fn connect(&self, _: &str, _: u16) -> io::Result<Box<dyn Stream>> {
        let (near, far) = tokio::io::duplex(IN_FLIGHT);
        let refused = |_| io::Error::from(io::ErrorKind::ConnectionRefused);
        self.0.send(far).await.map_err(refused)?;
        Ok(Box::new(near))
    }
}

#[async_trait]
impl Accept for Far {
    async fn accept(&self) -> io::Result<Accepted> {
        match self.0.lock().await.recv().await {
            Some(wire) => Ok(Accepted { wire: Box::new(wire), peer: None }),
            // Nobody can dial any more; nothing arrives, and nothing is wrong.
            None => std::future::pending().await,
        }
    }
}
