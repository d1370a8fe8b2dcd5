//! A service over standard input and output: one JSON object a line, either way.

mod hello;
mod lines;
mod message;
mod outstanding;

use std::io::{self, ErrorKind};
use std::sync::Arc;

use backend_api::RefusalDocument;
use serde_json::{Value, json};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

pub use self::hello::{HelloModel, HelloModels};
use self::lines::{Line, Lines};
use self::message::{Body, Request, Verb};
use self::outstanding::Outstanding;
use crate::{Identity, Service};

/// What answers once a caller has said hello.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "who serves, and what")]
pub struct Served {
    /// Who it is.
    pub identity: Identity,
    /// What is served.
    pub service: Arc<dyn Service>,
}

/// Bounds on what a caller may send (I8).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record of choices, written as a literal")]
pub struct StdioLimits {
    /// Bytes of one line, its end not counted.
    pub max_line_bytes: usize,
    /// Runs under way at once. Others wait.
    pub max_runs: usize,
    /// Runs that wait. Others are refused.
    pub max_queued: usize,
    /// Bytes of the graphs of all runs, under way or waiting.
    pub max_pending_bytes: usize,
    /// Health checks under way at once. Others are refused.
    pub max_health_checks: usize,
}

impl Default for StdioLimits {
    fn default() -> Self {
        Self {
            max_line_bytes: 64 << 20,
            max_runs: 16,
            max_queued: 256,
            max_pending_bytes: 512 << 20,
            max_health_checks: 16,
        }
    }
}

