//! Verdicts: what came of a case, and of a whole run of the suite.

use serde::{Deserialize, Serialize};

/// What came of a case.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "the report's schema lists them")]
pub enum Verdict {
    /// The clauses hold as far as the case sees.
    Pass,
    /// A clause does not hold.
    Fail,
    /// The backend declares that it lacks what the case needs, and the contract lets it (C3.7).
    NotApplicable,
    /// The backend declares what the case needs and gives the suite no way to see it. Counts as red.
    Untestable,
    /// The machine was too slow to tell. Makes the run incomplete, so that it hides nothing.
    Inconclusive,
    /// Not selected, or the run ended before.
    NotRun,
    /// The suite's own fault.
    HarnessError,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 7] = [
        Self::Pass,
        Self::Fail,
        Self::NotApplicable,
        Self::Untestable,
        Self::Inconclusive,
        Self::NotRun,
        Self::HarnessError,
    ];

    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::NotApplicable => "not_applicable",
            Self::Untestable => "untestable",
            Self::Inconclusive => "inconclusive",
            Self::NotRun => "not_run",
            Self::HarnessError => "harness_error",
        }
    }
}

/// What came of a run of the suite.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "the report's schema lists them")]
pub enum Conformance {
    /// Every scored case of the profile passed or does not apply, and at least one passed.
    Conformant,
    /// A scored case failed or is untestable. Known failures count.
    NotConformant,
    /// Not every scored case has a verdict: a filter, an inconclusive case, or the suite's own fault.
    Incomplete,
}

impl Conformance {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Conformant => "conformant",
            Self::NotConformant => "not_conformant",
            Self::Incomplete => "incomplete",
        }
    }

    /// The verdict on the verdicts of all scored cases.
    pub fn of(scored: impl IntoIterator<Item = Verdict>) -> Self {
        let (mut passed, mut failed, mut open) = (0_u32, 0_u32, 0_u32);
        for verdict in scored {
            match verdict {
                Verdict::Pass => passed += 1,
                Verdict::Fail | Verdict::Untestable => failed += 1,
                Verdict::NotApplicable => {}
                Verdict::Inconclusive | Verdict::NotRun | Verdict::HarnessError => open += 1,
            }
        }
        if failed > 0 {
            Self::NotConformant
        } else if open > 0 || passed == 0 {
            Self::Incomplete
        } else {
            Self::Conformant
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_passed_is_never_conformant() {
        assert_eq!(Conformance::of([]), Conformance::Incomplete);
        assert_eq!(Conformance::of([Verdict::NotApplicable; 3]), Conformance::Incomplete);
    }

    #[test]
    fn an_open_case_hides_no_failure_and_no_failure_hides_behind_it() {
        assert_eq!(Conformance::of([Verdict::Pass, Verdict::NotRun]), Conformance::Incomplete);
        assert_eq!(Conformance::of([Verdict::Fail, Verdict::NotRun]), Conformance::NotConformant);
        assert_eq!(Conformance::of([Verdict::Pass, Verdict::Untestable]), Conformance::NotConformant);
        assert_eq!(Conformance::of([Verdict::Pass, Verdict::NotApplicable]), Conformance::Conformant);
    }
}
