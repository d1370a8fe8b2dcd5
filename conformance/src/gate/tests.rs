//! The gate opens for what conforms, and for nothing else unless somebody said so.

use super::*;
use crate::registry::Registry;
use crate::report::{Known, sample};
use crate::verify::verify;

fn verified(report: &mut Report) -> VerifiedReport {
    report.conclude(Registry::load());
    let json = serde_json::to_vec(report).unwrap();
    verify(&json, &sample::suite(), Registry::load(), &sample::cases()).unwrap()
}

fn failing(known: Option<bool>) -> VerifiedReport {
    let like = sample::report();
    let mut report = sample::conformant();
    let failed = like.cases.into_iter().find(|case| case.id == "C7.3-always-bad").unwrap();
    let case = report.cases.iter_mut().find(|case| case.id == failed.id).unwrap();
    *case = failed;
    case.known =
        known.map(|stale| Known { reason: "off by one".into(), expires: "2026-06-30".into(), stale });
    verified(&mut report)
}

fn decide(reports: &[&VerifiedReport], policy: &str, baseline: Option<&VerifiedReport>) -> GateResult {
    gate(reports, &Policy::parse(policy).unwrap(), baseline, "2026-03-01".parse().unwrap())
}

#[track_caller]
fn check(reports: &[&VerifiedReport], policy: &str, decision: Decision, blocks: &[&str]) {
    let result = decide(reports, policy, None);
    let standing = result.blocks.iter().filter(|block| block.lifted_by.is_none());
    let standing: Vec<&str> = standing.map(|block| block.id.as_str()).collect();
    assert_eq!((result.decision, standing.as_slice()), (decision, blocks), "{result:#?}");
}

const CORE: &str = "profiles = [\"core\"]\n";
const LIFT: &str = "[[override]]\nblock = \"case.C7.3-always-bad\"\nreviewer = \"R. Viewer\"\n\
    reason = \"the fix needs a release\"\nexpires = 2026-03-01\n";

#[test]
fn who_conforms_may_pass() {
    let fine = verified(&mut sample::conformant());
    check(&[&fine], CORE, Decision::Open, &[]);
    check(&[&fine], "profiles = [\"local\"]", Decision::Blocked, &["profile.local"]);
    check(&[], CORE, Decision::Blocked, &["profile.core"]);
}

#[test]
fn a_failure_blocks_and_an_override_that_lifts_it_stays_to_be_seen() {
    let failing = failing(None);
    check(&[&failing], CORE, Decision::Blocked, &["case.C7.3-always-bad"]);
    let lifted = decide(&[&failing], &format!("{CORE}{LIFT}"), None);
    assert_eq!((lifted.decision, lifted.exit_code()), (Decision::Open, 0));
    assert_eq!(lifted.blocks[0].lifted_by.as_ref().unwrap().reviewer, "R. Viewer");
    for text in [lifted.to_terminal(), lifted.to_markdown(), serde_json::to_string(&lifted).unwrap()] {
        assert!(
            text.contains("R. Viewer") && text.contains("2026-03-01") && text.contains("needs a release")
        );
    }
}

#[test]
fn an_override_that_expired_or_lifts_nothing_blocks() {
    let expired = LIFT.replace("2026-03-01", "2026-02-28");
    let blocks = ["case.C7.3-always-bad", "override.case.C7.3-always-bad"];
    check(&[&failing(None)], &format!("{CORE}{expired}"), Decision::Blocked, &blocks);
    let fine = verified(&mut sample::conformant());
    check(&[&fine], &format!("{CORE}{LIFT}"), Decision::Blocked, &blocks[1..]);
}

#[test]
fn known_failures_pass_as_far_as_the_policy_allows_them() {
    let allowed = format!("{CORE}known_failures.at_most = 1\n");
    check(&[&failing(Some(false))], &allowed, Decision::Open, &[]);
    check(&[&failing(Some(false))], CORE, Decision::Blocked, &["known_failures.at_most"]);
    let policy = Policy::parse(&allowed).unwrap();
    let late = gate(&[&failing(Some(false))], &policy, None, "2026-07-01".parse().unwrap());
    assert_eq!((late.decision, late.known), (Decision::Blocked, Vec::new()));
    let stale = ["known.C7.3-always-bad", "case.C7.3-always-bad"];
    check(&[&failing(Some(true))], &allowed, Decision::Blocked, &stale);
}

