//! Work of its own that ends when nobody waits for it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::task::JoinHandle;

/// A task that is cancelled when this is dropped.
#[derive(Debug)]
pub(super) struct UnderWay<T>(JoinHandle<T>);

impl<T: Send + 'static> UnderWay<T> {
    /// Starts the work. A panic in it stays in it.
    pub(super) fn start(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }
}

/// Resolves to what came of it; to nothing if it panicked.
impl<T> Future for UnderWay<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        Pin::new(&mut self.0).poll(context).map(Result::ok)
    }
}

impl<T> Drop for UnderWay<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
