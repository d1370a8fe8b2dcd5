//! Work of its own that ends when nobody waits for it.

use std::future::Future;

use tokio::task::JoinHandle;

/// A task that is cancelled when this is dropped.
#[derive(Debug)]
pub(super) struct UnderWay<T>(JoinHandle<T>);

impl<T: Send + 'static> UnderWay<T> {
    /// Starts the work. A panic in it stays in it.
    pub(super) fn start(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }

    /// What came of it; nothing if it panicked.
    pub(super) async fn end(mut self) -> Option<T> {
        (&mut self.0).await.ok()
    }
}

impl<T> Drop for UnderWay<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
