//! What follows from the cases' verdicts: counts, clauses, conformance. The runner writes it and `verify` redoes it.

use std::collections::BTreeMap;

use super::{CaseReport, ClauseReport, Measure};
use crate::registry::Registry;
use crate::verdict::{Conformance, Verdict};

/// How many cases have each verdict, by its word. Verdicts that no case has are listed with 0.
pub(crate) fn counts(cases: &[CaseReport]) -> BTreeMap<String, u32> {
    let mut counts: BTreeMap<String, u32> =
        Verdict::ALL.into_iter().map(|verdict| (verdict.as_str().to_owned(), 0)).collect();
    for case in cases {
        *counts.entry(case.verdict.as_str().to_owned()).or_default() += 1;
    }
    counts
}

/// Every clause of `registry`, with the worst verdict of its scored cases.
pub(crate) fn clauses(registry: &Registry, cases: &[CaseReport]) -> Vec<ClauseReport> {
    let report = |clause: &crate::registry::Clause| {
        let observing = || cases.iter().filter(|case| case.clauses.contains(&clause.id));
        ClauseReport {
            id: clause.id.clone(),
            text: clause.text.clone(),
            verdict: worst(observing().filter(|case| case.scored).map(|case| case.verdict)),
            cases: observing().map(|case| case.id.clone()).collect(),
        }
    };
    registry.clauses().iter().map(report).collect()
}

/// The verdict over all scored cases. Who asked for some only cannot have all, and who ran nothing has shown nothing:
/// a backend that refuses every graph keeps each promise and is none.
pub(crate) fn conformance(
    cases: &[CaseReport],
    measures: &BTreeMap<String, Measure>,
    only: Option<&str>,
) -> Conformance {
    let ran =
        measures.values().any(|measure| measure.deterministic_tasks > 0 || measure.model_invocations > 0);
    let of_scored = Conformance::of(cases.iter().filter(|case| case.scored).map(|case| case.verdict));
    match of_scored {
        Conformance::Conformant if only.is_some() || !ran => Conformance::Incomplete,
        Conformance::Conformant | Conformance::NotConformant | Conformance::Incomplete => of_scored,
    }
}

/// The verdict that says most about what is wrong.
pub(crate) fn worst(verdicts: impl IntoIterator<Item = Verdict>) -> Option<Verdict> {
    verdicts.into_iter().max_by_key(|verdict| badness(*verdict))
}

/// 0 for a case that does not apply, the more the worse.
pub(crate) fn badness(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::NotApplicable => 0,
        Verdict::Pass => 1,
        Verdict::NotRun => 2,
        Verdict::Inconclusive => 3,
        Verdict::HarnessError => 4,
        Verdict::Untestable => 5,
        Verdict::Fail => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_clause_is_as_good_as_its_worst_scored_case() {
        assert_eq!(worst([]), None);
        assert_eq!(worst([Verdict::NotApplicable, Verdict::Pass]), Some(Verdict::Pass));
        assert_eq!(worst([Verdict::Fail, Verdict::Untestable, Verdict::Pass]), Some(Verdict::Fail));

        let mut report = sample::report();
        let of = |cases: &[CaseReport], id: &str| {
            clauses(Registry::load(), cases).into_iter().find(|clause| clause.id == id).unwrap()
        };
        assert_eq!(of(&report.cases, "C7.3").verdict, Some(Verdict::Fail));
        report.cases.iter_mut().for_each(|case| case.scored = false);
        let unscored = of(&report.cases, "C7.3");
        assert_eq!((unscored.verdict, unscored.cases.is_empty()), (None, false));
    }

    #[test]
    fn a_filtered_run_is_never_conformant() {
        let mut cases = sample::report().cases;
        cases.retain(|case| case.verdict == Verdict::Pass);
        let measures = sample::report().measures;
        assert_eq!(conformance(&cases, &measures, None), Conformance::Conformant);
        assert_eq!(conformance(&cases, &measures, Some("C7.3")), Conformance::Incomplete);
    }

    #[test]
    fn who_refuses_everything_is_not_conformant() {
        let mut cases = sample::report().cases;
        cases.retain(|case| case.verdict == Verdict::Pass);
        assert_eq!(conformance(&cases, &BTreeMap::new(), None), Conformance::Incomplete);
    }

    #[test]
    fn every_verdict_is_counted() {
        let counts = counts(&sample::report().cases);
        assert_eq!(counts.len(), Verdict::ALL.len());
        assert_eq!(counts.values().sum::<u32>() as usize, sample::report().cases.len());
    }
}
