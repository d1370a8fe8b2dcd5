//! Known failures: excuses with a reason and an end, which never turn a verdict.

use std::collections::BTreeSet;

use serde::Deserialize;
use thiserror::Error;
use toml::Spanned;

use crate::day::Day;
use crate::report::{CaseReport, Known, Report, plain};
use crate::verdict::Verdict;

/// Entries of one file: whoever needs more has no known failures but an unfinished backend.
const MAX_ENTRIES: usize = 1000;

/// A file of known failures, read.
///
/// ```
/// let known = conformance::KnownFailures::parse(
///     r#"
///     [[known]]
///     case = "C7.3-two-retries"
///     reason = "the attempt that was cut off is not counted"
///     issue = "https://tracker.example/backend/7"
///     expires = 2026-12-31
///     ## How the failure begins, so that another one of the same case is told apart. Optional.
///     message = "C7.3 at /seen/count"
///     "#,
/// );
/// assert_eq!(known.map(|known| known.entries().len()), Ok(1));
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KnownFailures {
    // Invariant: each case at most once.
    entries: Vec<KnownFailure>,
}

/// One of them.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the members of the file format")]
pub struct KnownFailure {
    /// Which case fails.
    pub case: String,
    /// Why.
    pub reason: String,
    /// Where that is followed up.
    pub issue: String,
    /// The last day on which this is an excuse.
    pub expires: Day,
    /// How the failure begins, as [`Finding::summary`](crate::Finding::summary) has it. Another failure is not known.
    pub message: Option<String>,
}

/// What is wrong with a file of known failures, or with one of its entries.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum KnownFault {
    /// Not TOML of this form.
    #[error("{0}")]
    Unreadable(String),
    /// Too many.
    #[error("has {0} entries; at most {MAX_ENTRIES} can be known")]
    TooMany(usize),
    /// An entry that would excuse what nobody has seen.
    #[error("line {line}: `{case}` has a wildcard: name each case, so that each has its reason")]
    Wildcard {
        /// Where, counted from 1.
        line: usize,
        /// What it names.
        case: String,
    },
    /// A member that says nothing.
    #[error("line {line}: `{member}` is blank")]
    Blank {
        /// Where, counted from 1.
        line: usize,
        /// Which member.
        member: &'static str,
    },
    /// Two entries for one case.
    #[error("line {line}: `{case}` has an entry already")]
    Twice {
        /// Where, counted from 1.
        line: usize,
        /// The case.
        case: String,
    },
    /// No such case.
    #[error("`{0}` is no case of this suite: take the entry out")]
    UnknownCase(String),
    /// The day is past.
    #[error("`{case}` was excused until {expires}: mend it, or give the reason anew")]
    Expired {
        /// The case.
        case: String,
        /// The last day.
        expires: Day,
    },
    /// There is nothing to excuse.
    #[error("`{case}` {}: take the entry out", .verdict.in_words())]
    NotFailing {
        /// The case.
        case: String,
        /// What came of it.
        verdict: Verdict,
    },
    /// It fails, but not like that.
    #[error("`{case}` fails otherwise than known: `{got}` does not begin with `{expected}`")]
    FailsOtherwise {
        /// The case.
        case: String,
        /// How the entry says that it begins.
        expected: String,
        /// How it does.
        got: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    known: Vec<Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    case: String,
    reason: String,
    issue: String,
    expires: Day,
    message: Option<String>,
}

impl KnownFailures {
    /// Reads a file: `[[known]]` with `case`, `reason`, `issue`, `expires` and, if wanted, `message`.
    ///
    /// # Errors
    ///
    /// Every entry that cannot be taken.
    pub fn parse(text: &str) -> Result<Self, Vec<KnownFault>> {
        let file: File =
            toml::from_str(text).map_err(|error| vec![KnownFault::Unreadable(error.to_string())])?;
        if file.known.len() > MAX_ENTRIES {
            return Err(vec![KnownFault::TooMany(file.known.len())]);
        }
        let (mut faults, mut cases, mut entries) = (Vec::new(), BTreeSet::new(), Vec::new());
        for entry in file.known {
            let start = entry.span().start.min(text.len());
            let line = 1 + text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count();
            let Entry { case, reason, issue, expires, message } = entry.into_inner();
            let case_shown = || plain::line(&case, plain::NAME);
            for (member, text) in [("case", &case), ("reason", &reason), ("issue", &issue)] {
                if text.trim().is_empty() {
                    faults.push(KnownFault::Blank { line, member });
                }
            }
            // A beginning of no length begins everything.
            if message.as_ref().is_some_and(|message| message.trim().is_empty()) {
                faults.push(KnownFault::Blank { line, member: "message" });
            }
            if case.contains(['*', '?', '[', ']', '{', '}']) {
                faults.push(KnownFault::Wildcard { line, case: case_shown() });
            }
            if !cases.insert(case.clone()) {
                faults.push(KnownFault::Twice { line, case: case_shown() });
            }
            entries.push(KnownFailure { case, reason, issue, expires, message });
        }
        if faults.is_empty() { Ok(Self { entries }) } else { Err(faults) }
    }

    /// Every entry, in the file's order.
    pub fn entries(&self) -> &[KnownFailure] {
        &self.entries
    }

