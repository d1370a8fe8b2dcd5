//! What every rendered report shows, and how much of it: each renderer only writes it in its own language.

use std::collections::BTreeMap;

use super::{CaseReport, ClauseReport, Finding, Report, TimelineEntry, plain, words};
use crate::verdict::{Conformance, Verdict};

/// Findings of a case that are shown.
const FINDINGS: usize = 12;
/// Moments of a case's timeline that are shown.
const MOMENTS: usize = 60;
/// Lines of the smallest graph that shows a fault.
const MINIMAL_LINES: usize = 200;
/// Lines of a log that are shown.
const LOG_LINES: usize = 40;

impl Report {
    /// The cases that count against the backend, or would if they counted, the scored ones first.
    pub(crate) fn red(&self) -> Vec<&CaseReport> {
        let is_red = |case: &&CaseReport| matches!(case.verdict, Verdict::Fail | Verdict::Untestable);
        let mut red: Vec<&CaseReport> = self.cases.iter().filter(is_red).collect();
        red.sort_by_key(|case| !case.scored);
        red
    }

    /// The cases with `verdict`, those of one reason together.
    pub(crate) fn by_reason(&self, verdict: Verdict) -> BTreeMap<&str, Vec<&CaseReport>> {
        let mut reasons: BTreeMap<&str, Vec<&CaseReport>> = BTreeMap::new();
        for case in self.cases.iter().filter(|case| case.verdict == verdict) {
            reasons.entry(case.reason.as_deref().unwrap_or("no reason given")).or_default().push(case);
        }
        reasons
    }

    /// What a clause demands, in our words.
    pub(crate) fn rule(&self, clause: &str) -> &str {
        self.clauses.iter().find(|known| known.id == clause).map_or("", |known| &known.text)
    }

    /// How many cases have `verdict`.
    pub(crate) fn count(&self, verdict: Verdict) -> u32 {
        self.counts.get(verdict.as_str()).copied().unwrap_or(0)
    }

    /// Who was judged: name and version.
    pub(crate) fn who(&self) -> String {
        let name = match self.subject.name.trim() {
            "" => "a backend that gave no name",
            name => name,
        };
        let version = plain::line(&self.subject.version, plain::NAME);
        format!("{} {version}", plain::line(name, plain::NAME)).trim_end().to_owned()
    }

    /// As what, by whom, and from which seed.
    pub(crate) fn circumstances(&self) -> String {
        let only = self.only.as_deref().map_or_else(String::new, |only| {
            format!(", only what matches `{}`", plain::line(only, plain::NAME))
        });
        format!(
            "judged as {} over {} by suite {}, contract {}, seed {}{only}",
            plain::line(&self.profile, plain::NAME),
            plain::line(&self.subject.transport, plain::NAME).replace('_', " "),
            plain::line(&self.suite.version, plain::NAME),
            plain::line(&self.suite.contract_version, plain::NAME),
            self.seed
        )
    }
}

impl CaseReport {
    /// The findings that are shown, each once, and how many are not.
    pub(crate) fn shown_findings(&self) -> (Vec<&Finding>, usize) {
        let mut shown: Vec<&Finding> = Vec::new();
        for (looked_at, finding) in self.findings.iter().enumerate() {
            if shown.len() == FINDINGS {
                return (shown, self.findings.len() - looked_at);
            }
            if !shown.contains(&finding) {
                shown.push(finding);
            }
        }
        (shown, 0)
    }

    /// The moments that are shown, and how many are not. Of a long timeline those where claim and sight differ.
    pub(crate) fn shown_timeline(&self) -> (Vec<&TimelineEntry>, usize) {
        let all = self.timeline.len() <= MOMENTS;
        let shown: Vec<_> =
            self.timeline.iter().filter(|moment| all || moment.differs).take(MOMENTS).collect();
        let left_out = self.timeline.len() - shown.len();
        (shown, left_out)
    }

    /// The first lines of the smallest document that shows the fault, and how many are not shown.
    pub(crate) fn shown_minimal(&self) -> (Vec<String>, usize) {
        let Some(minimal) = &self.minimal else { return (Vec::new(), 0) };
        let text = serde_json::to_string_pretty(minimal).unwrap_or_default();
        let shown = text.lines().take(MINIMAL_LINES).map(|text| plain::line(text, plain::VALUE)).collect();
        (shown, text.lines().count().saturating_sub(MINIMAL_LINES))
    }

    /// The last lines of its log, and how many are not shown.
    pub(crate) fn shown_log(&self) -> (usize, Vec<String>) {
        plain::last_lines(self.log_tail.as_deref().unwrap_or_default(), LOG_LINES)
    }

    /// What is wrong, on one line.
    pub(crate) fn what_is_wrong(&self) -> String {
        match (self.findings.first(), &self.reason) {
            (Some(finding), _) => finding.summary(),
            (None, Some(reason)) => plain::line(reason, plain::TEXT),
            (None, None) => String::from(self.verdict.in_words()),
        }
    }

