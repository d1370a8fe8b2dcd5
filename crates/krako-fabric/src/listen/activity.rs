//! What goes on over one connection: whether it is idle, and whether its caller reads what it asked for.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};

use super::reply::ReplyBody;

/// What goes on over one connection.
#[derive(Debug)]
pub(super) struct Activity(Mutex<State>);

#[derive(Debug)]
struct State {
    next: u64,
    under_way: usize,
    // When the last request ended, or the connection began.
    since: Instant,
    // Since when an answer has more to give that its caller did not fetch, by request.
    owed: BTreeMap<u64, Instant>,
}

/// One request, until its answer was handed over or is not wanted any more.
#[derive(Debug)]
pub(super) struct UnderWay {
    activity: Arc<Activity>,
    number: u64,
    _place: Option<OwnedSemaphorePermit>,
}

impl Activity {
    pub(super) fn new() -> Self {
        let since = Instant::now();
        Self(Mutex::new(State { next: 0, under_way: 0, since, owed: BTreeMap::new() }))
    }

    /// Begins a request that has `place` among all that are under way.
    pub(super) fn begin(self: &Arc<Self>, place: Option<OwnedSemaphorePermit>) -> UnderWay {
        let mut state = self.state();
        state.under_way += 1;
        state.next += 1;
        UnderWay { activity: Arc::clone(self), number: state.next, _place: place }
    }

    /// Waits until there was no request for this long.
    pub(super) async fn idle(&self, patience: Duration) {
        loop {
            let until = {
                let state = self.state();
                let now = Instant::now();
                if state.under_way > 0 { now + patience } else { state.since + patience }
            };
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }

    /// Waits until a caller did not fetch an answer for this long; noticed when twice as long is over, the latest.
    pub(super) async fn stalled(&self, patience: Duration) {
        loop {
            let oldest = self.state().owed.values().min().copied();
            let now = Instant::now();
            let until = oldest.unwrap_or(now) + patience;
            if until <= now {
                return;
            }
            sleep_until(until).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds it can leave it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnderWay {
    /// There is more to fetch.
    fn owes(&self) {
        self.activity.state().owed.insert(self.number, Instant::now());
    }

    /// There is nothing to fetch now, and that is not the caller's fault.
    fn owes_nothing(&self) {
        self.activity.state().owed.remove(&self.number);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.under_way = state.under_way.saturating_sub(1);
        state.since = Instant::now();
        state.owed.remove(&self.number);
    }
}

/// The body of an answer, and whether it is fetched.
#[derive(Debug)]
pub(super) struct Watched {
    body: ReplyBody,
    under_way: UnderWay,
}

impl Watched {
    pub(super) fn new(body: ReplyBody, under_way: UnderWay) -> Self {
        under_way.owes();
        Self { body, under_way }
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match polled {
            Poll::Ready(Some(_)) => self.under_way.owes(),
            Poll::Ready(None) | Poll::Pending => self.under_way.owes_nothing(),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