    /// Marks those failures of `report` that are known and no others, seals it anew, and tells which entries are themselves at fault.
    ///
    /// No verdict changes. A case that was not run, or of which nothing could be told, makes no entry stale.
    pub fn apply(&self, report: &mut Report, today: Day) -> Vec<KnownFault> {
        let mut faults = Vec::new();
        for case in &mut report.cases {
            case.known = None;
        }
        for entry in &self.entries {
            let Some(case) = report.cases.iter_mut().find(|case| case.id == entry.case) else {
                faults.push(KnownFault::UnknownCase(plain::line(&entry.case, plain::NAME)));
                continue;
            };
            let fault = match case.verdict {
                Verdict::NotRun | Verdict::Inconclusive | Verdict::HarnessError => continue,
                Verdict::Pass | Verdict::NotApplicable => {
                    Some(KnownFault::NotFailing { case: entry.case.clone(), verdict: case.verdict })
                }
                Verdict::Fail | Verdict::Untestable => entry.fault(case, today),
            };
            case.known = Some(Known {
                reason: format!("{} ({})", entry.reason, entry.issue),
                expires: entry.expires.to_string(),
                stale: fault.is_some(),
            });
            faults.extend(fault);
        }
        report.seal();
        faults
    }
}

impl KnownFailure {
    /// Why it does not excuse a case that fails.
    fn fault(&self, case: &CaseReport, today: Day) -> Option<KnownFault> {
        if today > self.expires {
            return Some(KnownFault::Expired { case: self.case.clone(), expires: self.expires });
        }
        let got = case.what_is_wrong();
        let expected = self.message.as_ref().filter(|message| !got.starts_with(message.as_str()))?;
        let expected = plain::line(expected, plain::VALUE);
        Some(KnownFault::FailsOtherwise { case: self.case.clone(), expected, got })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    const ENTRY: &str = "[[known]]\ncase = \"C7.3-always-bad\"\nreason = \"off by one\"\n\
        issue = \"https://example.org/7\"\nexpires = 2026-06-30\n";

    fn parse(text: &str) -> Result<KnownFailures, Vec<String>> {
        KnownFailures::parse(text).map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    #[track_caller]
    fn refused(text: &str, expected: &[&str]) {
        let faults = parse(text).unwrap_err();
        assert_eq!(faults.len(), expected.len(), "{faults:#?}");
        for (fault, expected) in faults.iter().zip(expected) {
            assert!(fault.contains(expected), "{fault:?} does not say {expected:?}");
        }
    }

    fn applied(text: &str, today: &str) -> (Report, Vec<String>) {
        let mut report = sample::report();
        let faults = parse(text).unwrap().apply(&mut report, today.parse().unwrap());
        (report, faults.iter().map(ToString::to_string).collect())
    }

    fn known(report: &Report, case: &str) -> Option<Known> {
        report.cases.iter().find(|known| known.id == case).unwrap().known.clone()
    }

    #[test]
    fn an_excuse_names_a_case_a_reason_a_place_and_an_end() {
        assert_eq!(parse(ENTRY).unwrap().entries().len(), 1);
        assert_eq!(parse("").unwrap(), KnownFailures::default());
        refused(&ENTRY.replace("issue", "isue"), &["unknown field `isue`"]);
        refused(&ENTRY.replace("2026-06-30", "\"later\""), &["is no day of the calendar"]);
        refused(&ENTRY.replace("off by one", " "), &["line 1: `reason` is blank"]);
        refused(&ENTRY.replace("expires = 2026-06-30\n", ""), &["missing field `expires`"]);
        refused(&format!("{ENTRY}message = \"\""), &["`message` is blank"]);
    }

    #[test]
    fn wildcards_and_second_entries_are_refused_with_their_line() {
        refused(&ENTRY.replace("always-bad", "*"), &["line 1: `C7.3-*` has a wildcard"]);
        refused(&format!("{ENTRY}\n{ENTRY}"), &["line 7: `C7.3-always-bad` has an entry already"]);
    }

    #[test]
    fn a_known_failure_is_still_a_failure() {
        let before = sample::report();
        let (report, faults) = applied(ENTRY, "2026-06-30");
        assert_eq!(faults, [""; 0]);
        let known = known(&report, "C7.3-always-bad").unwrap();
        assert!(!known.stale && known.reason.contains("off by one (https://example.org/7)"));
        assert_eq!((report.conformance, &report.counts), (before.conformance, &before.counts));
        assert_ne!(report.digest, before.digest);
        let mut again = report.clone();
        again.seal();
        assert_eq!(again, report);
    }

    #[test]
    fn an_entry_that_excuses_nothing_is_a_fault() {
        let (report, faults) = applied(ENTRY, "2026-07-01");
        assert!(faults[0].contains("was excused until 2026-06-30"), "{faults:?}");
        assert!(known(&report, "C7.3-always-bad").unwrap().stale);

        let (report, faults) = applied(&ENTRY.replace("C7.3-always-bad", "C2.1-three-times"), "2026-01-01");
        assert_eq!(faults, ["`C2.1-three-times` passed: take the entry out"]);
        assert!(known(&report, "C2.1-three-times").unwrap().stale);

        let (_, faults) = applied(&ENTRY.replace("C7.3-always-bad", "C7.3-gone"), "2026-01-01");
        assert_eq!(faults, ["`C7.3-gone` is no case of this suite: take the entry out"]);
    }

    #[test]
    fn another_failure_of_the_same_case_is_not_known() {
        let like = |message: &str| format!("{ENTRY}message = \"{message}\"\n");
        assert_eq!(applied(&like("C7.3 at /seen/count"), "2026-01-01").1, [""; 0]);
        let (report, faults) = applied(&like("C7.3 at /status"), "2026-01-01");
        assert!(faults[0].contains("fails otherwise than known"), "{faults:?}");
        assert!(known(&report, "C7.3-always-bad").unwrap().stale);
    }

    #[test]
    fn what_was_not_run_makes_no_entry_stale() {
        let (report, faults) = applied(&ENTRY.replace("C7.3-always-bad", "C9.2-closed"), "2027-01-01");
        assert_eq!((faults, known(&report, "C9.2-closed")), (Vec::new(), None));
    }
}
