//! A desk that people are told about: a worker tries again and again, and somebody should know why nothing comes of it.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use krako_fabric::{
    Claim, Heartbeat, HeartbeatAnswer, NodeDesk, NodeError, OrderReport, RemoteDesk, WorkOrder,
};

use crate::screen::{self, ODD};

/// The desk of another process. That it is out of reach is told, once for each new reason, and so is that it is back.
#[derive(Debug)]
pub(super) struct ToldDesk {
    desk: RemoteDesk,
    /// Why it was out of reach when it was asked last.
    away: Mutex<Option<String>>,
}

impl ToldDesk {
    pub(super) fn new(desk: RemoteDesk) -> Self {
        Self { desk, away: Mutex::new(None) }
    }

    fn told<T>(&self, answer: Result<T, NodeError>) -> Result<T, NodeError> {
        let why = match &answer {
            Err(NodeError::Unavailable(why)) => Some(why.clone()),
            Ok(_) | Err(NodeError::Refused(_) | NodeError::LeaseOver) => None,
        };
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        match &why {
            Some(why) if away.as_ref() != Some(why) => {
                let why = screen::visible(why);
                screen::tell(&format!("{ODD}the orchestrator cannot be asked{ODD:#}: {why}; trying again\n"));
            }
            None if away.is_some() => screen::tell("the orchestrator can be asked again\n"),
            Some(_) | None => {}
        }
        *away = why;
        answer
    }
}

#[async_trait]
impl NodeDesk for ToldDesk {
    async fn claim(&self, claim: Claim) -> Result<Vec<WorkOrder>, NodeError> {
        self.told(self.desk.claim(claim).await)
    }

    async fn heartbeat(&self, heartbeat: Heartbeat) -> Result<HeartbeatAnswer, NodeError> {
        self.told(self.desk.heartbeat(heartbeat).await)
    }

    async fn report(&self, report: OrderReport) -> Result<(), NodeError> {
        self.told(self.desk.report(report).await)
    }
}
