//! What callers are answered.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backend_api::{BackendStatus, CapacitySummary, HealthStatus, ModelHealth, Refusal};
use kora_ir::CheckedGraph;
use krako_contract::{
    CapabilitiesDocument, ErrorResponse, ErrorType, HealthDocument, Sequence, SessionId, SessionPriority,
    SessionReport, Sha256Text, Submission, TenantId, UsageReport, mapping,
};
use krako_session::SessionWriter;

use super::index::{At, Index, Known};
use super::post::{Post, Seen, Stage};
use super::session::{Begin, Session};
use super::{Orchestrator, names, remembered};
use crate::log::Submitted;
use crate::{EventPage, Sessions};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Tasks up to which a graph is looked through at once; a larger one does not keep others waiting.
const SMALL_GRAPH: usize = 2000;

#[async_trait]
impl Sessions for Orchestrator {
    async fn submit(
        &self,
        tenant: &TenantId,
        submission: Submission,
    ) -> Result<SessionReport, ErrorResponse> {
        let anchor = submission.anchor();
        if let Some(named) = anchor.tenant_id.as_ref().filter(|named| *named != tenant) {
            let message = format!(
                "the graph names tenant `{named}`, and the token is of `{tenant}`; use that tenant's token"
            );
            return Err(ErrorResponse::new(ErrorType::Forbidden, message));
        }
        let request_id = anchor.request_id.clone();
        let session = names::session_id(tenant, &request_id).map_err(internal)?;
        if is_known(&self.inner.index(), &session, &submission)? {
            return self.report(tenant, &session, Duration::ZERO).await;
        }
        self.admit(&submission).await?;
        let post = Arc::new(Post::new(Seen::default()));
        let writer = SessionWriter::new(session.clone(), submission.graph().clone()).map_err(internal)?;
        let submitted = Submitted {
            session: session.clone(),
            tenant: tenant.clone(),
            request_id: request_id.clone(),
            graph_digest: submission.graph().digest().into(),
            at: self.inner.clock.now(),
            text: submission.write(),
        };
        let begin = Begin {
            post: Arc::clone(&post),
            tenant: tenant.clone(),
            request_id: request_id.clone(),
            high: submission.options().priority == Some(SessionPriority::High),
            submitted: Some(submitted),
            recovered: krako_session::Recovered { writer, under_way: Vec::new(), waiting: Vec::new() },
            last: None,
        };
        // Looked at and noted under one lock, so that of two that come at once one finds the other.
        if !self.enter(&session, &submission, Arc::clone(&post), tenant)? {
            return self.report(tenant, &session, Duration::ZERO).await;
        }
        self.spawn(Session::new(Arc::clone(&self.inner), begin).run());
        self.document(&post).await
    }

    async fn report(
        &self,
        tenant: &TenantId,
        session: &SessionId,
        wait: Duration,
    ) -> Result<SessionReport, ErrorResponse> {
        let known = self.known(tenant, session)?;
        match known.at {
            At::Open(post) => {
                let wait = wait.min(self.inner.config.max_wait);
                if !wait.is_zero() {
                    let mut seen = post.seen.subscribe();
                    let _ = tokio::time::timeout(wait, seen.wait_for(Seen::has_stopped)).await;
                }
                self.document(&post).await
            }
            At::Kept(report) => Ok((*report).clone()),
            At::Logged => {
                let config = &self.inner.config;
                let report = remembered::report(&self.inner.log, config, session).await.map_err(internal)?;
                self.inner.index().remember(session, Arc::new(report.clone()));
                Ok(report)
            }
        }
    }

