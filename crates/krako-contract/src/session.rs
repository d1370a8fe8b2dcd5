//! A session as its caller sees it: how far it is, and what came of it (C5.2).

use serde::{Deserialize, Serialize};

use crate::digest::Sha256Text;
use crate::json::Json;
use crate::reading::document;
use crate::usage::Billing;
use crate::version::{API_VERSION, CONTRACT_VERSION};
use crate::word::words;
use crate::{
    BillingId, GraphId, InvalidDocument, Region, RequestId, Sequence, SessionId, StopReason, UnitFailure,
    Validation, WorkUnitId, WorkUnitKind,
};

words! {
    /// Where a session stands. The two words of KORA's API are those of a session that ended.
    #[expect(clippy::exhaustive_enums, reason = "a session waits, runs, or ended in one of three ways")]
    pub enum SessionStatus {
        /// Recorded, and not begun: it will run, whatever happens to the connection.
        Accepted = "accepted",
        /// Under way.
        Running = "running",
        /// Nothing failed that was not stood in for.
        Success = "success",
        /// Something did.
        Failed = "failed",
        /// Nobody wanted it any more (S13). There is no result; what was spent stays spent.
        Cancelled = "cancelled",
    }
}

impl SessionStatus {
    /// Whether nothing more will come of it.
    pub fn has_ended(self) -> bool {
        match self {
            Self::Success | Self::Failed | Self::Cancelled => true,
            Self::Accepted | Self::Running => false,
        }
    }
}

/// How many work units stand where.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(
    clippy::exhaustive_structs,
    reason = "a unit is waiting, under way, or settled in one of three ways"
)]
pub struct Progress {
    /// All of them.
    pub total: u64,
    /// Not yet claimed by a node.
    pub waiting: u64,
    /// With a node.
    pub running: u64,
    /// Settled with an output.
    pub completed: u64,
    /// Settled with a failure.
    pub failed: u64,
    /// Settled without having been run.
    pub skipped: u64,
}

impl Progress {
    fn adds_up(&self) -> bool {
        [self.waiting, self.running, self.completed, self.failed, self.skipped]
            .iter()
            .try_fold(0_u64, |sum, &count| sum.checked_add(count))
            == Some(self.total)
    }
}

/// What is reported of one work unit, in Krako's names for KORA's fields (C8.1).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "contract §8 lists the fields")]
pub struct UnitRecord {
    /// KORA's `task_id`.
    pub work_unit_id: WorkUnitId,
    /// KORA's `task_type`, as the pool that ran it.
    pub kind: WorkUnitKind,
    /// How it settled.
    pub status: UnitStatus,
    /// Milliseconds of all attempts together.
    pub duration_ms: u64,
    /// Prompt tokens of all attempts together.
    pub tokens_in: u64,
    /// Generated tokens of all attempts together.
    pub tokens_out: u64,
    /// KORA's `retry_count`: the last attempt's number, counted from 0.
    pub attempt_index: u32,
    /// What the schema said of the last output.
    pub validation_status: Validation,
}

words! {
    /// How a work unit settled.
    #[expect(clippy::exhaustive_enums, reason = "a unit settles in one of three ways")]
    pub enum UnitStatus {
        /// With an output that its schema admitted.
        Success = "success",
        /// With a failure.
        Failed = "failed",
        /// Without having been run, and without having failed.
        Skipped = "skipped",
    }
}

/// What is reported of a whole session (C8.2).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "contract §8 lists the fields")]
pub struct SessionTotals {
    /// Prompt and generated tokens.
    pub total_tokens: u64,
    /// KORA's `total_latency_ms`: milliseconds from the start of the session to its end.
    pub session_latency_ms: u64,
    /// Attempts that invoked a model.
    pub model_invocation_count: u64,
    /// Tasks that were executed without a model.
    pub deterministic_task_count: u64,
}

/// A session's telemetry as the fabric reports it. KrakoBackend computes its own from the events, and compares.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "contract §8 lists the fields")]
pub struct SessionTelemetry {
    /// Every work unit, in canonical order.
    pub tasks: Vec<UnitRecord>,
    /// The totals.
    pub summary: SessionTotals,
    /// Where it ran (C8.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// What it is billed under (C8.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing_id: Option<BillingId>,
}

