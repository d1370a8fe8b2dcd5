//! Which sessions there are, and where to ask about each.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use krako_contract::{RequestId, SessionId, SessionReport, Sha256Text, TenantId};

use super::post::Post;

/// Every session that the log holds: the small part of it that callers are told apart by.
#[derive(Debug, Default)]
pub(super) struct Index {
    known: BTreeMap<SessionId, Known>,
    open: BTreeMap<TenantId, usize>,
    /// Reports of sessions that ended, the oldest first.
    kept: VecDeque<SessionId>,
    max_kept: usize,
    pub(super) draining: bool,
}

/// A session.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) tenant: TenantId,
    pub(super) request_id: RequestId,
    pub(super) graph_digest: Sha256Text,
    pub(super) at: At,
}

/// Where to ask about a session.
#[derive(Clone, Debug)]
pub(super) enum At {
    /// Its own task.
    Open(Arc<Post>),
    /// What came of it.
    Kept(Arc<SessionReport>),
    /// The log.
    Logged,
}

impl Index {
    pub(super) fn new(max_kept: usize) -> Self {
        Self { max_kept, ..Self::default() }
    }

    pub(super) fn find(&self, session: &SessionId) -> Option<&Known> {
        self.known.get(session)
    }

    /// Sessions under way.
    pub(super) fn open(&self) -> usize {
        self.open.values().sum()
    }

    pub(super) fn open_of(&self, tenant: &TenantId) -> usize {
        self.open.get(tenant).copied().unwrap_or(0)
    }

    pub(super) fn add(&mut self, session: SessionId, known: Known) {
        if matches!(known.at, At::Open(_)) {
            *self.open.entry(known.tenant.clone()).or_insert(0) += 1;
        }
        self.known.insert(session, known);
    }

    /// Forgets a session that never was.
    pub(super) fn forget(&mut self, session: &SessionId) {
        if let Some(known) = self.known.remove(session) {
            self.one_less(&known);
        }
    }

    /// A session has ended, and this came of it.
    pub(super) fn end(&mut self, session: &SessionId, report: SessionReport) {
        let Some(known) = self.known.get_mut(session) else { return };
        let before = known.clone();
        known.at = At::Kept(Arc::new(report));
        self.one_less(&before);
        self.keep(session.clone());
    }

    /// Keeps a report that was read from the log.
    pub(super) fn remember(&mut self, session: &SessionId, report: Arc<SessionReport>) {
        let Some(known) = self.known.get_mut(session) else { return };
        if matches!(known.at, At::Logged) {
            known.at = At::Kept(report);
            self.keep(session.clone());
        }
    }

    fn keep(&mut self, session: SessionId) {
        self.kept.push_back(session);
        if self.kept.len() > self.max_kept
            && let Some(oldest) = self.kept.pop_front()
            && let Some(known) = self.known.get_mut(&oldest)
        {
            known.at = At::Logged;
        }
    }

    fn one_less(&mut self, known: &Known) {
        if !matches!(known.at, At::Open(_)) {
            return;
        }
        if let Some(open) = self.open.get_mut(&known.tenant) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                self.open.remove(&known.tenant);
            }
        }
    }

    /// The sessions that are under way.
    pub(super) fn all_open(&self) -> Vec<Arc<Post>> {
        let posts = self.known.values().filter_map(|known| match &known.at {
            At::Open(post) => Some(Arc::clone(post)),
            At::Kept(_) | At::Logged => None,
        });
        posts.collect()
    }
}