/// What ends a conversation before the caller does.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StdioError {
    /// Requests cannot be read.
    #[error("cannot read requests")]
    Input(#[source] io::Error),
    /// Answers cannot be written.
    #[error("cannot write answers")]
    Output(#[source] io::Error),
}

/// Serves one caller until it says `shutdown`, ends its input, or reads no further.
///
/// `make` is called with the models that the caller's `hello` names, because they belong to the backend that it makes;
/// what it answers instead of a service is told to the caller, who may say hello again. Requests are answered in the
/// order in which they are done. The protocol is in `schemas/stdio-1.0.json`.
///
/// Whatever is under way when the conversation ends is cancelled (S13), and said to be.
///
/// # Errors
///
/// [`StdioError`] if input or output breaks. A reader who goes away is no error.
///
/// # Cancel safety
///
/// Dropping the future cancels whatever is under way; a line may be half written.
pub async fn serve_stdio<R, W, F>(input: R, output: W, limits: StdioLimits, make: F) -> Result<(), StdioError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
    F: FnMut(Option<&HelloModels>) -> Result<Served, String>,
{
    let mut conversation = Conversation { output, make, served: None, outstanding: Outstanding::new(limits) };
    match conversation.hold(&mut Lines::new(input, limits.max_line_bytes)).await {
        // Nobody is there to be told.
        Err(StdioError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => {
            conversation.outstanding.stop().await;
            Ok(())
        }
        outcome => outcome,
    }
}

struct Conversation<W, F> {
    output: W,
    make: F,
    served: Option<Served>,
    outstanding: Outstanding,
}

/// What to do after a request.
enum Next {
    GoOn,
    /// Answer this request last.
    ShutDown(u64),
}

impl<W, F> Conversation<W, F>
where
    W: AsyncWrite + Unpin,
    F: FnMut(Option<&HelloModels>) -> Result<Served, String>,
{
    async fn hold<R: AsyncRead + Unpin>(&mut self, lines: &mut Lines<R>) -> Result<(), StdioError> {
        let asked_by = loop {
            tokio::select! {
                // Answers first: they free what new requests wait for.
                biased;
                Some(answer) = self.outstanding.next() => self.write(&answer).await?,
                line = lines.next() => match line.map_err(StdioError::Input)? {
                    None => break None,
                    Some(line) => match self.take(line).await? {
                        Next::GoOn => {}
                        Next::ShutDown(id) => break Some(id),
                    },
                },
            }
        };
        self.outstanding.cancel_all();
        while let Some(answer) = self.outstanding.next().await {
            self.write(&answer).await?;
        }
        match asked_by {
            Some(id) => self.say(Some(id), Body::Ok(json!({}))).await,
            None => Ok(()),
        }
    }

    async fn take(&mut self, line: Line) -> Result<Next, StdioError> {
        let bytes = match line {
            Line::Whole(bytes) => bytes,
            Line::TooLong { limit } => {
                let message = format!("this line has more than {limit} bytes; send a smaller graph");
                self.say(None, Body::Error { message }).await?;
                return Ok(Next::GoOn);
            }
        };
        match Request::read(&bytes) {
            Ok(request) => self.serve(request).await,
            Err(message) => {
                self.say(None, Body::Error { message }).await?;
                Ok(Next::GoOn)
            }
        }
    }

    async fn serve(&mut self, request: Request<'_>) -> Result<Next, StdioError> {
        let id = request.id;
        if self.outstanding.has(id) {
            // Under its own id it would pass for the answer to the first.
            let message = format!("request {id} is still under way; give each request an id of its own");
            self.say(None, Body::Error { message }).await?;
            return Ok(Next::GoOn);
        }
        let now = match (request.verb(), &self.served) {
            (Err(reason), _) => Some(Body::Unsupported { reason }),
            (Ok(Verb::Hello), None) => Some(self.hello(&request)),
            (Ok(Verb::Hello), Some(_)) => {
                let reason = String::from("hello was said before, and its backend serves this conversation");
                Some(Body::Unsupported { reason })
            }
            (Ok(_), None) => {
                let reason = String::from("say `hello` first: the backend is made of what it names");
                Some(Body::Unsupported { reason })
            }
            (Ok(Verb::CapabilityDescriptor), Some(served)) => {
                Some(Body::Ok(served.service.capability_descriptor()))
            }
            (Ok(Verb::HealthCheck), Some(served)) => {
                self.outstanding.start_health_check(id, Arc::clone(&served.service)).err()
            }
            (Ok(Verb::ExecuteTaskgraph), Some(served)) => match request.execute() {
                Ok(execute) => self.outstanding.start_run(id, Arc::clone(&served.service), execute).err(),
                Err(refusal) => Some(Body::Refused(refusal)),
            },
            (Ok(Verb::Cancel), Some(_)) => Some(match request.target() {
                Ok(target) => {
                    self.outstanding.cancel(target);
                    Body::Ok(json!({}))
                }
                Err(message) => Body::Error { message },
            }),
            (Ok(Verb::Shutdown), Some(_)) => return Ok(Next::ShutDown(id)),
        };
        if let Some(body) = now {
            self.say(Some(id), body).await?;
        }
        Ok(Next::GoOn)
    }

    fn hello(&mut self, request: &Request<'_>) -> Body {
        let made = request.hello().and_then(|models| (self.make)(models.as_ref()));
        match made {
            Ok(served) => {
                let Identity { name, version, backend_mode } = &served.identity;
                let answer = json!({"protocol": hello::PROTOCOL, "name": name, "version": version,
                    "backend_mode": backend_mode});
                self.served = Some(served);
                Body::Ok(answer)
            }
            Err(message) => Body::Error { message },
        }
    }

    async fn say(&mut self, id: Option<u64>, body: Body) -> Result<(), StdioError> {
        let line = message::line(id, &body);
        self.write(&line).await
    }

    async fn write(&mut self, line: &[u8]) -> Result<(), StdioError> {
        self.output.write_all(line).await.map_err(StdioError::Output)?;
        self.output.flush().await.map_err(StdioError::Output)
    }
}

/// Nothing ran because the server has enough to do.
fn busy(message: String) -> RefusalDocument {
    let details = Value::from_iter([("retry_after_ms", 1_000)]);
    RefusalDocument { details: Some(details), ..RefusalDocument::new("UNAVAILABLE", message) }
}
