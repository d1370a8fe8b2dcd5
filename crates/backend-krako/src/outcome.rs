//! What the caller gets: a run's outcome, or what there is of it when its fabric was found out (C5.3).

use backend_api::{
    BackendMode, ExecutionContext, ExecutionMetadata, ExecutionResult, ExecutionStatus, Failure,
    FailureCategory, InterfaceVersion,
};
use engine::RunOutcome;
use kora_ir::CheckedGraph;
use krako_contract::SessionReport;
use telemetry::CloudFields;

/// Bytes of a message at most, as on the wire.
const MAX_MESSAGE_BYTES: usize = 2000;

/// Whose run it was, and how long it took.
pub(crate) struct Asked<'a> {
    pub(crate) graph: &'a CheckedGraph,
    pub(crate) context: &'a ExecutionContext,
    pub(crate) duration_ms: u64,
}

impl Asked<'_> {
    /// The result of a run whose events and report agree.
    pub(crate) fn result(&self, outcome: RunOutcome, cloud: CloudFields) -> ExecutionResult {
        let failure = outcome.failure.clone();
        self.made(outcome, failure, cloud)
    }

    /// The result of a run that was given up: the root failed, and telemetry says how far it had come.
    pub(crate) fn given_up(&self, outcome: RunOutcome, words: &str, cloud: CloudFields) -> ExecutionResult {
        let mut message = format!("fabric: {words}");
        let fits = |&(at, c): &(usize, char)| at + c.len_utf8() <= MAX_MESSAGE_BYTES;
        message = message.char_indices().take_while(fits).map(|(_, c)| c).collect();
        let failure = Failure {
            error_type: FailureCategory::ExecutionFailure,
            task_id: self.graph.task(self.graph.root()).id.clone(),
            message,
            breach: None,
            retries_exhausted: false,
        };
        // An output of a fabric that is not believed is no output.
        let mut outcome = outcome;
        outcome.final_output = None;
        self.made(outcome, Some(failure), cloud)
    }

    fn made(&self, outcome: RunOutcome, failure: Option<Failure>, cloud: CloudFields) -> ExecutionResult {
        ExecutionResult {
            status: if failure.is_none() { ExecutionStatus::Success } else { ExecutionStatus::Failed },
            final_output: outcome.final_output,
            failure,
            telemetry_bundle: outcome.telemetry_bundle.with_cloud(cloud),
            execution_metadata: ExecutionMetadata {
                run_id: self.context.run_id.clone(),
                trace_id: self.context.trace_id.clone(),
                backend: BackendMode::Krako,
                backend_version: env!("CARGO_PKG_VERSION").into(),
                interface_version: InterfaceVersion::CURRENT,
                graph_id: self.graph.graph_id().into(),
                graph_digest: *self.graph.digest(),
                semantic_digest: outcome.semantic_digest,
                duration_ms: self.duration_ms,
            },
        }
    }
}

/// What a cloud adds to telemetry (C8.3). Its word, and no part of what a run means.
pub(crate) fn cloud(report: &SessionReport) -> CloudFields {
    let telemetry = report.telemetry.as_ref();
    CloudFields {
        execution_session_id: Some(report.execution_session_id.as_str().to_owned()),
        region: telemetry.and_then(|told| Some(told.region.as_ref()?.as_str().to_owned())),
        billing_id: telemetry.and_then(|told| Some(told.billing_id.as_ref()?.as_str().to_owned())),
    }
}
