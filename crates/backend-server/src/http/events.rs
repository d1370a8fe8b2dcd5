//! A run as server-sent events: what happens, then the result.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use backend_api::RefusalDocument;
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::problem::Problem;
use super::reply::{self, ReplyBody};
use super::under_way::UnderWay;
use crate::EventSink;

/// Events that wait for a caller who reads slowly. It is told how many others it missed.
const WAITING: usize = 1024;

/// What a run comes to: its result as it is written.
pub(super) type Ended = Result<Bytes, RefusalDocument>;

#[derive(Debug)]
struct Numbered {
    number: u64,
    document: Value,
}

/// Takes events from a run, without ever waiting.
#[derive(Debug)]
pub(super) struct Sink {
    waiting: mpsc::Sender<Numbered>,
    taken: Arc<AtomicU64>,
}

impl EventSink for Sink {
    fn take(&self, document: Value) {
        let number = self.taken.fetch_add(1, Ordering::SeqCst) + 1;
        // One for which there is no room is missed by its number.
        let _ = self.waiting.try_send(Numbered { number, document });
    }
}

/// Where the events of one run arrive.
#[derive(Debug)]
pub(super) struct Events {
    waiting: mpsc::Receiver<Numbered>,
    taken: Arc<AtomicU64>,
}

pub(super) fn channel() -> (Sink, Events) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let taken = Arc::new(AtomicU64::new(0));
    (Sink { waiting: sender, taken: Arc::clone(&taken) }, Events { waiting: receiver, taken })
}

/// Answers with a run's events once the first is there.
///
/// # Errors
///
/// The answer to a request that is refused: nothing ran, so there are no events.
///
/// # Cancel safety
///
/// Dropping the future, or the response later, cancels the run (S13).
pub(super) async fn respond(
    mut events: Events,
    mut run: UnderWay<Ended>,
) -> Result<Response<ReplyBody>, Problem> {
    let (first, end) = tokio::select! {
        biased;
        Some(first) = events.waiting.recv() => (Some(first), End::Awaited(run)),
        ended = &mut run => (None, End::Known(Some(ended.unwrap_or_else(panicked)?))),
    };
    let stream = Stream { events, first, seen: 0, end };
    let mut response = reply::bytes(StatusCode::OK, Bytes::new());
    *response.body_mut() = stream.boxed();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Ok(response)
}

pub(super) fn panicked() -> Ended {
    Err(RefusalDocument::internal("the backend panicked; this is a bug of its own"))
}

#[derive(Debug)]
struct Stream {
    events: Events,
    first: Option<Numbered>,
    // The number of the last event that was sent.
    seen: u64,
    end: End,
}

#[derive(Debug)]
enum End {
    Awaited(UnderWay<Ended>),
    /// None once it was sent, and with it everything.
    Known(Option<Bytes>),
    Broken(RefusalDocument),
}

impl Stream {
    fn event(&mut self, event: &Numbered) -> String {
        let mut text = self.gap(event.number - 1);
        self.seen = event.number;
        let name = event.document["type"].as_str().unwrap_or("message");
        let _ = write!(text, "id: {}\nevent: {name}\ndata: {}\n\n", event.number, event.document);
        text
    }

    /// Tells of events that were missed, up to this one.
    fn gap(&self, up_to: u64) -> String {
        match up_to.saturating_sub(self.seen) {
            0 => String::new(),
            missed => format!("event: gap\ndata: {}\n\n", json!({"type": "gap", "missed": missed})),
        }
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
        if let Some(first) = this.first.take() {
            return frame(this.event(&first).into());
        }
        if let End::Awaited(run) = &mut this.end {
            if let Poll::Ready(Some(event)) = this.events.waiting.poll_recv(context) {
                return frame(this.event(&event).into());
            }
            this.end = match ready!(Pin::new(run).poll(context)).unwrap_or_else(panicked) {
                Ok(document) => End::Known(Some(document)),
                Err(refusal) => End::Broken(refusal),
            };
        }
        if let Ok(event) = this.events.waiting.try_recv() {
            return frame(this.event(&event).into());
        }
        let gap = this.gap(this.events.taken.load(Ordering::SeqCst));
        match std::mem::replace(&mut this.end, End::Known(None)) {
            End::Known(Some(document)) => {
                let mut last = Vec::with_capacity(gap.len() + document.len() + 32);
                last.extend_from_slice(gap.as_bytes());
                last.extend_from_slice(b"event: result\ndata: ");
                last.extend_from_slice(&document);
                last.extend_from_slice(b"\n\n");
                frame(last.into())
            }
            End::Broken(refusal) => frame(format!("{gap}event: error\ndata: {}\n\n", json!(refusal)).into()),
            End::Known(None) | End::Awaited(_) => Poll::Ready(None),
        }
    }
}

fn frame(bytes: Bytes) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
    Poll::Ready(Some(Ok(Frame::data(bytes))))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(missing: bool) -> String {
        let (sink, events) = channel();
        let count = if missing { WAITING + 3 } else { 2 };
        for _ in 0..count {
            sink.take(json!({"type": "completed", "task_id": "a"}));
        }
        let run = UnderWay::start(async move {
            drop(sink);
            Ok(Bytes::from_static(b"{}"))
        });
        let response = respond(events, run).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    // shows C12.1
    #[tokio::test]
    async fn events_have_numbers_and_the_result_comes_last() {
        insta::assert_snapshot!(read(false).await);
    }

    #[tokio::test]
    async fn whoever_reads_too_slowly_is_told_what_it_missed() {
        let text = read(true).await;
        assert!(
            text.ends_with(
                "event: gap\ndata: {\"type\":\"gap\",\"missed\":3}\n\nevent: result\ndata: {}\n\n"
            ),
            "{}",
            &text[text.len() - 200..]
        );
    }

    #[tokio::test]
    async fn a_run_that_breaks_off_says_so() {
        let (sink, events) = channel();
        sink.take(json!({"type": "completed", "task_id": "a"}));
        let run = UnderWay::start(async move {
            drop(sink);
            panicked()
        });
        let response = respond(events, run).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(
            String::from_utf8_lossy(&body).contains("event: error\ndata: {\"error_type\":\"INTERNAL_ERROR\"")
        );
    }
}
