//! A worker that has its model loaded, or why there is none.

use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;

use super::EmbeddedLimits;
use super::call::plain;
use super::link::{Link, Lost};
use super::process::{Launch, Life, Order};
use super::protocol::{FromWorker, GenerateRequest, PROTOCOL, Ready, ToWorker, WireError};
use crate::{AdapterError, AdapterErrorKind, ModelId};

/// How long a process that is done for may take to end by itself, so that its end can be told.
const LAST_PATIENCE: Duration = Duration::from_millis(500);

/// A process with one model, free or at work.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) model: ModelId,
    pub(super) link: Link,
    pub(super) idle_since: Instant,
    life: Box<dyn Life>,
    requests: u64,
}

/// Why a worker cannot be used, or not any more.
#[derive(Clone, Debug, Error)]
pub(super) enum Trouble {
    #[error("it cannot be started: {0}")]
    NotStarted(String),
    #[error("it was not ready within {} ms", .0.as_millis())]
    NotReady(Duration),
    #[error(
        "it speaks version {theirs} of the worker protocol and this program {PROTOCOL}; install them together"
    )]
    OtherProtocol { theirs: u32 },
    #[error("{0}")]
    Fatal(String),
    #[error("{0}")]
    Broken(&'static str),
    #[error("{lost}, and {end}")]
    Lost { lost: Lost, end: String },
    #[error("it did not stop within {} ms when told to", .0.as_millis())]
    Unstoppable(Duration),
}

impl Trouble {
    /// What it is to whoever wanted a reply.
    pub(super) fn error(&self, model: &ModelId) -> AdapterError {
        let (kind, transient) = match self {
            // The same file in the same program: it will be the same tomorrow.
            Self::NotStarted(_) | Self::Fatal(_) => (AdapterErrorKind::Internal, false),
            Self::OtherProtocol { .. } => (AdapterErrorKind::Protocol, false),
            Self::Broken(_) => (AdapterErrorKind::Protocol, true),
            Self::NotReady(_) | Self::Lost { .. } | Self::Unstoppable(_) => {
                (AdapterErrorKind::ServerError, true)
            }
        };
        AdapterError::new(kind, format!("the worker of model `{model}`: {self}")).with_transient(transient)
    }
}

impl Worker {
    /// Starts a worker and waits until it is ready.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future kills the process.
    pub(super) async fn start(
        launcher: &dyn Launch,
        order: &Order,
        model: ModelId,
        limits: &EmbeddedLimits,
    ) -> Result<Self, Trouble> {
        let launched = launcher
            .launch(order)
            .map_err(|error| Trouble::NotStarted(format!("`{}`: {error}", order.program.display())))?;
        let mut link = Link::new(launched.output, launched.input, limits.silence_timeout());
        let mut life = launched.life;
        let heard = tokio::time::timeout(limits.load_timeout(), link.hear()).await;
        match heard {
            Ok(Ok(FromWorker::Ready(Ready { protocol: PROTOCOL, .. }))) => {
                life.withhold();
                Ok(Self { model, link, idle_since: Instant::now(), life, requests: 0 })
            }
            Ok(Ok(FromWorker::Ready(Ready { protocol: theirs, .. }))) => {
                Err(Trouble::OtherProtocol { theirs })
            }
            Ok(Ok(FromWorker::Fatal { message })) => Err(Trouble::Fatal(plain(&message))),
            Ok(Ok(
                FromWorker::Alive
                | FromWorker::Started(_)
                | FromWorker::Piece(_)
                | FromWorker::Done(_)
                | FromWorker::Failed(_),
            )) => Err(Trouble::Broken("it answered before it was ready")),
            Ok(Err(lost)) => Err(Trouble::Lost { lost, end: life.end(LAST_PATIENCE).await }),
            Err(_) => Err(Trouble::NotReady(limits.load_timeout())),
        }
    }

    /// Hands a request over, under the next id of this worker.
    ///
    /// # Errors
    ///
    /// [`WireError::TooLong`], and then the worker is free as before.
    pub(super) fn ask(&mut self, request: GenerateRequest) -> Result<u64, WireError> {
        let id = self.requests;
        self.link.say(&ToWorker::Generate(GenerateRequest { id, ..request }))?;
        self.requests += 1;
        Ok(id)
    }

    /// Whether it is there and quiet, as a free worker is.
    pub(super) fn is_sound(&mut self) -> bool {
        self.link.overhear().is_none()
    }

    /// Makes it stop with request `id`.
    ///
    /// # Errors
    ///
    /// [`Trouble`] if it does not, and then it is of no further use.
    pub(super) async fn stop(&mut self, id: u64, grace: Duration) -> Result<(), Trouble> {
        // It is shorter than any bound.
        let _ = self.link.say(&ToWorker::Cancel { id });
        let stopped = async {
            loop {
                match self.link.hear().await {
                    Ok(FromWorker::Done(done)) if done.id == id => return Ok(()),
                    Ok(FromWorker::Failed(failed)) if failed.id == id => return Ok(()),
                    Ok(FromWorker::Started(_) | FromWorker::Piece(_) | FromWorker::Alive) => {}
                    Ok(FromWorker::Fatal { message }) => return Err(Trouble::Fatal(plain(&message))),
                    Ok(FromWorker::Ready(_) | FromWorker::Done(_) | FromWorker::Failed(_)) => {
                        return Err(Trouble::Broken("it answered what nobody asked"));
                    }
                    Err(lost) => return Err(Trouble::Lost { lost, end: String::from("was told to stop") }),
                }
            }
        };
        tokio::time::timeout(grace, stopped).await.unwrap_or(Err(Trouble::Unstoppable(grace)))
    }

    /// Ends a worker that was lost, and tells how.
    pub(super) async fn mourn(mut self, lost: Lost) -> Trouble {
        let patience = match lost {
            Lost::Closed => LAST_PATIENCE,
            Lost::Silent(_) | Lost::Garbled(_) | Lost::Flood => Duration::ZERO,
        };
        Trouble::Lost { lost, end: self.life.end(patience).await }
    }
}
