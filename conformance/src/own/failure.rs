//! Why a task failed, as documents say it.

use serde_json::{Value, json};

use super::{Behaviour, Defect};

/// A failure of one task. The category is text, because a faulty backend may invent one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    pub(super) category: &'static str,
    pub(super) task: String,
    pub(super) message: String,
    pub(super) breach: Option<Breach>,
    pub(super) retries_exhausted: bool,
}

/// The cap that ended the work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Breach {
    pub(super) cap: &'static str,
    pub(super) declared: u64,
    pub(super) used: u64,
}

pub(super) const VALIDATION_ERROR: &str = "VALIDATION_ERROR";
pub(super) const TIMEOUT: &str = "TIMEOUT";
pub(super) const BUDGET_BREACH: &str = "BUDGET_BREACH";
pub(super) const DEPENDENCY_FAILURE: &str = "DEPENDENCY_FAILURE";
pub(super) const EXECUTION_FAILURE: &str = "EXECUTION_FAILURE";

impl Failure {
    pub(super) fn new(category: &'static str, task: &str, message: impl Into<String>) -> Self {
        Self {
            category,
            task: task.to_owned(),
            message: message.into(),
            breach: None,
            retries_exhausted: false,
        }
    }

    /// A failure because a cap was reached: `TIMEOUT` for a task's own time, else `BUDGET_BREACH` (C7.5).
    pub(super) fn breach(does: Behaviour, task: &str, breach: Breach) -> Self {
        let category = if breach.cap == "task.max_time_ms" { TIMEOUT } else { BUDGET_BREACH };
        let message = format!("{} of {} used ({})", breach.used, breach.declared, breach.cap);
        let failure = Self { breach: Some(breach), ..Self::new(category, task, message) };
        failure.told_wrongly(does)
    }

    /// The failure as some mutants tell it.
    fn told_wrongly(mut self, does: Behaviour) -> Self {
        let is_latency = self.breach.is_some_and(|breach| breach.cap == "graph.max_latency_ms");
        let is_timeout = self.category == TIMEOUT;
        let other_words = [
            (Defect::TimeoutIsExecutionFailure, is_timeout, EXECUTION_FAILURE),
            (Defect::TimeoutIsBreach, is_timeout, BUDGET_BREACH),
            (Defect::LatencyIsTimeout, is_latency, TIMEOUT),
            (Defect::BreachIsExecutionFailure, !is_timeout && !is_latency, EXECUTION_FAILURE),
        ];
        for (_, _, word) in other_words.iter().filter(|(defect, applies, _)| *applies && does.has(*defect)) {
            self.category = word;
        }
        match &mut self.breach {
            Some(breach) if does.has(Defect::BreachOfTheWrongCap) && breach.cap.starts_with("graph.") => {
                breach.cap = "task.max_tokens";
            }
            Some(breach) if does.has(Defect::BreachUsedNothing) => breach.used = 0,
            Some(_) if does.has(Defect::BreachWithoutDetail) => self.breach = None,
            Some(_) | None => {}
        }
        self
    }

    pub(super) fn document(&self) -> Value {
        let mut document =
            json!({"error_type": self.category, "task_id": self.task, "message": self.message});
        if let Some(Breach { cap, declared, used }) = self.breach {
            document["breach"] = json!({"cap": cap, "declared": declared, "used": used});
        }
        if self.retries_exhausted {
            document["retries_exhausted"] = json!(true);
        }
        document
    }
}
