//! The loop that takes connections, and its end.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use hyper::body::Incoming;
use hyper::{Request, Response};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time;

use super::accept::{Accept, Accepted};
use super::conversation::{Shared, converse};
use super::draining::{Drained, Draining};
use super::{ListenLimits, ReplyBody, TlsIdentity};

/// Connections beyond the limit that are told so. Others are closed without a word.
const TOLD: usize = 16;
/// The wait after a connection could not be taken: the system has none to give.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers requests that arrived encrypted, in time and in bounds.
#[async_trait]
pub(crate) trait Answers: Debug + Send + Sync + 'static {
    /// The answer to a request. One that takes long ends early when the listener drains.
    ///
    /// # Cancel safety
    ///
    /// Dropped when its caller is gone.
    async fn answer(&self, request: Request<Incoming>, draining: Draining) -> Response<ReplyBody>;
}

/// Serves whoever connects until `shutdown` resolves, then lets what is under way end within the grace of `limits`, and
/// cuts off the rest. While it drains, whoever asks for something new is told to come back (503).
///
/// # Cancel safety
///
/// Dropping the future closes every connection.
pub(crate) async fn serve(
    accept: &dyn Accept,
    identity: &TlsIdentity,
    answers: Arc<dyn Answers>,
    limits: ListenLimits,
    shutdown: impl Future<Output = ()> + Send,
) -> Drained {
    let (drain, draining) = Draining::channel();
    let permits = |count: usize| Arc::new(Semaphore::new(count.clamp(1, Semaphore::MAX_PERMITS)));
    let mut door = Door {
        identity,
        room: permits(limits.max_connections),
        told: permits(TOLD),
        peers: Arc::new(Peers { max: limits.max_connections_per_peer.max(1), count: Mutex::default() }),
        shared: Arc::new(Shared { answers, limits, requests: permits(limits.max_requests), draining }),
        inside: JoinSet::new(),
    };
    let mut shutdown = pin!(shutdown);
    tokio::select! {
        biased;
        () = &mut shutdown => {}
        () = door.open(accept) => {}
    }
    drain.send_replace(true);
    // Whoever comes now is told to come back, and does not keep the others waiting.
    let mut inside = std::mem::take(&mut door.inside);
    let mut ended = 0;
    let _ = time::timeout(limits.grace, async {
        tokio::select! {
            biased;
            () = async { while inside.join_next().await.is_some() { ended += 1; } } => {}
            () = door.open(accept) => {}
        }
    })
    .await;
    let cut = inside.len();
    inside.shutdown().await;
    door.inside.shutdown().await;
    Drained { ended, cut }
}

/// Lets connections in.
struct Door<'s> {
    identity: &'s TlsIdentity,
    room: Arc<Semaphore>,
    told: Arc<Semaphore>,
    peers: Arc<Peers>,
    shared: Arc<Shared>,
    inside: JoinSet<()>,
}

impl Door<'_> {
    async fn open(&mut self, accept: &dyn Accept) {
        loop {
            tokio::select! {
                biased;
                // Only so that they do not pile up.
                Some(_) = self.inside.join_next() => {}
                accepted = accept.accept() => match accepted {
                    Ok(accepted) => self.let_in(accepted),
                    Err(_) => time::sleep(PAUSE).await,
                },
            }
        }
    }

    fn let_in(&mut self, Accepted { wire, peer }: Accepted) {
        let Ok(of_peer) = Peers::enter(&self.peers, peer) else { return };
        let (permit, is_full) = match Arc::clone(&self.room).try_acquire_owned() {
            Ok(permit) => (Some(permit), false),
            Err(_) => (Arc::clone(&self.told).try_acquire_owned().ok(), true),
        };
        let Some(permit) = permit else { return };
        let (acceptor, shared) = (self.identity.acceptor(), Arc::clone(&self.shared));
        self.inside.spawn(async move {
            let _places = (permit, of_peer);
            converse(wire, acceptor, shared, is_full).await;
        });
    }
}

/// How many connections each address has.
#[derive(Debug)]
struct Peers {
    max: usize,
    count: Mutex<BTreeMap<IpAddr, usize>>,
}

/// A connection's place among those of its address.
#[derive(Debug)]
struct OfPeer(Arc<Peers>, Option<IpAddr>);

impl Peers {
    fn enter(peers: &Arc<Self>, peer: Option<IpAddr>) -> Result<OfPeer, ()> {
        if let Some(peer) = peer {
            let mut counts = peers.count.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(peer).or_default();
            if *count >= peers.max {
                return Err(());
            }
            *count += 1;
        }
        Ok(OfPeer(Arc::clone(peers), peer))
    }
}

impl Drop for OfPeer {
    fn drop(&mut self) {
        let Some(peer) = self.1 else { return };
        let mut counts = self.0.count.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&peer);
            }
        }
    }
}