    async fn events(
        &self,
        tenant: &TenantId,
        session: &SessionId,
        after: Option<Sequence>,
        wait: Duration,
    ) -> Result<EventPage, ErrorResponse> {
        let known = self.known(tenant, session)?;
        let after_number = after.map_or(0, Sequence::number);
        let (last, ended) = self.inner.log.last(session).unwrap_or((0, false));
        if after_number > last {
            let message = format!(
                "event {after_number} is asked for, and the last is {last}; begin again without a number"
            );
            return Err(ErrorResponse::new(ErrorType::ValidationError, message));
        }
        if let (At::Open(post), false) = (&known.at, ended)
            && after_number == last
        {
            let mut seen = post.seen.subscribe();
            let more = seen.wait_for(|seen| seen.last > after_number || seen.has_stopped());
            let _ = tokio::time::timeout(wait.min(self.inner.config.max_wait), more).await;
        }
        let max = self.inner.config.max_page.max(1);
        match self.inner.log.last(session) {
            // Nothing was written yet: there is no page to be read.
            None | Some((0, _)) => Ok(EventPage { events: Vec::new(), ended: false }),
            Some(_) => self.inner.log.read_events(session, after, max).await.map_err(internal),
        }
    }

    async fn cancel(&self, tenant: &TenantId, session: &SessionId) -> Result<SessionReport, ErrorResponse> {
        if let At::Open(post) = self.known(tenant, session)?.at {
            post.cancel();
        }
        self.report(tenant, session, Duration::ZERO).await
    }

    async fn usage(&self, tenant: &TenantId) -> Result<UsageReport, ErrorResponse> {
        let config = &self.inner.config;
        let now = self.inner.clock.now();
        Ok(self.inner.ledger().usage(tenant, &now, &config.prices, config.max_usage_lines))
    }

    async fn health(&self) -> Result<HealthDocument, ErrorResponse> {
        Ok(mapping::health_document(&self.status()))
    }

    async fn capabilities(&self) -> Result<CapabilitiesDocument, ErrorResponse> {
        Ok(mapping::capabilities_document(&self.inner.desk.offered().capabilities()))
    }
}

#[expect(clippy::result_large_err, reason = "the error that the seam has")]
impl Orchestrator {
    /// A session of this tenant. That of another is none: ids tell nothing.
    fn known(&self, tenant: &TenantId, session: &SessionId) -> Result<Known, ErrorResponse> {
        let index = self.inner.index();
        let known = index.find(session).filter(|known| known.tenant == *tenant).cloned();
        known.ok_or_else(|| {
            let message =
                format!("no session `{session}`; submit its graph again to find the one that it has");
            ErrorResponse::new(ErrorType::NotFound, message)
        })
    }

    /// Notes a session, if there is room. `false` if another submission of it came first.
    fn enter(
        &self,
        session: &SessionId,
        submission: &Submission,
        post: Arc<Post>,
        tenant: &TenantId,
    ) -> Result<bool, ErrorResponse> {
        let config = &self.inner.config;
        let mut index = self.inner.index();
        if is_known(&index, session, submission)? {
            return Ok(false);
        }
        if index.draining {
            let message = "unavailable: the fabric is being shut down and takes no new session";
            return Err(ErrorResponse::new(ErrorType::Unavailable, message));
        }
        let (all, own) = (index.open(), index.open_of(tenant));
        if own >= config.max_sessions_per_tenant {
            let message = format!(
                "tenant `{tenant}` has {own} sessions under way, as many as it may; wait for one to end"
            );
            return Err(ErrorResponse::new(ErrorType::TooManyRequests, message));
        }
        if all >= config.max_sessions {
            let message = format!("{all} sessions are under way, as many as may be; wait and try again");
            return Err(ErrorResponse::new(ErrorType::TooManyRequests, message));
        }
        let known = Known {
            tenant: tenant.clone(),
            request_id: submission.anchor().request_id.clone(),
            graph_digest: submission.graph().digest().into(),
            at: At::Open(post),
        };
        index.add(session.clone(), known);
        Ok(true)
    }

