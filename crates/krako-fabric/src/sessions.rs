//! The seam between gateway and orchestrator.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use krako_contract::{
    CapabilitiesDocument, ErrorResponse, Event, HealthDocument, Sequence, SessionId, SessionReport,
    Submission, TenantId, UsageReport,
};

/// What a caller whose tenant is known may ask: the orchestrator itself, or one in another process.
///
/// A session of another tenant is `NOT_FOUND`, as one that does not exist: ids tell nothing.
///
/// # Cancel safety
///
/// Dropping a future of these asks for nothing more, and undoes nothing that was accepted.
#[async_trait]
pub trait Sessions: Debug + Send + Sync + 'static {
    /// Takes a submission: durable before this returns, and one session per tenant and `request_id`.
    ///
    /// # Errors
    ///
    /// `VALIDATION_ERROR` for what the fabric cannot run, `CONFLICT` for a `request_id` of another graph, `FORBIDDEN` for
    /// another tenant's name, `TOO_MANY_REQUESTS` or `UNAVAILABLE` for what is too much now.
    async fn submit(&self, tenant: &TenantId, submission: Submission)
    -> Result<SessionReport, ErrorResponse>;

    /// Where a session stands: at once, or as soon as it has ended, at most `wait` from now.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`.
    async fn report(
        &self,
        tenant: &TenantId,
        session: &SessionId,
        wait: Duration,
    ) -> Result<SessionReport, ErrorResponse>;

    /// Durable events after `after`, in order: those that are there, or the next to come within `wait`, at most a page.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`; `VALIDATION_ERROR` for a number beyond the log.
    async fn events(
        &self,
        tenant: &TenantId,
        session: &SessionId,
        after: Option<Sequence>,
        wait: Duration,
    ) -> Result<EventPage, ErrorResponse>;

    /// Stops a session (S13), if it has not ended. Idempotent.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`.
    async fn cancel(&self, tenant: &TenantId, session: &SessionId) -> Result<SessionReport, ErrorResponse>;

    /// What the tenant used in the current period.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE`.
    async fn usage(&self, tenant: &TenantId) -> Result<UsageReport, ErrorResponse>;

    /// Whether a session would be taken now (C3.5).
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE`.
    async fn health(&self) -> Result<HealthDocument, ErrorResponse>;

    /// What the workers that are there can run (C3.6).
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE`.
    async fn capabilities(&self) -> Result<CapabilitiesDocument, ErrorResponse>;
}

/// Some of a session's events.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "events, and whether there will be more")]
pub struct EventPage {
    /// In order, without gaps. Empty if none came in time.
    pub events: Vec<Event>,
    /// Whether the last event of the session is among these or was before them.
    pub ended: bool,
}
