//! What the exit code says: one number for each way to end.

use std::process::ExitCode;

use backend_api::{FailureCategory, Refusal};

/// How the command ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    /// What was asked for was done.
    Success,
    /// A bug, or an output that could not be written.
    Internal,
    /// Arguments, files or a configuration that cannot be used.
    Usage,
    /// The run failed, in one of the five categories (C9.1).
    Failed(FailureCategory),
    /// Refused: the graph breaks a rule.
    InvalidGraph,
    /// Refused: another MAJOR version (C10.3).
    VersionMismatch,
    /// Refused: the backend cannot do what the graph needs (C3.7).
    BeyondCapabilities,
    /// Refused: the backend takes no run now.
    Unavailable,
    /// Refused: the backend does not know or allow the caller.
    Unauthenticated,
    /// A backend or a report is not as the contract says.
    NotConformant,
    /// Not everything that counts has a verdict.
    Incomplete,
    /// A model's weights are not here, not as they should be, or cannot be fetched.
    Weights,
    /// Somebody pressed Ctrl-C.
    Interrupted,
}

/// The table of exit codes, as `--help` shows it.
pub(crate) const TABLE: &str = "\
Exit codes:
    0  success
    1  internal error, or the output cannot be written
    2  usage: arguments, a file or a configuration that cannot be used
   10  the run failed: VALIDATION_ERROR, an output broke its schema
   11  the run failed: TIMEOUT, a task's own time ran out
   12  the run failed: BUDGET_BREACH, tokens or a budget of the graph ran out
   13  the run failed: DEPENDENCY_FAILURE
   14  the run failed: EXECUTION_FAILURE, an operation or a model failed
   20  refused: the graph is invalid
   21  refused: version mismatch
   22  refused: the graph needs more than the backend offers
   23  refused: the backend is unavailable
   24  refused: not authenticated
   30  not conformant: a case failed, or a gate is closed
   31  incomplete: not every case that counts has a verdict
   40  a model's weights are not here, not as they should be, or cannot be fetched
  130  interrupted by Ctrl-C; the run was cancelled";

impl Exit {
    /// The number that the shell sees.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Internal => 1,
            Self::Usage => 2,
            Self::Failed(FailureCategory::ValidationError) => 10,
            Self::Failed(FailureCategory::Timeout) => 11,
            Self::Failed(FailureCategory::BudgetBreach) => 12,
            Self::Failed(FailureCategory::DependencyFailure) => 13,
            Self::Failed(FailureCategory::ExecutionFailure) => 14,
            Self::InvalidGraph => 20,
            Self::VersionMismatch => 21,
            Self::BeyondCapabilities => 22,
            Self::Unavailable => 23,
            Self::Unauthenticated => 24,
            Self::NotConformant => 30,
            Self::Incomplete => 31,
            Self::Weights => 40,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<&Refusal> for Exit {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::VersionMismatch(_) => Self::VersionMismatch,
            Refusal::InvalidGraph(invalid) if invalid.is_version_mismatch() => Self::VersionMismatch,
            Refusal::InvalidGraph(_) => Self::InvalidGraph,
            // The context is made here, so the caller asked for a backend that there is not.
            Refusal::BeyondCapabilities(_) | Refusal::WrongBackend { .. } => Self::BeyondCapabilities,
            Refusal::Unauthenticated(_) => Self::Unauthenticated,
            Refusal::Unavailable { .. } => Self::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // shows C9.1
    #[test]
    fn every_code_stands_in_the_table_that_help_shows() {
        let codes = [
            Exit::Success,
            Exit::Internal,
            Exit::Usage,
            Exit::Failed(FailureCategory::ValidationError),
            Exit::Failed(FailureCategory::Timeout),
            Exit::Failed(FailureCategory::BudgetBreach),
            Exit::Failed(FailureCategory::DependencyFailure),
            Exit::Failed(FailureCategory::ExecutionFailure),
            Exit::InvalidGraph,
            Exit::VersionMismatch,
            Exit::BeyondCapabilities,
            Exit::Unavailable,
            Exit::Unauthenticated,
            Exit::NotConformant,
            Exit::Incomplete,
            Exit::Weights,
            Exit::Interrupted,
        ]
        .map(|exit| {
            if let Exit::Failed(category) = exit {
                let line = format!("{:>5}  the run failed: {}", exit.code(), category.as_str());
                assert!(TABLE.contains(&line), "{line}");
            }
            exit.code()
        });
        let rows: Vec<u8> = TABLE
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().next().unwrap_or_default().parse().unwrap())
            .collect();
        assert_eq!(rows, codes);
        let guide = include_str!("../../../docs/guides/run-a-graph.md");
        for code in codes {
            assert!(guide.contains(&format!("\n| {code} | ")), "the guide does not tell {code}");
        }
    }
}
