//! Whether a listener drains: takes nothing new, and lets end what is under way.

use tokio::sync::watch;

/// Tells when its listener drains.
#[derive(Clone, Debug)]
pub(crate) struct Draining(watch::Receiver<bool>);

impl Draining {
    /// A sender that begins to drain, and who is told.
    pub(super) fn channel() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Whether it does.
    pub(crate) fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it does.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped at any time.
    pub(crate) async fn begun(&mut self) {
        // Whoever dropped the other end has no more use for this one.
        let _ = self.0.wait_for(|begun| *begun).await;
    }
}

/// How a listener ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "what was let end, and what was cut off")]
pub struct Drained {
    /// Connections that ended by themselves while it drained.
    pub ended: usize,
    /// Connections that were cut off when the grace was over.
    pub cut: usize,
}
