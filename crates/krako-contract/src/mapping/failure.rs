//! Krako's failures and stop reasons, and KORA's five categories (C9.1).

use kora_ir::CheckedGraph;
use telemetry::{Breach, Budgeted, Failure, FailureCategory};

use crate::failure::Remark;
use crate::{BreachDetail, Cap, ErrorCategory, InvalidWireName, StopReason, UnitFailure, WorkUnitId};

/// A category as a fabric writes it.
pub fn error_category(category: FailureCategory) -> ErrorCategory {
    match category {
        FailureCategory::ValidationError => ErrorCategory::ValidationError,
        FailureCategory::Timeout => ErrorCategory::Timeout,
        FailureCategory::BudgetBreach => ErrorCategory::BudgetBreach,
        FailureCategory::DependencyFailure => ErrorCategory::DependencyFailure,
        FailureCategory::ExecutionFailure => ErrorCategory::ExecutionFailure,
    }
}

/// A category as KORA has it.
pub fn category(category: ErrorCategory) -> FailureCategory {
    match category {
        ErrorCategory::ValidationError => FailureCategory::ValidationError,
        ErrorCategory::Timeout => FailureCategory::Timeout,
        ErrorCategory::BudgetBreach => FailureCategory::BudgetBreach,
        ErrorCategory::DependencyFailure => FailureCategory::DependencyFailure,
        ErrorCategory::ExecutionFailure => FailureCategory::ExecutionFailure,
    }
}

/// Why a session stops whose first root cause this is.
pub fn stop_reason(failure: Option<&UnitFailure>) -> StopReason {
    match failure {
        None => StopReason::Success,
        Some(failure) if failure.retries_exhausted => StopReason::RetryExhausted,
        Some(failure) => match failure.error_type {
            ErrorCategory::ValidationError => StopReason::ValidationFailed,
            ErrorCategory::Timeout | ErrorCategory::BudgetBreach => StopReason::BudgetExhausted,
            ErrorCategory::DependencyFailure => StopReason::DependencyFailed,
            ErrorCategory::ExecutionFailure => StopReason::SubstrateFailure,
        },
    }
}

/// The categories that a failure can have in a session that stopped for this reason; none where nothing failed.
///
/// A rejected admission is a refusal, and no failure (C9.2).
pub fn categories(reason: StopReason) -> &'static [ErrorCategory] {
    match reason {
        StopReason::Success | StopReason::AdmissionRejected => &[],
        // Only these two are tried again (S8).
        StopReason::RetryExhausted => &[ErrorCategory::ValidationError, ErrorCategory::ExecutionFailure],
        StopReason::DependencyFailed => &[ErrorCategory::DependencyFailure],
        StopReason::BudgetExhausted => &[ErrorCategory::Timeout, ErrorCategory::BudgetBreach],
        StopReason::SubstrateFailure => &[ErrorCategory::ExecutionFailure],
        StopReason::ValidationFailed => &[ErrorCategory::ValidationError],
    }
}

fn cap(cap: Budgeted) -> Cap {
    match cap {
        Budgeted::TaskTokens => Cap::TaskTokens,
        Budgeted::TaskTime => Cap::TaskTime,
        Budgeted::GraphTokens => Cap::GraphTokens,
        Budgeted::GraphLlmCalls => Cap::GraphLlmCalls,
        Budgeted::GraphCpuUnits => Cap::GraphCpuUnits,
        Budgeted::GraphLatency => Cap::GraphLatency,
    }
}

fn budgeted(cap: Cap) -> Budgeted {
    match cap {
        Cap::TaskTokens => Budgeted::TaskTokens,
        Cap::TaskTime => Budgeted::TaskTime,
        Cap::GraphTokens => Budgeted::GraphTokens,
        Cap::GraphLlmCalls => Budgeted::GraphLlmCalls,
        Cap::GraphCpuUnits => Budgeted::GraphCpuUnits,
        Cap::GraphLatency => Budgeted::GraphLatency,
    }
}

/// A failure of KORA's as a fabric writes it. A message beyond what the wire takes is cut.
///
/// # Errors
///
/// [`InvalidWireName`] if the graph was checked with limits that allow longer ids than the wire has.
pub fn unit_failure(failure: &Failure) -> Result<UnitFailure, InvalidWireName> {
    Ok(UnitFailure {
        error_type: error_category(failure.error_type),
        work_unit_id: WorkUnitId::new(failure.task_id.as_str())?,
        message: Remark::new(&failure.message),
        breach: failure.breach.map(|breach| BreachDetail {
            cap: cap(breach.cap),
            declared: breach.declared,
            used: breach.used,
        }),
        retries_exhausted: failure.retries_exhausted,
    })
}

/// A failure that a fabric tells, as KORA has it. `None` if the graph has no such task.
pub fn failure(graph: &CheckedGraph, told: &UnitFailure) -> Option<Failure> {
    let index = graph.index_of(told.work_unit_id.as_str())?;
    Some(Failure {
        error_type: category(told.error_type),
        task_id: graph.task(index).id.clone(),
        message: told.message.as_str().to_owned(),
        breach: told.breach.map(|breach| Breach {
            cap: budgeted(breach.cap),
            declared: breach.declared,
            used: breach.used,
        }),
        retries_exhausted: told.retries_exhausted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::graph;

    // shows C9.1
    #[test]
    fn every_category_and_cap_has_one_word_on_both_sides() {
        for &told in ErrorCategory::ALL {
            assert_eq!(error_category(category(told)), told);
            assert_eq!(category(told).as_str(), told.as_str());
        }
        for &told in Cap::ALL {
            assert_eq!(cap(budgeted(told)), told);
            assert_eq!(budgeted(told).as_str(), told.as_str());
        }
    }

    // shows C9.1, C9.2
    #[test]
    fn every_failure_stops_a_session_for_a_reason_that_allows_it() {
        let graph = graph();
        for &error_type in ErrorCategory::ALL {
            for retries_exhausted in [false, true] {
                let told = UnitFailure {
                    error_type,
                    work_unit_id: WorkUnitId::new(graph.task(graph.root()).id.as_str()).unwrap(),
                    message: Remark::new("why"),
                    breach: Some(BreachDetail { cap: Cap::TaskTime, declared: 1, used: 2 }),
                    retries_exhausted,
                };
                let kora = failure(&graph, &told).unwrap();
                assert_eq!(unit_failure(&kora).unwrap(), told);
                let retryable = categories(StopReason::RetryExhausted).contains(&error_type);
                if !retries_exhausted || retryable {
                    assert!(categories(stop_reason(Some(&told))).contains(&error_type));
                }
            }
        }
        assert_eq!(stop_reason(None), StopReason::Success);
        let reached: Vec<_> =
            StopReason::ALL.iter().filter(|reason| !categories(**reason).is_empty()).collect();
        assert_eq!(reached.len(), 5);
    }

    #[test]
    fn a_failure_of_no_task_is_none() {
        let told = UnitFailure {
            error_type: ErrorCategory::Timeout,
            work_unit_id: WorkUnitId::new("nobody").unwrap(),
            message: Remark::default(),
            breach: None,
            retries_exhausted: false,
        };
        assert_eq!(failure(&graph(), &told), None);
    }
}
