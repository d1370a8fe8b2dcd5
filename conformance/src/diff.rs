//! What is different between two reports, the worst first.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::report::outline::counted;
use crate::report::terminal::{BAD, FAINT, GOOD, ODD, STRONG};
use crate::report::{CaseReport, Measure, Report, plain, tally};
use crate::verdict::{Conformance, Verdict};

/// Lines of one kind that people are shown. The JSON has them all.
const SHOWN: usize = 100;

/// What is different from one report to another.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "the published format of a comparison")]
pub struct Diff {
    /// The earlier report.
    pub old: Side,
    /// The later one.
    pub new: Side,
    /// Members of the two that make a comparison unfair: another suite, profile or filter.
    pub apart: Vec<&'static str>,
    /// Cases of which the verdict is another, which came, or which went. The worst first.
    pub cases: Vec<Change>,
    /// The same of clauses.
    pub clauses: Vec<Change>,
    /// Cases of which the cost is another.
    pub measures: Vec<MeasureChange>,
}

/// One of the two.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "the published format of a comparison")]
pub struct Side {
    /// The backend's name and version.
    pub who: String,
    /// What it was judged as.
    pub profile: String,
    /// The suite's version.
    pub suite: String,
    /// The verdict.
    pub conformance: Conformance,
    /// The report's own.
    pub digest: String,
}

/// A case or clause that is not as it was.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "the published format of a comparison")]
pub struct Change {
    /// How it changed.
    pub kind: ChangeKind,
    /// The case or clause.
    pub id: String,
    /// Before. `None`: it was not there, or had no verdict.
    pub old: Option<Verdict>,
    /// Now. `None`: it is not there, or has no verdict.
    pub new: Option<Verdict>,
    /// What is wrong now, on one line. Only of cases.
    pub what: Option<String>,
}

/// How a case or clause changed, the worst first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a verdict gets worse or better, comes or goes")]
pub enum ChangeKind {
    /// It holds no longer.
    Regressed,
    /// It held, and now nobody looks: it does not apply any more, or has no verdict.
    Narrowed,
    /// It is not there any more.
    Gone,
    /// It is there for the first time.
    Added,
    /// From one verdict that says little to another.
    Changed,
    /// It holds now.
    Mended,
}

/// A case that costs more or less than it did.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "the published format of a comparison")]
pub struct MeasureChange {
    /// The case.
    pub case: String,
    /// Before.
    pub old: Measure,
    /// Now.
    pub new: Measure,
}

/// Compares two reports.
pub fn diff(old: &Report, new: &Report) -> Diff {
    let apart = [
        ("suite", old.suite != new.suite),
        ("subject", old.subject.name != new.subject.name),
        ("transport", old.subject.transport != new.subject.transport),
        ("profile", old.profile != new.profile),
        ("filter", old.only != new.only),
    ];
    let measures = new.measures.iter().filter_map(|(case, new)| {
        let old = old.measures.get(case).filter(|old| *old != new)?;
        Some(MeasureChange { case: case.clone(), old: *old, new: *new })
    });
    let wrong = |id: &str| {
        let case: &CaseReport = new.cases.iter().find(|case| case.id == id)?;
        matches!(case.verdict, Verdict::Fail | Verdict::Untestable).then(|| case.what_is_wrong())
    };
    Diff {
        old: Side::of(old),
        new: Side::of(new),
        apart: apart.into_iter().filter(|(_, differs)| *differs).map(|(what, _)| what).collect(),
        cases: changes(
            &old.cases.iter().map(|case| (case.id.as_str(), Some(case.verdict))).collect(),
            &new.cases.iter().map(|case| (case.id.as_str(), Some(case.verdict))).collect(),
            wrong,
        ),
        clauses: changes(
            &old.clauses.iter().map(|clause| (clause.id.as_str(), clause.verdict)).collect(),
            &new.clauses.iter().map(|clause| (clause.id.as_str(), clause.verdict)).collect(),
            |_| None,
        ),
        measures: measures.collect(),
    }
}

type Verdicts<'r> = BTreeMap<&'r str, Option<Verdict>>;

