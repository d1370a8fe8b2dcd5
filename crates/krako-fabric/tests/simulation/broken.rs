//! Subjects that are known to be broken, so that it is known what the simulation finds.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::io;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use async_trait::async_trait;
use krako_fabric::{
    Claim, Heartbeat, HeartbeatAnswer, LeaseId, MemoryStorage, NodeDesk, NodeError, OrderReport,
    ReadSegments, Segment, SegmentNumber, WorkOrder, WriteSegments,
};

use crate::watched::{Attempt, attempt};

/// What is broken about the fabric or its clients.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Broken {
    /// Nothing that is known.
    Nothing,
    /// The log says that something is durable before it is.
    AcknowledgesEarly,
    /// A report is taken though the work was given to another.
    TakesLateReports,
    /// A client that does not know whether its graph arrived sends it again as another.
    SubmitsAnew,
}

/// A disk whose syncs are not waited for.
#[derive(Debug)]
pub(crate) struct EarlyStorage(Arc<MemoryStorage>);

impl EarlyStorage {
    pub(crate) fn new(storage: MemoryStorage) -> Self {
        Self(Arc::new(storage))
    }
}

#[async_trait]
impl ReadSegments for EarlyStorage {
    async fn list(&self) -> io::Result<Vec<Segment>> {
        self.0.list().await
    }

    async fn read(&self, segment: SegmentNumber, offset: u64, max: usize) -> io::Result<Vec<u8>> {
        self.0.read(segment, offset, max).await
    }

    fn path(&self, segment: SegmentNumber) -> String {
        self.0.path(segment)
    }
}

#[async_trait]
impl WriteSegments for EarlyStorage {
    async fn create(&self, segment: SegmentNumber, bytes: Vec<u8>) -> io::Result<()> {
        self.0.create(segment, bytes).await
    }

    async fn append(&self, segment: SegmentNumber, offset: u64, bytes: Vec<u8>) -> io::Result<()> {
        let disk = Arc::clone(&self.0);
        let mut written = Box::pin(async move { disk.append(segment, offset, bytes).await });
        // Written, and not yet synced.
        let first = poll_fn(|context| Poll::Ready(written.as_mut().poll(context))).await;
        match first {
            Poll::Ready(done) => done,
            Poll::Pending => {
                tokio::spawn(written);
                Ok(())
            }
        }
    }

    async fn cut(&self, segment: SegmentNumber, bytes: u64) -> io::Result<()> {
        self.0.cut(segment, bytes).await
    }
}

/// A desk that takes a report for a claim that is over as one for the claim that there is now.
#[derive(Debug)]
pub(crate) struct ForgivingDesk {
    desk: Arc<dyn NodeDesk>,
    given: Mutex<Given>,
}

#[derive(Debug, Default)]
struct Given {
    attempts: BTreeMap<LeaseId, Attempt>,
    now: BTreeMap<Attempt, (krako_contract::NodeId, LeaseId)>,
}

impl ForgivingDesk {
    pub(crate) fn new(desk: Arc<dyn NodeDesk>) -> Self {
        Self { desk, given: Mutex::default() }
    }
}

#[async_trait]
impl NodeDesk for ForgivingDesk {
    async fn claim(&self, claim: Claim) -> Result<Vec<WorkOrder>, NodeError> {
        let node = claim.node_id.clone();
        let orders = self.desk.claim(claim).await?;
        let mut given = self.given.lock().unwrap();
        for order in &orders {
            given.attempts.insert(order.lease.clone(), attempt(order));
            given.now.insert(attempt(order), (node.clone(), order.lease.clone()));
        }
        Ok(orders)
    }

    async fn heartbeat(&self, heartbeat: Heartbeat) -> Result<HeartbeatAnswer, NodeError> {
        self.desk.heartbeat(heartbeat).await
    }

    async fn report(&self, report: OrderReport) -> Result<(), NodeError> {
        let told = self.desk.report(report.clone()).await;
        let now = {
            let given = self.given.lock().unwrap();
            given.attempts.get(&report.lease).and_then(|attempt| given.now.get(attempt)).cloned()
        };
        match (told, now) {
            (Err(NodeError::LeaseOver), Some((node_id, lease))) => {
                let _ = self.desk.report(OrderReport { node_id, lease, ..report }).await;
                Ok(())
            }
            (told, _) => told,
        }
    }
}
