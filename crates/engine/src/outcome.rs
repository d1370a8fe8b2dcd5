//! What came of a run.

use kora_ir::{CheckedGraph, ValidatedOutput};
use telemetry::{Failure, SemanticDigest, TelemetryBundle};
use thiserror::Error;

use crate::state::{Resolution, TaskState};

/// A run's meaning: what a driver turns into an execution result.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RunOutcome {
    /// The root's output, or that of the task that stood in for it.
    pub final_output: Option<ValidatedOutput>,
    /// The first root cause in canonical order, if anything failed and nothing stood in for it (S10).
    pub failure: Option<Failure>,
    /// Every task's record, and the totals.
    pub telemetry_bundle: TelemetryBundle,
    /// Equal for equal meaning (S11).
    pub semantic_digest: SemanticDigest,
    /// Every task's own output, in canonical order.
    pub outputs: Vec<Option<ValidatedOutput>>,
}

impl RunOutcome {
    pub(crate) fn new(
        graph: &CheckedGraph,
        tasks: Vec<TaskState>,
        telemetry_bundle: TelemetryBundle,
    ) -> Self {
        let final_output = match tasks[graph.root().as_usize()].resolution {
            Resolution::By(by) => tasks[by.as_usize()].output.clone(),
            Resolution::Open | Resolution::Failed => None,
        };
        let failure = (graph.names().indices().zip(&tasks))
            .filter(|(_, state)| is_root_cause(state, &tasks))
            .find_map(|(index, _)| telemetry_bundle.failure(index).cloned());
        let outputs: Vec<_> = tasks.into_iter().map(|state| state.output).collect();
        let semantic_digest =
            SemanticDigest::of(graph.digest(), &telemetry_bundle, outputs.iter().map(Option::as_ref));
        Self { final_output, failure, telemetry_bundle, semantic_digest, outputs }
    }
}

/// Whether the task failed and nothing that counts stood in for it.
///
/// The first such task is a root cause: what fails for a dependency comes after that dependency, and after whatever
/// stood in for it.
fn is_root_cause(state: &TaskState, tasks: &[TaskState]) -> bool {
    let stood_in_for = match state.resolution {
        Resolution::By(by) => tasks[by.as_usize()].output.is_some(),
        Resolution::Open | Resolution::Failed => false,
    };
    state.failed.is_some() && !stood_in_for
}

/// A run that cannot be finished yet.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("{running} attempts are under way, and {settled} of {tasks} tasks have settled")]
#[non_exhaustive]
pub struct Unfinished {
    /// Attempts under way.
    pub running: usize,
    /// Tasks settled without a gap from the first.
    pub settled: usize,
    /// Tasks in all.
    pub tasks: usize,
}
