//! Whether a report is whole, unedited and of this suite: the question before anybody acts on one.

mod fault;
mod schema;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::case_info::{CaseBody, CaseInfo};
use crate::registry::{Profile, Registry};
use crate::report::{CaseReport, REPORT_SCHEMA_VERSION, Report, SuiteIdentity, tally};
use crate::verdict::Verdict;

pub use self::fault::Fault;

/// A larger document is no report.
const MAX_BYTES: usize = 64 << 20;
/// Faults of one kind after which nobody learns more.
const ENOUGH: usize = 50;

/// A report that was verified: the only kind that [`gate`](crate::gate()) takes.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedReport(Report);

impl VerifiedReport {
    /// The report.
    pub fn report(&self) -> &Report {
        &self.0
    }
}

/// Reads a report and checks all that it says of itself against the suite that is said to have made it.
///
/// Edited, damaged, partial, made by another suite, or added up wrongly: each is a fault. What it cannot see is whether
/// somebody made up the whole; that takes a second run from the same seed.
///
/// # Errors
///
/// Every fault that was found, at most some dozens of each kind.
pub fn verify(
    json: &[u8],
    suite: &SuiteIdentity,
    registry: &Registry,
    cases: &[CaseInfo],
) -> Result<VerifiedReport, Vec<Fault>> {
    let report = read(json).map_err(|faults| faults.into_iter().take(ENOUGH).collect::<Vec<_>>())?;
    let mut faults = Vec::new();
    if report.suite == *suite {
        same_cases(&report, cases, &mut faults);
        same_clauses(&report, registry, &mut faults);
    } else {
        faults.extend(other_suite(&report.suite, suite));
    }
    added_up(&report, &mut faults);
    consistent(&report, &mut faults);
    if faults.is_empty() { Ok(VerifiedReport(report)) } else { Err(faults) }
}

/// The report, if it has the form of one and its digest.
fn read(json: &[u8]) -> Result<Report, Vec<Fault>> {
    if json.len() > MAX_BYTES {
        return Err(vec![Fault::TooLarge { bytes: json.len(), most: MAX_BYTES }]);
    }
    let value: Value =
        serde_json::from_slice(json).map_err(|error| vec![Fault::NotJson(error.to_string())])?;
    match value.get("schema_version") {
        Some(Value::String(version)) if version == REPORT_SCHEMA_VERSION => {}
        Some(Value::String(version)) => return Err(vec![Fault::OtherSchema(version.clone())]),
        Some(_) | None => return Err(vec![Fault::OtherSchema(String::from("none"))]),
    }
    let mismatches = schema::mismatches(&value);
    if !mismatches.is_empty() {
        return Err(mismatches);
    }
    // From the text, not from `value`: of a member that is there twice a `Value` keeps the last without a word.
    let report: Report =
        serde_json::from_slice(json).map_err(|error| vec![Fault::NotJson(error.to_string())])?;
    let digest = crate::report::digest_of(value);
    if digest == report.digest {
        Ok(report)
    } else {
        Err(vec![Fault::Edited { says: report.digest, is: digest }])
    }
}

