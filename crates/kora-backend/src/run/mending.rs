//! What to do about a failure.

use backend_api::{Budgeted, Failure, FailureCategory};

/// How to mend it, in one sentence or two.
pub(super) fn advice(failure: &Failure) -> &'static str {
    if let Some(breach) = &failure.breach {
        return of_cap(breach.cap);
    }
    match failure.error_type {
        FailureCategory::ValidationError if failure.retries_exhausted => {
            "every allowed retry broke the schema too: make the prompt say what the schema asks, loosen the schema, or \
             declare an `escalation` edge on `schema_mismatch`"
        }
        FailureCategory::ValidationError => {
            "compare the task's `schema` with what its operation or model returns; for a model, `max_retries` allows \
             another try"
        }
        FailureCategory::Timeout => "raise the task's `budget.max_time_ms`, or give it less to do",
        FailureCategory::BudgetBreach => "raise the budget that ran out, or ask for less",
        FailureCategory::DependencyFailure => "mend the task upstream that failed first",
        FailureCategory::ExecutionFailure if failure.retries_exhausted => {
            "every allowed retry failed too: `kora-backend health` tells whether the model answers"
        }
        FailureCategory::ExecutionFailure => {
            "mend the task's `run` or its input as the message says; for a model, `kora-backend health` tells whether \
             it answers"
        }
    }
}

fn of_cap(cap: Budgeted) -> &'static str {
    match cap {
        Budgeted::TaskTokens => {
            "raise the task's `budget.max_tokens`, or make prompt and schema ask for a shorter reply"
        }
        Budgeted::TaskTime => "raise the task's `budget.max_time_ms`, or give it less to do",
        Budgeted::GraphTokens => {
            "raise `budgets.max_tokens` of the graph, or lower what the tasks before it may use"
        }
        Budgeted::GraphLlmCalls => "raise `budgets.max_llm_calls` of the graph, or allow fewer retries",
        Budgeted::GraphCpuUnits => "raise `budgets.max_cpu_units` of the graph, or allow fewer retries",
        Budgeted::GraphLatency => "raise `budgets.max_latency_ms` of the graph, or run more tasks at once",
    }
}
