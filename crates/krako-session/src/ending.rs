//! What a session's end says of the run that it ends: the same words whoever computes them.

use engine::RunOutcome;
use krako_contract::{
    InvalidWireName, SessionEnded, SessionEvent, SessionStatus, Sha256Text, Stopping, UnitFailure, mapping,
};
use telemetry::SkipReason;

/// A session that ended, and the run that it was.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) status: SessionStatus,
    pub(crate) said: SessionEnded,
    pub(crate) outcome: RunOutcome,
}

impl Ended {
    /// The end of a session whose run came to `outcome`.
    pub(crate) fn of(outcome: RunOutcome, stopping: Option<Stopping>) -> Result<Self, InvalidWireName> {
        let failure: Option<UnitFailure> = outcome.failure.as_ref().map(mapping::unit_failure).transpose()?;
        let status = if is_cut_short(&outcome, stopping) {
            SessionStatus::Cancelled
        } else if failure.is_some() {
            SessionStatus::Failed
        } else {
            SessionStatus::Success
        };
        let told = match status {
            SessionStatus::Cancelled | SessionStatus::Accepted | SessionStatus::Running => None,
            SessionStatus::Success | SessionStatus::Failed => Some(mapping::stop_reason(failure.as_ref())),
        };
        let said = SessionEnded {
            stop_reason: told,
            failure: failure.filter(|_| told.is_some()),
            session_latency_ms: outcome.telemetry_bundle.summary().total_latency_ms,
            semantic_digest: digest(&outcome),
        };
        Ok(Self { status, said, outcome })
    }

    /// The session's last event.
    pub(crate) fn event(&self) -> SessionEvent {
        match self.status {
            SessionStatus::Success => SessionEvent::Completed(self.said.clone()),
            SessionStatus::Failed
            | SessionStatus::Cancelled
            | SessionStatus::Accepted
            | SessionStatus::Running => SessionEvent::Failed(self.said.clone()),
        }
    }
}

/// Whether something was left out because nobody wanted it any more. A session whose cancellation came too late to leave
/// anything out ended by itself.
fn is_cut_short(outcome: &RunOutcome, stopping: Option<Stopping>) -> bool {
    let left_out = |record: telemetry::TaskRecord| record.skip_reason == Some(SkipReason::Cancelled);
    stopping == Some(Stopping::Cancelled) && outcome.telemetry_bundle.iter().any(left_out)
}

fn digest(outcome: &RunOutcome) -> Sha256Text {
    (&outcome.semantic_digest).into()
}