fn other_suite(theirs: &SuiteIdentity, ours: &SuiteIdentity) -> Vec<Fault> {
    let members: [(&'static str, &String, &String); 4] = [
        ("version", &theirs.version, &ours.version),
        ("digest", &theirs.digest, &ours.digest),
        ("contract_version", &theirs.contract_version, &ours.contract_version),
        ("contract_digest", &theirs.contract_digest, &ours.contract_digest),
    ];
    let differing = members.into_iter().filter(|(_, theirs, ours)| theirs != ours);
    differing
        .map(|(what, theirs, ours)| Fault::OtherSuite { what, theirs: theirs.clone(), ours: ours.clone() })
        .collect()
}

/// Every case of the suite, once, in its order, as the suite has it.
fn same_cases(report: &Report, cases: &[CaseInfo], faults: &mut Vec<Fault>) {
    let ours: BTreeMap<&str, &CaseInfo> = cases.iter().map(|case| (case.id.as_str(), case)).collect();
    let theirs: BTreeMap<&str, &CaseReport> =
        report.cases.iter().map(|case| (case.id.as_str(), case)).collect();
    let missing = ours.keys().filter(|id| !theirs.contains_key(**id));
    faults.extend(missing.take(ENOUGH).map(|id| Fault::CaseMissing((*id).to_owned())));
    let known = |case: &&CaseReport| ours.contains_key(case.id.as_str());
    let kept = report.cases.iter().filter(known).map(|case| &case.id);
    let expected = cases.iter().map(|case| &case.id).filter(|id| theirs.contains_key(id.as_str()));
    if !kept.eq(expected) {
        faults.push(Fault::CasesNotASet);
    }
    let profile: Option<Profile> = report.profile.parse().ok();
    for case in report.cases.iter().take(ours.len() + ENOUGH) {
        let Some(known) = ours.get(case.id.as_str()) else {
            faults.push(Fault::CaseUnknown(case.id.clone()));
            continue;
        };
        let counts = known.frozen && profile.is_some_and(|profile| profile.scores(&known.clauses));
        for (what, same) in [
            ("title", case.title == known.title),
            ("clauses", case.clauses == known.clauses),
            ("scored", case.scored == counts),
        ] {
            if !same {
                faults.push(Fault::CaseAltered { case: case.id.clone(), what });
            }
        }
        // What was run was measured: guards on costs must not hold for want of numbers.
        let was_run = matches!(case.verdict, Verdict::Pass | Verdict::Fail);
        let has_runs = matches!(known.body, CaseBody::Data { .. });
        if was_run && has_runs && !report.measures.contains_key(&case.id) {
            faults.push(Fault::Unmeasured(case.id.clone()));
        }
    }
    for id in report.measures.keys().filter(|id| !ours.contains_key(id.as_str())).take(ENOUGH) {
        faults.push(Fault::CaseUnknown(id.clone()));
    }
}

/// Every clause of the registry, in its words.
fn same_clauses(report: &Report, registry: &Registry, faults: &mut Vec<Fault>) {
    let ours = registry.clauses().iter().map(|clause| (&clause.id, &clause.text));
    let theirs = report.clauses.iter().map(|clause| (&clause.id, &clause.text));
    if !ours.eq(theirs) {
        faults.push(Fault::ClausesAltered);
        return;
    }
    for (is, should) in report.clauses.iter().zip(tally::clauses(registry, &report.cases)) {
        if *is != should {
            faults.push(Fault::ClauseMiscounted(is.id.clone()));
        }
    }
}

/// Counts and conformance follow from the cases.
fn added_up(report: &Report, faults: &mut Vec<Fault>) {
    let counts = tally::counts(&report.cases);
    for (verdict, count) in &counts {
        let says = report.counts.get(verdict).copied();
        if says != Some(*count) {
            faults.push(Fault::Miscounted { verdict: verdict.clone(), says, is: *count });
        }
    }
    let conformance = tally::conformance(&report.cases, &report.measures, report.only.as_deref());
    if report.conformance != conformance {
        faults.push(Fault::WrongConformance { says: report.conformance, is: conformance });
    }
}

/// A case says what its verdict makes it say, and no more.
fn consistent(report: &Report, faults: &mut Vec<Fault>) {
    let mut found = Vec::new();
    for case in &report.cases {
        let mut fault = |what| found.push(Fault::Inconsistent { case: case.id.clone(), what });
        let failed = case.verdict == Verdict::Fail;
        if failed && case.findings.is_empty() && case.reason.is_none() {
            fault("it failed, and neither a finding nor a reason says why");
        }
        if !failed && !case.findings.is_empty() {
            fault("it did not fail, and has findings");
        }
        let needs_reason = match case.verdict {
            Verdict::Pass | Verdict::Fail => false,
            Verdict::NotApplicable
            | Verdict::Untestable
            | Verdict::Inconclusive
            | Verdict::NotRun
            | Verdict::HarnessError => true,
        };
        if needs_reason && case.reason.as_deref().is_none_or(str::is_empty) {
            fault("it neither passed nor failed, and no reason says why");
        }
        if case.known.as_ref().is_some_and(|known| !known.stale)
            && !matches!(case.verdict, Verdict::Fail | Verdict::Untestable)
        {
            fault("it is excused as a known failure, and did not fail");
        }
    }
    faults.extend(found.into_iter().take(ENOUGH));
}

#[cfg(test)]
mod tests {
    use proptest::strategy::Strategy as _;
    use serde_json::json;

    use super::*;
    use crate::report::sample;

    fn faults(json: &[u8]) -> Vec<String> {
        match verify(json, &sample::suite(), Registry::load(), &sample::cases()) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.iter().map(ToString::to_string).collect(),
        }
    }

    fn of(report: &Report) -> Vec<String> {
        faults(&serde_json::to_vec_pretty(report).unwrap())
    }

    /// A liar who knows how to seal.
    #[track_caller]
    fn lie(change: impl FnOnce(&mut Report), expected: &str) {
        let mut report = sample::report();
        change(&mut report);
        report.seal();
        let found = of(&report);
        assert!(found.iter().any(|fault| fault.contains(expected)), "{expected}: {found:#?}");
    }

    /// Somebody with an editor.
    #[track_caller]
    fn edit(pointer: &str, value: Value, expected: &str) {
        let mut report = serde_json::to_value(sample::report()).unwrap();
        *report.pointer_mut(pointer).unwrap() = value;
        let found = faults(&serde_json::to_vec(&report).unwrap());
        assert!(found.iter().any(|fault| fault.contains(expected)), "{expected}: {found:#?}");
    }

    #[test]
    fn an_honest_report_has_no_faults() {
        assert_eq!(of(&sample::report()), [""; 0]);
        assert_eq!(of(&sample::conformant()), [""; 0]);
    }

    #[test]
    fn when_and_where_it_ran_is_no_matter() {
        let mut report = sample::report();
        report.provenance.duration_ms += 1;
        assert_eq!(of(&report), [""; 0]);
    }

    #[test]
    fn an_edited_report_is_found_by_its_digest() {
        edit("/cases/3/verdict", json!("pass"), "has been edited");
        edit("/seed", json!(1), "has been edited");
        edit("/subject/capabilities", json!({}), "has been edited");
    }

    #[test]
    fn what_has_not_the_form_of_a_report_is_refused() {
        assert!(faults(b"{").iter().any(|fault| fault.contains("is no JSON")));
        assert!(faults(b"[]").iter().any(|fault| fault.contains("version none")));
        edit("/schema_version", json!("2.0"), "version 2.0");
        edit("/seed", json!("1"), "/seed");
        edit("/cases/0/verdict", json!("passed"), "/cases/0/verdict");
        edit("/subject", json!({}), "/subject");
        let report = serde_json::to_string(&sample::report()).unwrap();
        let more = report.replacen('{', "{\"extra\":1,", 1);
        assert!(faults(more.as_bytes()).iter().any(|fault| fault.contains("extra")));
        let twice = report.replacen('{', "{\"seed\":20240229,", 1);
        assert!(faults(twice.as_bytes()).iter().any(|fault| fault.contains("duplicate field")));
        assert!(!faults(&vec![b' '; MAX_BYTES + 1]).is_empty());
    }

    #[test]
    fn another_suite_is_told_by_what_differs() {
        lie(|report| report.suite.version = "0.2.0".into(), "made by a suite of another version");
        lie(|report| report.suite.digest = format!("sha256:{}", "6".repeat(64)), "of another digest");
    }

    #[test]
    fn a_partial_report_is_refused() {
        lie(|report| drop(report.cases.remove(3)), "case `C7.2-overrun` is missing");
        lie(|report| drop(report.clauses.remove(3)), "clauses are not those");
        lie(|report| report.cases.swap(0, 1), "not each once and in the suite's order");
        lie(|report| report.cases.push(report.cases[9].clone()), "not each once and in the suite's order");
        lie(
            |report| report.cases.push(sample::case("C9.9-x", "x", &["C9.2"], Verdict::Pass)),
            "`C9.9-x` is none",
        );
    }

    #[test]
    fn what_does_not_add_up_is_found_however_well_it_is_sealed() {
        lie(|report| report.conformance = crate::Conformance::Conformant, "says conformant");
        lie(|report| *report.counts.get_mut("fail").unwrap() = 0, "2 cases are `fail`");
        lie(|report| report.clauses[4].verdict = Some(Verdict::Fail), "clause `C2.1` does not have");
        lie(|report| report.cases[3].scored = false, "`scored` of case `C7.2-overrun`");
        lie(|report| report.cases[3].clauses[0] = "C7.3".into(), "`clauses` of case `C7.2-overrun`");
        lie(|report| report.cases[3].title.push('!'), "`title` of case `C7.2-overrun`");
    }

    #[test]
    fn costs_are_not_left_out() {
        lie(
            |report| report.measures.retain(|case, _| case != "C7.3-always-bad"),
            "`C7.3-always-bad` was run, and its costs",
        );
    }

    #[test]
    fn a_case_that_contradicts_itself_is_found() {
        lie(|report| report.cases[4].findings.clear(), "neither a finding nor a reason");
        lie(|report| report.cases[4].verdict = Verdict::Pass, "did not fail, and has findings");
        lie(|report| report.cases[3].reason = None, "no reason says why");
        lie(
            |report| {
                report.cases[6].verdict = Verdict::Pass;
                report.cases[6].findings.clear();
            },
            "excused as a known failure",
        );
    }

    #[test]
    fn a_filtered_run_that_says_conformant_is_found() {
        let mut report = sample::conformant();
        report.only = Some("C7".into());
        report.seal();
        assert!(of(&report).iter().any(|fault| fault.contains("says conformant")));
    }

    /// Every place of a document, as pointers.
    fn places(value: &Value, at: &str, found: &mut Vec<String>) {
        found.push(at.to_owned());
        if let Value::Object(members) = value {
            for (name, member) in members {
                places(member, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found);
            }
        } else if let Value::Array(members) = value {
            for (place, member) in members.iter().enumerate() {
                places(member, &format!("{at}/{place}"), found);
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn no_change_goes_unseen_wherever_it_is(
            place in proptest::prelude::any::<proptest::sample::Index>(),
            other in proptest::prelude::prop_oneof![
                proptest::strategy::Just(Value::Null),
                proptest::prelude::any::<bool>().prop_map(Value::from),
                proptest::prelude::any::<u32>().prop_map(Value::from),
                ".{0,12}".prop_map(Value::from),
                proptest::strategy::Just(json!([])),
                proptest::strategy::Just(json!({})),
            ],
        ) {
            let mut report = serde_json::to_value(sample::report()).unwrap();
            let mut all = Vec::new();
            places(&report, "", &mut all);
            let place = place.get(&all);
            let there = report.pointer_mut(place).unwrap();
            let same = *there == other;
            *there = other;
            let found = faults(&serde_json::to_vec(&report).unwrap());
            let free = place.starts_with("/provenance/");
            proptest::prop_assert!(same || free || !found.is_empty(), "{}", place);
        }
    }
}
