//! What KORA allows a task and a whole run to spend. Declared there, never here (C1.4), and never raised (I3).

use serde::Serialize;

/// The hard caps of one task (C7.2, C7.3, C7.4), over all its attempts together.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct TaskBudget {
    // Invariant: private and without setters, so nothing after the check can raise a cap (C2.2).
    pub(crate) max_tokens: u64,
    pub(crate) max_time_ms: u64,
    pub(crate) max_retries: u32,
}

impl TaskBudget {
    /// Generated tokens that all attempts together may use. 0 for tasks that call no model.
    pub fn max_tokens(&self) -> u64 {
        self.max_tokens
    }

    /// Milliseconds that all attempts and the waits between them may take.
    pub fn max_time_ms(&self) -> u64 {
        self.max_time_ms
    }

    /// Attempts allowed after the first.
    pub fn max_retries(&self) -> u32 {
        self.max_retries
    }
}

/// The caps of a whole run. `None` is a cap that KORA did not declare.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct GraphBudgets {
    // Invariant: as in `TaskBudget`.
    pub(crate) max_llm_calls: Option<u64>,
    pub(crate) max_cpu_units: Option<u64>,
    pub(crate) max_tokens: Option<u64>,
    pub(crate) max_latency_ms: Option<u64>,
}

impl GraphBudgets {
    /// Model invocations, each attempt counted.
    pub fn max_llm_calls(&self) -> Option<u64> {
        self.max_llm_calls
    }

    /// Executions of deterministic and aggregation tasks, each attempt counted.
    pub fn max_cpu_units(&self) -> Option<u64> {
        self.max_cpu_units
    }

    /// Generated tokens.
    pub fn max_tokens(&self) -> Option<u64> {
        self.max_tokens
    }

    /// Milliseconds from the start of the run to its end.
    pub fn max_latency_ms(&self) -> Option<u64> {
        self.max_latency_ms
    }
}