fn changes(old: &Verdicts<'_>, new: &Verdicts<'_>, what: impl Fn(&str) -> Option<String>) -> Vec<Change> {
    let mut changes = Vec::new();
    for (id, verdict) in new {
        let before = old.get(id);
        if before == Some(verdict) {
            continue;
        }
        changes.push(Change {
            kind: before.map_or(ChangeKind::Added, |before| kind(*before, *verdict)),
            id: (*id).to_owned(),
            old: before.copied().flatten(),
            new: *verdict,
            what: what(id),
        });
    }
    for (id, verdict) in old.iter().filter(|(id, _)| !new.contains_key(*id)) {
        changes.push(Change {
            kind: ChangeKind::Gone,
            id: (*id).to_owned(),
            old: *verdict,
            new: None,
            what: None,
        });
    }
    let badness = |change: &Change| change.new.map_or(0, tally::badness);
    changes
        .sort_by(|a, b| a.kind.cmp(&b.kind).then(badness(b).cmp(&badness(a))).then_with(|| a.id.cmp(&b.id)));
    changes
}

fn kind(old: Option<Verdict>, new: Option<Verdict>) -> ChangeKind {
    let red = |verdict| matches!(verdict, Some(Verdict::Fail | Verdict::Untestable));
    if red(new) && !red(old) {
        ChangeKind::Regressed
    } else if old == Some(Verdict::Pass) {
        ChangeKind::Narrowed
    } else if new == Some(Verdict::Pass) {
        ChangeKind::Mended
    } else {
        ChangeKind::Changed
    }
}

impl Side {
    fn of(report: &Report) -> Self {
        Self {
            who: report.who(),
            profile: plain::line(&report.profile, plain::NAME),
            suite: plain::line(&report.suite.version, plain::NAME),
            conformance: report.conformance,
            digest: plain::line(&report.digest, plain::NAME),
        }
    }
}

impl Diff {
    /// Whether something that held does not hold, or is not looked at, any more.
    pub fn is_worse(&self) -> bool {
        self.cases.iter().any(|change| match change.kind {
            ChangeKind::Regressed | ChangeKind::Narrowed => true,
            // What never passed is no loss.
            ChangeKind::Gone => change.old == Some(Verdict::Pass),
            ChangeKind::Added | ChangeKind::Changed | ChangeKind::Mended => false,
        })
    }

    /// The comparison for a terminal, with its colours.
    pub fn to_terminal(&self) -> String {
        let side = |side: &Side| {
            format!(
                "{} as {}: {} {}",
                side.who,
                side.profile,
                side.conformance.sign(),
                side.conformance.in_words()
            )
        };
        let mut text = format!(
            "{STRONG}old{STRONG:#}  {}\n{STRONG}new{STRONG:#}  {}\n",
            side(&self.old),
            side(&self.new)
        );
        if !self.apart.is_empty() {
            let _ = writeln!(
                text,
                "{ODD}not of the same {}: changes may come from that{ODD:#}",
                self.apart.join(", ")
            );
        }
        section("cases", &self.cases, &mut text);
        section("clauses", &self.clauses, &mut text);
        self.costs(&mut text);
        if self.cases.is_empty() && self.clauses.is_empty() && self.measures.is_empty() {
            text.push_str("\nno difference\n");
        }
        text
    }

    fn costs(&self, text: &mut String) {
        if self.measures.is_empty() {
            return;
        }
        let _ = writeln!(text, "\n{STRONG}costs{STRONG:#}");
        for change in self.measures.iter().take(SHOWN) {
            let (old, new) = (change.old, change.new);
            let numbers = [
                ("model invocations", old.model_invocations, new.model_invocations),
                ("retries", old.retries, new.retries),
                ("deterministic tasks", old.deterministic_tasks, new.deterministic_tasks),
                ("tasks", old.tasks, new.tasks),
            ];
            let differing = numbers.into_iter().filter(|(_, old, new)| old != new);
            let words: Vec<String> =
                differing.map(|(what, old, new)| format!("{what} {old} → {new}")).collect();
            let _ = writeln!(text, "  {}: {}", plain::line(&change.case, plain::NAME), words.join(", "));
        }
        rest(self.measures.len(), text);
    }
}

