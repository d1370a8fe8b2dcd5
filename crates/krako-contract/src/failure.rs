//! Why a unit or a session came to nothing, in Krako's words.

use serde::{Deserialize, Deserializer, Serialize};

use crate::WorkUnitId;
use crate::word::words;

words! {
    /// Why a session stopped.
    #[expect(clippy::exhaustive_enums, reason = "Krako publishes these seven")]
    pub enum StopReason {
        /// Nothing failed that was not stood in for.
        Success = "success",
        /// Every allowed retry was used.
        RetryExhausted = "retry_exhausted",
        /// Something upstream failed.
        DependencyFailed = "dependency_failed",
        /// Tokens, time or another budget ran out.
        BudgetExhausted = "budget_exhausted",
        /// The executor failed.
        SubstrateFailure = "substrate_failure",
        /// Nothing ran: a refusal, and no failure.
        AdmissionRejected = "admission_rejected",
        /// An output broke its schema.
        ValidationFailed = "validation_failed",
    }
}

words! {
    /// The five categories of KORA, as a fabric writes them (C9.1).
    #[expect(clippy::exhaustive_enums, reason = "contract §9 closes the set")]
    pub enum ErrorCategory {
        /// An output broke its schema, or an input could not be built.
        ValidationError = "VALIDATION_ERROR",
        /// The unit's own time ran out.
        Timeout = "TIMEOUT",
        /// Tokens or one of the session's budgets ran out.
        BudgetBreach = "BUDGET_BREACH",
        /// Something upstream failed.
        DependencyFailure = "DEPENDENCY_FAILURE",
        /// The executor failed.
        ExecutionFailure = "EXECUTION_FAILURE",
    }
}

words! {
    /// What ran out.
    #[expect(clippy::exhaustive_enums, reason = "KORA closes the set of budget fields")]
    pub enum Cap {
        /// Generated tokens of one unit.
        TaskTokens = "task.max_tokens",
        /// Milliseconds of one unit.
        TaskTime = "task.max_time_ms",
        /// Generated tokens of the session.
        GraphTokens = "graph.max_tokens",
        /// Model invocations of the session.
        GraphLlmCalls = "graph.max_llm_calls",
        /// Executions on `cpu` of the session.
        GraphCpuUnits = "graph.max_cpu_units",
        /// Milliseconds of the session.
        GraphLatency = "graph.max_latency_ms",
    }
}

/// A cap, what was declared, and what was used (C7.6).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "which, declared, used")]
pub struct BreachDetail {
    /// Which cap.
    pub cap: Cap,
    /// As declared, in the cap's unit.
    pub declared: u64,
    /// What had been used, in the same unit.
    pub used: u64,
}

/// Why a work unit settled without an output.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "as KORA's failures")]
pub struct UnitFailure {
    /// One of the five.
    pub error_type: ErrorCategory,
    /// The unit that failed.
    pub work_unit_id: WorkUnitId,
    /// What happened, for people. Holds no prompt and no output (I9).
    pub message: Remark,
    /// The cap that ran out, whichever category names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breach: Option<BreachDetail>,
    /// Whether every allowed retry was used (C7.3).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retries_exhausted: bool,
}

/// Words for people: at most [`Remark::MAX_BYTES`], no control characters. A longer text is cut, not refused.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(transparent))]
#[serde(transparent)]
pub struct Remark(String);

impl Remark {
    /// Bytes at most.
    pub const MAX_BYTES: usize = 2000;

    /// As much of `text` as fits.
    pub fn new(text: &str) -> Self {
        let mut kept = String::with_capacity(text.len().min(Self::MAX_BYTES));
        for char in text.chars().map(|char| if char.is_control() { ' ' } else { char }) {
            if kept.len() + char.len_utf8() > Self::MAX_BYTES - '…'.len_utf8() {
                kept.push('…');
                break;
            }
            kept.push(char);
        }
        Self(kept)
    }

    /// The words.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Remark {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::new(&text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_remark_is_short_and_shows_as_it_is(text in any::<String>(), times in 1_usize..200) {
            let remark = Remark::new(&text.repeat(times));
            prop_assert!(remark.as_str().len() <= Remark::MAX_BYTES);
            prop_assert!(!remark.as_str().chars().any(char::is_control));
            prop_assert_eq!(Remark::new(remark.as_str()), remark);
        }
    }
}
