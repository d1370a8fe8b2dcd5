//! One call over a seam: a document there, a document or an error back.

use std::time::Duration;

use krako_contract::{ErrorResponse, ErrorType, WireLimits};
use krako_transport::{Answer, Call, Client, header};
use serde::Serialize;

/// For an answer to arrive, beside what it was asked to wait for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks the desk of another process.
#[derive(Debug)]
pub(super) struct Caller {
    client: Client,
    pub(super) wire: WireLimits,
}

impl Caller {
    pub(super) fn new(client: Client, wire: WireLimits) -> Self {
        Self { client, wire }
    }

    /// Posts a document that may be waited on for `wait`, and gives the answer of a success.
    ///
    /// # Errors
    ///
    /// What the other end says, or `UNAVAILABLE` if it says nothing.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cuts the call off; the other end may have acted on it.
    pub(super) async fn ask(
        &self,
        path: &str,
        document: &impl Serialize,
        wait: Duration,
    ) -> Result<Vec<u8>, Box<ErrorResponse>> {
        let unavailable = |said: String| Box::new(ErrorResponse::new(ErrorType::Unavailable, said));
        let body = serde_json::to_vec(document)
            .map_err(|error| unavailable(format!("a document cannot be written: {error}; this is a bug")))?;
        let call =
            Call::post(path, body).within(wait.saturating_add(PATIENCE)).at_most(self.wire.max_report_bytes);
        let answer = self.client.request(call).await.map_err(|error| unavailable(error.to_string()))?;
        if answer.status.is_success() {
            return Ok(answer.body.into());
        }
        Err(Box::new(self.error(&answer)))
    }

    fn error(&self, answer: &Answer) -> ErrorResponse {
        let retry_after = answer.header(header::RETRY_AFTER);
        ErrorResponse::read(answer.status.as_u16(), retry_after, &answer.body, &self.wire)
    }
}

/// What is said of an answer that cannot be read.
pub(super) fn unreadable(what: impl std::fmt::Display) -> ErrorResponse {
    let message =
        format!("what the orchestrator answers cannot be read: {what}; both sides must be of one version");
    ErrorResponse::new(ErrorType::Unavailable, message)
}
