//! The report of a session that ended, held against its events (C5.2).

use krako_contract::SessionReport;
use tokio::time::Instant;

use crate::following::Follower;

impl Follower {
    /// Gets the report of a session whose last event was taken, and compares it with what the events come to.
    ///
    /// # Errors
    ///
    /// Why it is not to be had within `outage_patience_ms`, or what it says that is not so.
    pub(crate) async fn report(&mut self) -> Result<SessionReport, String> {
        self.heard = Instant::now();
        self.backoff.reset();
        loop {
            let error = match self.fabric.report(&self.session).await {
                Ok(report) => {
                    if report.request_id != self.request_id {
                        return Err(format!(
                            "the report says that `request_id` is `{}`; `{}` was submitted",
                            report.request_id, self.request_id
                        ));
                    }
                    self.reader.check(&report).map_err(|found| found.to_string())?;
                    return Ok(report);
                }
                Err(error) if error.may_pass() => error,
                Err(error) => return Err(error.to_string()),
            };
            self.wait(Some(&error)).await?;
        }
    }
}