    /// Why a failure is known, on one line.
    pub(crate) fn known_in_words(&self) -> Option<String> {
        let known = self.known.as_ref()?;
        let stale = if known.stale { ", and the entry is stale" } else { "" };
        let (reason, expires) =
            (plain::line(&known.reason, plain::TEXT), plain::line(&known.expires, plain::NAME));
        Some(format!("{reason} (until {expires}{stale})"))
    }
}

impl ClauseReport {
    /// A sign and a word for what came of it.
    pub(crate) fn said(&self) -> (char, &'static str) {
        match self.verdict {
            Some(verdict) => (verdict.sign(), verdict.in_words()),
            None if self.cases.is_empty() => ('∅', "no case"),
            None => ('∅', "does not count"),
        }
    }
}

impl Finding {
    /// The finding on one line: clause, place, expectation and what was there.
    ///
    /// A known-failures entry names its beginning, so that another failure of the same case is not excused.
    pub fn summary(&self) -> String {
        format!(
            "{} at {}: expected {}, got {}",
            plain::line(&self.clause, plain::NAME),
            self.place(),
            words::expected(&self.expected),
            words::got(&self.got)
        )
    }

    /// Where, as a pointer; the whole is named.
    pub(crate) fn place(&self) -> String {
        if self.at.is_empty() { String::from("the whole") } else { plain::line(&self.at, plain::VALUE) }
    }

    /// In which run, and of which case if it is another one.
    pub(crate) fn when(&self) -> String {
        let case = self.seen_in.as_ref();
        let case = case.map_or_else(String::new, |case| format!(" of {}", plain::line(case, plain::NAME)));
        format!("run {}{case}", self.run)
    }
}

impl Verdict {
    /// For people.
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Pass => "passed",
            Self::Fail => "failed",
            Self::NotApplicable => "not applicable",
            Self::Untestable => "untestable",
            Self::Inconclusive => "inconclusive",
            Self::NotRun => "not run",
            Self::HarnessError => "suite's own error",
        }
    }

    /// One character, so that nobody has to tell colours apart.
    pub(crate) fn sign(self) -> char {
        match self {
            Self::Pass => '✓',
            Self::Fail => '✗',
            Self::NotApplicable => '–',
            Self::Untestable => '⊘',
            Self::Inconclusive => '?',
            Self::NotRun => '·',
            Self::HarnessError => '!',
        }
    }
}

impl Conformance {
    /// For people.
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Conformant => "conformant",
            Self::NotConformant => "not conformant",
            Self::Incomplete => "incomplete: no verdict",
        }
    }

    /// One character.
    pub(crate) fn sign(self) -> char {
        match self {
            Self::Conformant => '✓',
            Self::NotConformant => '✗',
            Self::Incomplete => '?',
        }
    }
}

/// A number of things: `1 case`, `2 cases`.
pub(crate) fn counted(count: impl TryInto<u64>, what: &str) -> String {
    let count: u64 = count.try_into().unwrap_or(u64::MAX);
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// `text` with what stands between backticks written by `code`, and the rest by `prose`.
pub(crate) fn with_code(text: &str, prose: fn(&str) -> String, code: fn(&str) -> String) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    // A backtick without its other half is one.
    if parts.len().is_multiple_of(2) {
        return prose(text);
    }
    let write = |(nth, part): (usize, &&str)| if nth % 2 == 0 { prose(part) } else { code(part) };
    parts.iter().enumerate().map(write).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::sample;

    #[test]
    fn a_finding_says_itself_on_one_line() {
        let report = sample::report();
        let finding = &report.cases.iter().find(|case| case.id == "C7.3-always-bad").unwrap().findings[0];
        assert_eq!(finding.summary(), "C7.3 at /seen/count/ask: expected at most 3, got 4");
        let whole = Finding { at: String::new(), got: json!("a\nb"), ..finding.clone() };
        assert_eq!(whole.summary(), "C7.3 at the whole: expected at most 3, got \"a\\nb\"");
    }

    #[test]
    fn the_same_finding_is_shown_once() {
        let mut case = sample::report().red()[1].clone();
        assert!(!case.findings.is_empty());
        case.findings = vec![case.findings[0].clone(); 3];
        assert_eq!(case.shown_findings().0.len(), 1);
        case.findings = (0..30).map(|run| Finding { run, ..case.findings[0].clone() }).collect();
        let (shown, left_out) = case.shown_findings();
        assert_eq!((shown.len(), left_out), (FINDINGS, 30 - FINDINGS));
    }

    #[test]
    fn who_gave_no_name_is_called_so() {
        let mut report = sample::report();
        report.subject.name.clear();
        report.subject.version.clear();
        assert_eq!(report.who(), "a backend that gave no name");
    }

    #[test]
    fn of_a_long_timeline_the_differences_are_shown() {
        let report = sample::report();
        let mut case = report.cases.iter().find(|case| case.id == "C7.3-always-bad").unwrap().clone();
        let (like, differing) = (case.timeline[0].clone(), case.timeline[0].clone());
        case.timeline = vec![like; 100];
        case.timeline[70] = TimelineEntry { differs: true, ..differing };
        let (shown, left_out) = case.shown_timeline();
        assert_eq!((shown.len(), left_out, shown[0].differs), (1, 99, true));
    }
}
