//! What an attempt means for its task: an output, another attempt, or a failure (C2.3, C4.3).

use kora_ir::{Task, ValidatedOutput};
use telemetry::{Breach, Budgeted, Failure, FailureCategory};

use crate::fact::{AttemptOutcome, AttemptReport};
use crate::ledger::{Allowance, RunCap, Shared};

/// What a task has spent so far, this attempt included.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Spent {
    pub(crate) tokens: u64,
    /// Attempts and the waits between them.
    pub(crate) time_us: u64,
}

impl Spent {
    pub(crate) const NOTHING: Self = Self { tokens: 0, time_us: 0 };
}

/// What follows from an attempt.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    Output(ValidatedOutput),
    /// Another attempt is allowed and affordable; the failure is why it is needed.
    Retry(Failure),
    Failed(Failure),
}

/// Judges an attempt. Spending comes first: an output that cost too much is never looked at (I3, C7.6).
pub(crate) fn judge(
    task: &Task,
    report: AttemptReport,
    spent: Spent,
    allowance: Allowance,
    used_before: impl Fn(Shared) -> Option<RunCap>,
) -> Verdict {
    let failure = |error_type, message, breach| Failure {
        error_type,
        task_id: task.id.clone(),
        message,
        breach,
        retries_exhausted: false,
    };
    let out_of_tokens = || {
        let breach = token_breach(task, spent, allowance, used_before(Shared::Tokens));
        let message = format!("{} of {} tokens used ({})", breach.used, breach.declared, breach.cap.as_str());
        failure(FailureCategory::BudgetBreach, message, Some(breach))
    };
    let out_of_time = || {
        let breach = time_breach(task, spent);
        let message = format!("{} ms of {} ms used", breach.used, breach.declared);
        failure(FailureCategory::Timeout, message, Some(breach))
    };

    if spent.tokens > allowance.tokens || matches!(report.outcome, AttemptOutcome::TokensExhausted) {
        return Verdict::Failed(out_of_tokens());
    }
    if is_over_time(task, spent) || matches!(report.outcome, AttemptOutcome::TimedOut) {
        return Verdict::Failed(out_of_time());
    }
    let (because, retryable) = match report.outcome {
        AttemptOutcome::Output(output) => return Verdict::Output(output),
        AttemptOutcome::SchemaMismatch(mismatch) => {
            (failure(FailureCategory::ValidationError, mismatch.to_string(), None), true)
        }
        AttemptOutcome::Failed { message, transient } => {
            (failure(FailureCategory::ExecutionFailure, message, None), transient)
        }
        AttemptOutcome::TimedOut | AttemptOutcome::TokensExhausted | AttemptOutcome::Cancelled => {
            (failure(FailureCategory::ExecutionFailure, String::from("stopped"), None), false)
        }
    };
    let max_retries = task.budget.max_retries();
    if !retryable {
        return Verdict::Failed(because);
    }
    if report.attempt >= max_retries {
        return Verdict::Failed(Failure { retries_exhausted: max_retries > 0, ..because });
    }
    // A retry is allowed. Can it be afforded?
    if u64::from(report.attempt) + 1 >= allowance.attempts {
        let shared = if task.task_type.is_model() { Shared::LlmCalls } else { Shared::CpuUnits };
        let breach = used_before(shared).map(|before| used_up(before, allowance.attempts));
        let message = format!("nothing is left for a retry; before that: {}", because.message);
        return Verdict::Failed(failure(FailureCategory::BudgetBreach, message, breach));
    }
    if task.task_type.is_model() && spent.tokens >= allowance.tokens {
        return Verdict::Failed(out_of_tokens());
    }
    if time_left_us(task, spent) == 0 {
        return Verdict::Failed(out_of_time());
    }
    Verdict::Retry(because)
}

/// Microseconds that the task may still take.
pub(crate) fn time_left_us(task: &Task, spent: Spent) -> u64 {
    task.budget.max_time_ms().saturating_mul(1000).saturating_sub(spent.time_us)
}

/// The task's time as a breach.
pub(crate) fn time_breach(task: &Task, spent: Spent) -> Breach {
    let used = spent.time_us.div_ceil(1000);
    Breach { cap: Budgeted::TaskTime, declared: task.budget.max_time_ms(), used }
}

fn is_over_time(task: &Task, spent: Spent) -> bool {
    spent.time_us > task.budget.max_time_ms().saturating_mul(1000)
}

/// The tokens as a breach, of whichever cap is the tighter one.
fn token_breach(task: &Task, spent: Spent, allowance: Allowance, before: Option<RunCap>) -> Breach {
    let declared = task.budget.max_tokens();
    match before {
        Some(before) if allowance.tokens < declared => used_up(before, spent.tokens),
        Some(_) | None => Breach { cap: Budgeted::TaskTokens, declared, used: spent.tokens },
    }
}

fn used_up(before: RunCap, here: u64) -> Breach {
    Breach { cap: before.cap, declared: before.declared, used: before.used.saturating_add(here) }
}
