//! What is reported of a whole run (C8.2).

use serde::Serialize;

use crate::Stage;
use crate::entry::Entry;

/// The run's totals. Computed from its records and from nothing else, so they cannot disagree (I5).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Totals {
    /// Prompt and generated tokens.
    pub total_tokens: u64,
    /// Milliseconds from the start of the run to its end.
    pub total_latency_ms: u64,
    /// Attempts that invoked a model.
    pub model_invocation_count: u64,
    /// Tasks that were executed without a model.
    pub deterministic_task_count: u64,
}

impl Totals {
    pub(crate) fn of(entries: &[Entry], invocations: u64, total_latency_ms: u64) -> Self {
        let mut totals = Self { total_latency_ms, model_invocation_count: invocations, ..Self::default() };
        for entry in entries {
            totals.total_tokens =
                totals.total_tokens.saturating_add(entry.tokens_in).saturating_add(entry.tokens_out);
            let executed = entry
                .stages
                .iter()
                .any(|stage| matches!(stage, Stage::DeterministicExecution | Stage::Aggregation));
            totals.deterministic_task_count += u64::from(executed);
        }
        totals
    }
}