/// What `POST /v1/execute`, `GET /v1/execution/{id}` and `POST /v1/execution/{id}/cancel` answer.
///
/// Read, it is consistent in itself ([`SessionReport::check`]); that it is true is for the engine to say.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "what a fabric must say of a session")]
pub struct SessionReport {
    /// Of the API that wrote it.
    #[serde(default = "api_version")]
    pub api_version: String,
    /// Of the contract that it keeps to (C10.1).
    #[serde(default = "contract_version")]
    pub contract_version: String,
    /// Where it stands.
    pub status: SessionStatus,
    /// Names the session.
    pub execution_session_id: SessionId,
    /// As KORA wrote it.
    pub graph_id: GraphId,
    /// Of the graph that was submitted (I1).
    pub graph_digest: Sha256Text,
    /// What it was submitted under.
    pub request_id: RequestId,
    /// How far it is.
    pub progress: Progress,
    /// The last event that this report has seen; 0 before the first.
    pub last_sequence: u64,
    /// Why it stopped, once it has; not of a cancelled one, which did not fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<StopReason>,
    /// The first root cause in canonical order (S10), if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<UnitFailure>,
    /// The root's output, once there is one. `null` is no output.
    #[serde(default)]
    pub final_output: Option<Json>,
    /// Once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<SessionTelemetry>,
    /// Equal for equal meaning (S11), once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub semantic_digest: Option<Sha256Text>,
    /// What it cost so far. The fabric's word, and no part of what a run means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing: Option<Billing>,
}

fn api_version() -> String {
    API_VERSION.to_owned()
}

fn contract_version() -> String {
    CONTRACT_VERSION.to_owned()
}

document!(SessionReport, "session", max_report_bytes);

impl SessionReport {
    /// Whether it can be the report of any session: what ended has a reason, what did not has no result.
    ///
    /// # Errors
    ///
    /// [`InvalidDocument`] names the field that contradicts the others.
    pub fn check(&self) -> Result<(), InvalidDocument> {
        let wrong = |pointer, message: &str| Err(InvalidDocument::field("session", pointer, message));
        if !self.progress.adds_up() {
            return wrong("/progress", "the counts do not add up to `total`");
        }
        if self.last_sequence > Sequence::MAX {
            return wrong("/last_sequence", "no event has such a number");
        }
        match (self.status, self.stop_reason, &self.failure) {
            (SessionStatus::Success, Some(StopReason::Success), None) => {}
            (SessionStatus::Success, _, _) => {
                return wrong(
                    "/stop_reason",
                    "a session that succeeded stops for `success`, without a failure",
                );
            }
            (SessionStatus::Failed, Some(reason), Some(failure)) => {
                if !crate::mapping::categories(reason).contains(&failure.error_type) {
                    return wrong("/stop_reason", "this reason does not go with the failure's category");
                }
            }
            (SessionStatus::Failed, _, _) => {
                return wrong("/failure", "a session that failed has a `stop_reason` and a `failure`");
            }
            (SessionStatus::Accepted | SessionStatus::Running | SessionStatus::Cancelled, None, None) => {}
            (SessionStatus::Accepted | SessionStatus::Running | SessionStatus::Cancelled, _, _) => {
                return wrong(
                    "/stop_reason",
                    "only a session that ended by itself has a reason or a failure",
                );
            }
        }
        let settled = self.progress.completed + self.progress.failed + self.progress.skipped;
        if self.status.has_ended() && settled != self.progress.total {
            return wrong("/progress", "a session that ended has no open work units");
        }
        if !self.status.has_ended() && (self.final_output.is_some() || self.telemetry.is_some()) {
            return wrong("/status", "a session that has not ended has no result");
        }
        if self.status == SessionStatus::Cancelled && self.final_output.is_some() {
            return wrong("/final_output", "a cancelled session has no result");
        }
        if matches!(self.status, SessionStatus::Success | SessionStatus::Failed) && self.telemetry.is_none() {
            return wrong("/telemetry", "a session that ended has telemetry");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::WireLimits;

    fn report(change: Value) -> Result<(), String> {
        let mut document: Value =
            serde_json::from_str(include_str!("../examples/session-success.json")).unwrap();
        for (name, value) in change.as_object().unwrap() {
            document[name] = value.clone();
        }
        let report: SessionReport = crate::read(document.to_string().as_bytes(), &WireLimits::default())
            .map_err(|e| e.to_string())?;
        report.check().map_err(|error| error.to_string())
    }

    // shows C5.2
    #[test]
    fn a_report_that_contradicts_itself_is_refused() {
        assert_eq!(report(json!({})), Ok(()));
        assert_eq!(report(json!({"colour": "green", "api_version": "1.7"})), Ok(()));
        for (change, place) in [
            (json!({"stop_reason": "budget_exhausted"}), "/stop_reason"),
            (json!({"stop_reason": null}), "/stop_reason"),
            (json!({"status": "failed"}), "/failure"),
            (json!({"status": "running"}), "/stop_reason"),
            (json!({"status": "running", "stop_reason": null}), "/status"),
            (json!({"status": "cancelled", "stop_reason": null}), "/final_output"),
            (json!({"telemetry": null}), "/telemetry"),
            (json!({"last_sequence": u64::MAX}), "/last_sequence"),
            (json!({"graph_digest": "sha256:00"}), "/graph_digest"),
            (
                json!({"progress": {"total": 4, "waiting": u64::MAX, "running": 5, "completed": 0, "failed": 0, "skipped": 0}}),
                "/progress",
            ),
        ] {
            let said = report(change.clone()).unwrap_err();
            assert!(said.starts_with(&format!("`session` {place}: ")), "{change}: {said}");
        }
    }
}
