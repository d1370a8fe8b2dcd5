//! How much is under way.

use super::Orchestrator;

/// What an orchestrator has under way, counted at one moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain counts")]
pub struct Load {
    /// Sessions that have not ended.
    pub sessions: usize,
    /// Orders that nodes have.
    pub leases: usize,
    /// Orders that wait for a node.
    pub queued: usize,
}

impl Orchestrator {
    /// What is under way now. When all sessions have ended and their nodes have reported or are gone, that is nothing.
    pub fn load(&self) -> Load {
        let sessions = self.inner.index().open();
        let (leases, queued) = self.inner.desk.counts();
        Load { sessions, leases, queued }
    }
}