    /// Whether the nodes that are there can run the graph (C3.7).
    async fn admit(&self, submission: &Submission) -> Result<(), ErrorResponse> {
        if let Some(why) = self.inner.log.stopped() {
            return Err(ErrorResponse::new(ErrorType::Unavailable, format!("unavailable: {why}")));
        }
        let offered = self.inner.desk.offered();
        let graph = submission.graph().clone();
        let is_model = |graph: &CheckedGraph| graph.tasks().iter().any(|task| task.task_type.is_model());
        let is_free = |graph: &CheckedGraph| graph.tasks().iter().any(|task| !task.task_type.is_model());
        // No node at all is a question of time; a node that cannot is none.
        for (pool, nodes, needed) in
            [("cpu", offered.cpu_nodes, is_free(&graph)), ("llm_pod", offered.llm_pods, is_model(&graph))]
        {
            if nodes == 0 && needed {
                let reason = format!("no `{pool}` node is there now; start one, or wait for it");
                return Err(mapping::response(&Refusal::Unavailable { reason, retry_after_ms: Some(1000) }));
            }
        }
        let admitted = if graph.tasks().len() <= SMALL_GRAPH {
            offered.admit(&graph)
        } else {
            tokio::task::spawn_blocking(move || offered.admit(&graph)).await.map_err(internal)?
        };
        admitted.map_err(|refusal| mapping::response(&refusal))
    }

    /// What a session says of itself: something that is at least as new as the question.
    async fn document(&self, post: &Post) -> Result<SessionReport, ErrorResponse> {
        let mut documents = post.document.subscribe();
        let mut seen = post.seen.subscribe();
        let asked = post.ask();
        let answered = documents
            .wait_for(|document| document.as_ref().is_some_and(|document| document.answers >= asked));
        let stuck = seen.wait_for(|seen| matches!(seen.stage, Stage::Stuck { .. }));
        let unavailable =
            |why: &str| ErrorResponse::new(ErrorType::Unavailable, format!("unavailable: {why}"));
        tokio::select! {
            biased;
            answered = answered => match answered.as_ref().map(|document| document.as_ref()) {
                Ok(Some(document)) => Ok(document.report.clone()),
                Ok(None) | Err(_) => Err(unavailable("the session is gone")),
            },
            stuck = stuck => Err(match stuck.as_ref().map(|seen| &seen.stage) {
                Ok(Stage::Stuck { why, is_bug: true }) => internal(why),
                Ok(Stage::Stuck { why, is_bug: false }) => unavailable(why),
                Ok(Stage::Submitted | Stage::Accepted | Stage::Ended) | Err(_) => unavailable("the session is gone"),
            }),
            () = tokio::time::sleep(self.inner.config.max_wait) => Err(unavailable("the event log is not written")),
        }
    }

    fn status(&self) -> BackendStatus {
        let offered = self.inner.desk.offered();
        let (draining, active) = {
            let index = self.inner.index();
            (index.draining, index.open() as u64)
        };
        let stopped = draining || self.inner.log.stopped().is_some();
        let capabilities = offered.capabilities();
        let mut adapters: Vec<&str> =
            capabilities.models.iter().map(|model| model.adapter.as_str()).collect();
        adapters.dedup();
        let reachable =
            |adapter: &str| ModelHealth { adapter: adapter.to_owned(), reachable: true, detail: None };
        BackendStatus {
            status: if stopped || offered.cpu_nodes + offered.llm_pods == 0 {
                HealthStatus::Unavailable
            } else if offered.cpu_nodes == 0 || offered.llm_pods == 0 {
                HealthStatus::Degraded
            } else {
                HealthStatus::Healthy
            },
            capacity_summary: CapacitySummary {
                active_runs: active,
                max_concurrency: capabilities.max_concurrency,
                cpu_load: None,
                free_memory_bytes: None,
                models: adapters.into_iter().map(reachable).collect(),
            },
            backend_version: VERSION.into(),
        }
    }
}

/// Whether it was submitted before. An error if it was, with another graph.
#[expect(clippy::result_large_err, reason = "the error that the seam has")]
fn is_known(index: &Index, session: &SessionId, submission: &Submission) -> Result<bool, ErrorResponse> {
    match index.find(session) {
        None => Ok(false),
        Some(known) if known.graph_digest == Sha256Text::from(submission.graph().digest()) => Ok(true),
        Some(known) => {
            let message = format!(
                "`request_id` `{}` was used for the graph {}, and this is {}; use another `request_id`",
                known.request_id,
                known.graph_digest,
                submission.graph().digest()
            );
            Err(ErrorResponse::new(ErrorType::Conflict, message))
        }
    }
}

fn internal(error: impl std::fmt::Display) -> ErrorResponse {
    ErrorResponse::new(ErrorType::InternalError, error.to_string())
}
