//! The sessions of an orchestrator in another process, as a gateway sees them.

use std::time::Duration;

use async_trait::async_trait;
use krako_contract::{
    CapabilitiesDocument, Document, ErrorResponse, ErrorType, HealthDocument, Sequence, SessionId,
    SessionReport, Submission, TenantId, UsageReport, WireLimits, read,
};
use krako_transport::Client;
use serde::Serialize;
use serde_json::value::RawValue;

use super::caller::{Caller, unreadable};
use super::documents::{Done, OfSession, OfTenant, Page, Submit, read_bytes};
use crate::sessions::{EventPage, Sessions};

/// Sessions in another process. Tries nothing twice: a caller is told to, and its submission has an anchor.
#[derive(Debug)]
pub struct RemoteSessions {
    caller: Caller,
}

impl RemoteSessions {
    /// The sessions of whoever `client` calls; its token must be a gateway's.
    pub fn new(client: Client, wire: WireLimits) -> Self {
        Self { caller: Caller::new(client, wire) }
    }

    async fn ask(
        &self,
        what: &str,
        document: &(impl Serialize + Sync),
        wait: Duration,
    ) -> Result<Vec<u8>, ErrorResponse> {
        let answer = self.caller.ask(&format!("/sessions/v1/{what}"), document, wait).await;
        answer.map_err(|error| match error.error_type {
            // It is not the caller's token that is wrong.
            ErrorType::Unauthenticated | ErrorType::MethodNotAllowed => {
                let said = &error.document.message;
                let message = format!(
                    "this gateway is not served by its orchestrator: {said}; whoever runs it can mend it"
                );
                ErrorResponse::new(ErrorType::Unavailable, message)
            }
            ErrorType::VersionMismatch
            | ErrorType::ValidationError
            | ErrorType::Forbidden
            | ErrorType::NotFound
            | ErrorType::RequestTimeout
            | ErrorType::Conflict
            | ErrorType::PayloadTooLarge
            | ErrorType::UnsupportedMediaType
            | ErrorType::TooManyRequests
            | ErrorType::InternalError
            | ErrorType::Unavailable => *error,
        })
    }

    async fn read<D: Document>(
        &self,
        what: &str,
        document: &(impl Serialize + Sync),
        wait: Duration,
    ) -> Result<D, ErrorResponse> {
        let answer = self.ask(what, document, wait).await?;
        read(&answer, &self.caller.wire).map_err(unreadable)
    }
}

fn of_session(tenant: &TenantId, session: &SessionId, wait: Duration) -> OfSession {
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    OfSession { tenant: tenant.clone(), session: session.clone(), wait_ms, after: None }
}

#[async_trait]
impl Sessions for RemoteSessions {
    async fn submit(
        &self,
        tenant: &TenantId,
        submission: Submission,
    ) -> Result<SessionReport, ErrorResponse> {
        let submission = RawValue::from_string(submission.write()).map_err(unreadable)?;
        let document = Submit { tenant: tenant.clone(), submission };
        self.read("submit", &document, Duration::ZERO).await
    }

    async fn report(
        &self,
        tenant: &TenantId,
        session: &SessionId,
        wait: Duration,
    ) -> Result<SessionReport, ErrorResponse> {
        self.read("report", &of_session(tenant, session, wait), wait).await
    }

    async fn events(
        &self,
        tenant: &TenantId,
        session: &SessionId,
        after: Option<Sequence>,
        wait: Duration,
    ) -> Result<EventPage, ErrorResponse> {
        let document = OfSession { after, ..of_session(tenant, session, wait) };
        let answer = self.ask("events", &document, wait).await?;
        let page: Page = read_bytes(&answer).map_err(unreadable)?;
        page.read(&self.caller.wire).map_err(unreadable)
    }

    async fn cancel(&self, tenant: &TenantId, session: &SessionId) -> Result<SessionReport, ErrorResponse> {
        self.read("cancel", &of_session(tenant, session, Duration::ZERO), Duration::ZERO).await
    }

    async fn usage(&self, tenant: &TenantId) -> Result<UsageReport, ErrorResponse> {
        self.read("usage", &OfTenant { tenant: tenant.clone() }, Duration::ZERO).await
    }

    async fn health(&self) -> Result<HealthDocument, ErrorResponse> {
        self.read("health", &Done {}, Duration::ZERO).await
    }

    async fn capabilities(&self) -> Result<CapabilitiesDocument, ErrorResponse> {
        self.read("capabilities", &Done {}, Duration::ZERO).await
    }
}
