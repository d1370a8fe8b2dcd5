//! A session that nobody wants any more is told so, once (S13).

use std::time::Duration;

use krako_contract::SessionId;
use tokio::runtime::Handle;

use crate::fabric::Fabric;

/// A session under way. Dropped before it has [ended](Self::ended), it is cancelled: one request, from a task of its own,
/// for which nobody waits.
#[derive(Debug)]
pub(crate) struct UnderWay {
    fabric: Fabric,
    session: SessionId,
    within: Duration,
    // Kept, because whoever drops this may do so anywhere.
    runtime: Handle,
    wanted: bool,
}

impl UnderWay {
    /// From within the runtime that runs it.
    pub(crate) fn new(fabric: Fabric, session: SessionId, within: Duration) -> Self {
        Self { fabric, session, within, runtime: Handle::current(), wanted: true }
    }

    pub(crate) fn session(&self) -> &SessionId {
        &self.session
    }

    /// There is nothing left to be cancelled.
    pub(crate) fn ended(mut self) {
        self.wanted = false;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if !self.wanted {
            return;
        }
        let (fabric, session, within) = (self.fabric.clone(), self.session.clone(), self.within);
        self.runtime.spawn(async move {
            // Whether it arrived is of no use to anybody who is left.
            drop(fabric.cancel(&session, within).await);
        });
    }
}
