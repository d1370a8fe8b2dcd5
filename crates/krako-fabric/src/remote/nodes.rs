//! The desk of an orchestrator in another process, as its workers see it.

use std::time::Duration;

use async_trait::async_trait;
use krako_contract::{ErrorResponse, ErrorType, WireLimits};
use krako_transport::Client;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::caller::Caller;
use super::documents::{Done, Orders, read_bytes};
use crate::node::{Claim, Heartbeat, HeartbeatAnswer, NodeDesk, NodeError, OrderReport, WorkOrder};

/// Work from another process. Tries nothing twice: a worker knows what is worth another try.
#[derive(Debug)]
pub struct RemoteDesk {
    caller: Caller,
}

impl RemoteDesk {
    /// Work from whoever `client` calls; its token must be a node's.
    pub fn new(client: Client, wire: WireLimits) -> Self {
        Self { caller: Caller::new(client, wire) }
    }

    async fn ask<A: DeserializeOwned>(
        &self,
        path: &str,
        document: &(impl Serialize + Sync),
        wait: Duration,
    ) -> Result<A, NodeError> {
        let answer = self.caller.ask(path, document, wait).await.map_err(|error| error_of(&error))?;
        read_bytes(&answer).map_err(NodeError::Unavailable)
    }
}

/// A status as what a worker does about it.
fn error_of(error: &ErrorResponse) -> NodeError {
    let said = error.document.message.clone();
    match error.error_type {
        ErrorType::Conflict => NodeError::LeaseOver,
        ErrorType::Unavailable
        | ErrorType::InternalError
        | ErrorType::TooManyRequests
        | ErrorType::RequestTimeout => NodeError::Unavailable(said),
        ErrorType::VersionMismatch
        | ErrorType::ValidationError
        | ErrorType::Unauthenticated
        | ErrorType::Forbidden
        | ErrorType::NotFound
        | ErrorType::MethodNotAllowed
        | ErrorType::PayloadTooLarge
        | ErrorType::UnsupportedMediaType => NodeError::Refused(said),
    }
}

#[async_trait]
impl NodeDesk for RemoteDesk {
    async fn claim(&self, claim: Claim) -> Result<Vec<WorkOrder>, NodeError> {
        let orders: Orders =
            self.ask("/nodes/v1/claim", &claim, Duration::from_millis(claim.wait_ms)).await?;
        Ok(orders.orders)
    }

    async fn heartbeat(&self, heartbeat: Heartbeat) -> Result<HeartbeatAnswer, NodeError> {
        self.ask("/nodes/v1/heartbeat", &heartbeat, Duration::ZERO).await
    }

    async fn report(&self, report: OrderReport) -> Result<(), NodeError> {
        let Done {} = self.ask("/nodes/v1/report", &report, Duration::ZERO).await?;
        Ok(())
    }
}
