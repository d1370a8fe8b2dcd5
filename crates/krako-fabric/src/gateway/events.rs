//! `GET /v1/execution/{id}/events`: a session's events as they become durable (C12.1).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::{Body, Bytes, Frame};
use hyper::http::request::Parts;
use krako_contract::{ErrorResponse, ErrorType, Event, KEEP_ALIVE, Sequence, SessionId, TenantId, frame};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{self, Instant};

use super::router::{Asked, Router};
use crate::listen::{Draining, Problem, ReplyBody, head_of_stream, part};
use crate::sessions::{EventPage, Sessions};

/// Answers with the events after the one that the caller has read last.
///
/// # Errors
///
/// The answer to one that has no such session, or has read more than there is.
pub(super) async fn respond(
    router: &Router,
    asked: Asked<'_>,
    session: SessionId,
) -> Result<Response<ReplyBody>, Problem> {
    let after = last_event_id(asked.head)?;
    let place = asked.entry.stream()?;
    let first = router.sessions.events(&asked.tenant, &session, after, Duration::ZERO);
    let first = router.within(Duration::ZERO, first).await?;
    let config = router.config();
    let follow = Follow {
        sessions: Arc::clone(&router.sessions),
        tenant: asked.tenant,
        session,
        keep_alive: config.keep_alive,
        patience: config.answer_timeout,
        until: Instant::now() + config.max_stream,
        draining: asked.draining,
    };
    let mut stream = Stream {
        follow: Arc::new(follow),
        after,
        waiting: VecDeque::new(),
        // Tells the caller at once that it is heard.
        bytes: Bytes::from_static(KEEP_ALIVE.as_bytes()),
        next: Next::Ask,
        _place: place,
    };
    stream.take(first);
    Ok(head_of_stream(stream.boxed_unsync()))
}

fn last_event_id(head: &Parts) -> Result<Option<Sequence>, Problem> {
    let mut sent = head.headers.get_all("last-event-id").iter();
    let (first, None) = (sent.next(), sent.next()) else {
        return Err(Problem::new(
            ErrorType::ValidationError,
            "`Last-Event-ID` stands there twice; send it once",
        ));
    };
    // A reader that has read nothing may say so in this way.
    let Some(first) = first.filter(|first| !first.is_empty()) else { return Ok(None) };
    let read = first.to_str().ok().and_then(|text| Sequence::from_last_event_id(text).ok());
    let message = "`Last-Event-ID` is no event's `sequence`; send the number of the last event that was read, or leave it out";
    read.map(Some).ok_or_else(|| Problem::new(ErrorType::ValidationError, message))
}

/// Who follows what, and for how long.
#[derive(Debug)]
struct Follow {
    sessions: Arc<dyn Sessions>,
    tenant: TenantId,
    session: SessionId,
    keep_alive: Duration,
    patience: Duration,
    until: Instant,
    draining: Draining,
}

/// What comes next on a stream.
enum More {
    Page(EventPage),
    Failed(ErrorResponse),
    Draining,
    TooLong,
}

impl Follow {
    /// What comes after `after`.
    async fn more(self: Arc<Self>, after: Option<Sequence>) -> More {
        let mut draining = self.draining.clone();
        let page = self.sessions.events(&self.tenant, &self.session, after, self.keep_alive);
        let page = time::timeout(self.keep_alive.saturating_add(self.patience), page);
        tokio::select! {
            biased;
            () = draining.begun() => More::Draining,
            () = time::sleep_until(self.until) => More::TooLong,
            page = page => match page {
                Ok(Ok(page)) => More::Page(page),
                Ok(Err(error)) => More::Failed(error),
                Err(_) => More::Failed(ErrorResponse::new(
                    ErrorType::Unavailable,
                    "the orchestrator does not answer",
                )),
            },
        }
    }
}

enum Next {
    /// Ask for the next page, once its reader wants more.
    Ask,
    Asked(Pin<Box<dyn Future<Output = More> + Send>>),
    /// Nothing: the session has ended, or the stream has.
    End,
}

/// A stream. Pulled by its reader: what is not fetched is not read from the log.
struct Stream {
    follow: Arc<Follow>,
    after: Option<Sequence>,
    waiting: VecDeque<Event>,
    bytes: Bytes,
    next: Next,
    _place: OwnedSemaphorePermit,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("follow", &self.follow).finish_non_exhaustive()
    }
}

impl Stream {
    fn take(&mut self, page: EventPage) {
        self.waiting = page.events.into();
        self.next = if page.ended { Next::End } else { Next::Ask };
    }

    /// Ends the stream with a comment: what it said before stays true, and the reader knows why it has to come back.
    fn end(&mut self, why: &str) {
        self.next = Next::End;
        let why: String = why.chars().filter(|char| !char.is_control()).collect();
        self.bytes = Bytes::from(format!(": {why}; come back with `Last-Event-ID`\n\n"));
    }

    fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Next::Ask = self.next {
            self.next = Next::Asked(Box::pin(Arc::clone(&self.follow).more(self.after)));
        }
        let Next::Asked(asked) = &mut self.next else { return Poll::Ready(()) };
        match ready!(asked.as_mut().poll(context)) {
            More::Page(page) => {
                if page.events.is_empty() && !page.ended {
                    self.bytes = Bytes::from_static(KEEP_ALIVE.as_bytes());
                }
                self.take(page);
            }
            More::Failed(error) => self.end(&format!("interrupted: {}", error.document)),
            More::Draining => self.end("draining"),
            More::TooLong => self.end("this stream has lasted as long as one may"),
        }
        Poll::Ready(())
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        loop {
            if !this.bytes.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(part(&mut this.bytes)))));
            }
            if let Some(event) = this.waiting.pop_front() {
                this.after = Some(event.sequence);
                this.bytes = Bytes::from(frame(&event));
                continue;
            }
            if let Next::End = this.next {
                return Poll::Ready(None);
            }
            ready!(this.poll_more(context));
        }
    }
}