fn section(what: &str, changes: &[Change], text: &mut String) {
    if changes.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{STRONG}{what}{STRONG:#}");
    for change in changes.iter().take(SHOWN) {
        let style = match change.kind {
            ChangeKind::Regressed => BAD,
            ChangeKind::Narrowed | ChangeKind::Gone => ODD,
            ChangeKind::Added | ChangeKind::Changed => FAINT,
            ChangeKind::Mended => GOOD,
        };
        let verdict = |verdict: Option<Verdict>| verdict.map_or("nothing", Verdict::in_words);
        let _ = writeln!(
            text,
            "  {style}{:<9}{style:#} {}  {} → {}",
            change.kind.as_str(),
            plain::line(&change.id, plain::NAME),
            verdict(change.old),
            verdict(change.new)
        );
        if let Some(what) = &change.what {
            let _ = writeln!(text, "            {what}");
        }
    }
    rest(changes.len(), text);
}

fn rest(count: usize, text: &mut String) {
    if count > SHOWN {
        let _ = writeln!(text, "  {FAINT}and {} more{FAINT:#}", counted(count - SHOWN, "line"));
    }
}

impl ChangeKind {
    /// The word in a comparison.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Regressed => "regressed",
            Self::Narrowed => "narrowed",
            Self::Gone => "gone",
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Mended => "mended",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Registry;
    use crate::report::sample;

    fn with(change: impl FnOnce(&mut Report)) -> Report {
        let mut report = sample::conformant();
        change(&mut report);
        report.conclude(Registry::load());
        report
    }

    fn set(report: &mut Report, case: &str, verdict: Verdict) {
        report.cases.iter_mut().find(|known| known.id == case).unwrap().verdict = verdict;
    }

    fn kinds(old: &Report, new: &Report) -> Vec<(ChangeKind, String)> {
        diff(old, new).cases.into_iter().map(|change| (change.kind, change.id)).collect()
    }

    #[test]
    fn equal_reports_do_not_differ() {
        let found = diff(&sample::report(), &sample::report());
        assert!(!found.is_worse() && found.cases.is_empty() && found.apart.is_empty());
        assert!(found.to_terminal().contains("no difference"));
    }

    #[test]
    fn regressions_come_first_and_mendings_last() {
        let old = with(|report| {
            set(report, "C2.1-three-times", Verdict::Fail);
            set(report, "C7.4-hang", Verdict::NotRun);
            report.cases.retain(|case| case.id != "C10.3-other-major");
        });
        let new = with(|report| {
            set(report, "C9.2-closed", Verdict::Untestable);
            set(report, "C7.3-always-bad", Verdict::Fail);
            set(report, "C6.1-reversed", Verdict::NotApplicable);
            set(report, "C7.4-hang", Verdict::Inconclusive);
            report.cases.retain(|case| case.id != "C8.1-aggregation");
        });
        let expected = [
            (ChangeKind::Regressed, "C7.3-always-bad"),
            (ChangeKind::Regressed, "C9.2-closed"),
            (ChangeKind::Narrowed, "C6.1-reversed"),
            (ChangeKind::Gone, "C8.1-aggregation"),
            (ChangeKind::Added, "C10.3-other-major"),
            (ChangeKind::Changed, "C7.4-hang"),
            (ChangeKind::Mended, "C2.1-three-times"),
        ];
        assert_eq!(kinds(&old, &new), expected.map(|(kind, id)| (kind, id.to_owned())));
        assert!(diff(&old, &new).is_worse());
    }

    #[test]
    fn to_lose_sight_of_something_is_worse_and_to_mend_it_is_not() {
        let fine = with(|_| ());
        let failing = with(|report| set(report, "C7.4-hang", Verdict::Fail));
        let hidden = with(|report| set(report, "C7.4-hang", Verdict::NotApplicable));
        let gone = with(|report| report.cases.retain(|case| case.id != "C7.4-hang"));
        for (old, new, worse) in [
            (&fine, &failing, true),
            (&fine, &hidden, true),
            (&fine, &gone, true),
            (&failing, &gone, false),
            (&failing, &fine, false),
            (&gone, &failing, false),
        ] {
            assert_eq!(diff(old, new).is_worse(), worse);
        }
    }

    #[test]
    fn a_comparison_for_people_and_for_machines() {
        let mut new = sample::report();
        new.measures.values_mut().for_each(|measure| measure.model_invocations += 1);
        new.profile = String::from("local");
        let found = diff(&sample::conformant(), &new);
        insta::assert_snapshot!(found.to_terminal().replace('\u{1b}', "␛"));
        let json = serde_json::to_value(&found).unwrap();
        assert_eq!(json["cases"][0]["kind"], "regressed");
        assert_eq!(json["cases"][0]["new"], "fail");
    }
}
