//! A response's body that is made while it is sent, piece by piece.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame};
use thiserror::Error;

/// The body ends here, and the connection with it, though it is not complete.
#[derive(Debug, Error)]
#[error("the script breaks the connection here")]
pub(super) struct CutShort;

/// What comes next of a body; `None` at its end.
pub(super) type Next = Option<Result<Bytes, CutShort>>;

/// Makes what comes next, and hands back what it is made of.
pub(super) type Making<S> = Pin<Box<dyn Future<Output = (S, Next)> + Send>>;

/// A body that is made of a state. Nothing is made that the connection does not ask for, and all of it is dropped with
/// the connection.
pub(super) struct Unfold<S> {
    make: fn(S) -> Making<S>,
    // `None` after the end.
    making: Option<Making<S>>,
}

impl<S> Unfold<S> {
    pub(super) fn new(state: S, make: fn(S) -> Making<S>) -> Self {
        Self { make, making: Some(make(state)) }
    }
}

impl<S> Body for Unfold<S> {
    type Data = Bytes;
    type Error = CutShort;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        let Some(making) = &mut self.making else { return Poll::Ready(None) };
        let (state, next) = ready!(making.as_mut().poll(context));
        self.making = matches!(next, Some(Ok(_))).then(|| (self.make)(state));
        Poll::Ready(next.map(|next| next.map(Frame::data)))
    }
}