#[test]
fn what_has_no_verdict_is_neither_open_nor_blocked() {
    let mut report = sample::conformant();
    report.cases[2].verdict = Verdict::Inconclusive;
    report.cases[2].reason = Some("too slow".into());
    let slow = verified(&mut report);
    check(&[&slow], CORE, Decision::Incomplete, &["case.C6.1-reversed"]);
    assert_eq!(decide(&[&slow], CORE, None).exit_code(), 3);

    let mut report = sample::conformant();
    report.only = Some("C7".into());
    check(&[&verified(&mut report)], CORE, Decision::Incomplete, &["only"]);

    let mut report = sample::conformant();
    for case in &mut report.cases {
        case.verdict = Verdict::NotApplicable;
        case.reason = Some("not declared".into());
    }
    check(&[&verified(&mut report)], CORE, Decision::Incomplete, &["conformance"]);
}

#[test]
fn an_unscored_failure_blocks_nothing() {
    let mut report = sample::conformant();
    let case = report.cases.iter_mut().find(|case| !case.scored).unwrap();
    case.verdict = Verdict::Untestable;
    case.reason = Some("new".into());
    check(&[&verified(&mut report)], CORE, Decision::Open, &[]);
}

#[test]
fn reports_of_two_backends_are_no_proof_of_one() {
    let one = verified(&mut sample::conformant());
    let mut other = sample::conformant();
    other.subject.version = "9.9.9".into();
    check(&[&one, &verified(&mut other)], CORE, Decision::Blocked, &["subject"]);
}

#[test]
fn costs_are_guarded() {
    // 7 calls, 3 of them retries; 6 of 10 tasks without a model.
    let fine = verified(&mut sample::conformant());
    let guard = |guard: &str| format!("{CORE}[guards]\n{guard}\n");
    for (held, broken, block) in [
        ("max_model_invocations = 7", "max_model_invocations = 6", "guards.max_model_invocations"),
        (
            "max_retry_amplification = 1.75",
            "max_retry_amplification = 1.74",
            "guards.max_retry_amplification",
        ),
        ("min_deterministic_share = 0.6", "min_deterministic_share = 0.61", "guards.min_deterministic_share"),
        ("case.\"C7.3-always-bad\" = 4", "case.\"C7.3-always-bad\" = 3", "guards.case.C7.3-always-bad"),
        ("", "case.\"C7.3-gone\" = 3", "guards.case.C7.3-gone"),
    ] {
        check(&[&fine], &guard(held), Decision::Open, &[]);
        check(&[&fine], &guard(broken), Decision::Blocked, &[block]);
    }
}

#[test]
fn growth_is_measured_on_what_both_reports_measured() {
    let policy = format!("{CORE}[guards.growth]\nmodel_invocations = 0.25\ndeterministic_share = 0.0\n");
    let fine = verified(&mut sample::conformant());
    check(&[&fine], &policy, Decision::Blocked, &["guards.growth"]);
    let mut baseline = sample::conformant();
    // Only C2.1-three-times is measured in both: 3 calls now.
    baseline.measures.remove("C7.3-always-bad");
    let unseen = baseline.cases.iter_mut().find(|case| case.id == "C7.3-always-bad").unwrap();
    unseen.verdict = Verdict::NotRun;
    unseen.reason = Some("the run was interrupted".into());
    let ids = |result: GateResult| result.blocks.into_iter().map(|block| block.id).collect::<Vec<_>>();
    let before = |invocations: u64, deterministic: u64| {
        let mut baseline = baseline.clone();
        let measure = baseline.measures.get_mut("C2.1-three-times").unwrap();
        measure.model_invocations = invocations;
        measure.deterministic_tasks = deterministic;
        ids(decide(&[&fine], &policy, Some(&verified(&mut baseline))))
    };
    assert_eq!(before(3, 6), [""; 0]);
    assert_eq!(before(2, 6), ["guards.growth.model_invocations"]);
    assert_eq!(before(3, 7), ["guards.growth.deterministic_share"]);
}

#[test]
fn a_decision_for_people() {
    let policy = format!("{CORE}known_failures.at_most = 1\nguards.max_model_invocations = 1\n{LIFT}");
    let result = decide(&[&failing(None)], &policy, None);
    insta::assert_snapshot!("terminal", result.to_terminal().replace('\u{1b}', "␛"));
    insta::assert_snapshot!("markdown", result.to_markdown());
}
