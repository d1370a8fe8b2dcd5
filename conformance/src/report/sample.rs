//! A report made by hand, with every verdict, for the tests of whoever reads reports.

use std::collections::BTreeMap;

use serde_json::json;

use super::{
    CaseReport, Finding, Known, Measure, Provenance, REPORT_SCHEMA_VERSION, Report, SubjectIdentity,
    SuiteIdentity, TimelineEntry,
};
use crate::case_info::{CaseBody, CaseInfo};
use crate::registry::Registry;
use crate::verdict::{Conformance, Verdict};

/// The suite that judged in [`report()`].
pub(crate) fn suite() -> SuiteIdentity {
    SuiteIdentity {
        version: String::from("0.1.0"),
        digest: format!("sha256:{}", "5".repeat(64)),
        contract_version: String::from("1.0"),
        contract_digest: Registry::load().contract().digest.clone(),
    }
}

/// Its cases.
pub(crate) fn cases() -> Vec<CaseInfo> {
    let Report { cases, measures, .. } = report();
    cases
        .into_iter()
        .map(|case| CaseInfo {
            frozen: case.id != "C9.1-new-idea",
            likely_cause: format!("what `{}` is about", case.id),
            body: if measures.contains_key(&case.id) { data() } else { CaseBody::Law },
            id: case.id,
            title: case.title,
            clauses: case.clauses,
        })
        .collect()
}

fn data() -> CaseBody {
    let case = json!({"title": "", "clauses": [], "likely_cause": "", "allowed": []});
    CaseBody::Data { case: Box::new(serde_json::from_value(case).unwrap()), graphs: BTreeMap::new() }
}

/// A finished and sealed report.
pub(crate) fn report() -> Report {
    let mut report = Report {
        schema_version: String::from(REPORT_SCHEMA_VERSION),
        suite: suite(),
        subject: SubjectIdentity {
            name: String::from("example-backend"),
            version: String::from("2.3.1"),
            transport: String::from("stdio"),
            backend_mode: String::from("local"),
            capabilities: json!({"max_concurrency": 4, "supported_task_types": ["deterministic", "model"]}),
        },
        profile: String::from("core"),
        seed: 20_240_229,
        only: None,
        conformance: Conformance::Incomplete,
        counts: BTreeMap::new(),
        clauses: Vec::new(),
        cases: vec![
            case("C10.3-other-major", "a graph of another MAJOR is refused", &["C10.3"], Verdict::Pass),
            case("C2.1-three-times", "three runs mean the same", &["C2.1", "C6.1"], Verdict::Pass),
            because(
                case(
                    "C6.1-reversed",
                    "answers in another order change nothing",
                    &["C6.1"],
                    Verdict::Inconclusive,
                ),
                "the machine was busy for 900 ms of 1000 ms",
            ),
            because(
                case("C7.2-overrun", "a model that goes on is cut off", &["C7.2"], Verdict::Untestable),
                "the backend declares model tasks and never called the suite's model",
            ),
            failed_retries(),
            because(
                case("C7.4-hang", "a model that hangs is left", &["C7.4"], Verdict::HarnessError),
                "the suite's model could not listen: address in use",
            ),
            failed_silently(),
            because(
                case("C8.1-aggregation", "an aggregation has its record", &["C8.1"], Verdict::NotApplicable),
                "`aggregation` is not in `supported_task_types` (C3.7)",
            ),
            unscored(case("C9.1-new-idea", "failures name their first cause", &["C9.1"], Verdict::Pass)),
            because(
                case("C9.2-closed", "there is no sixth", &["C9.2"], Verdict::NotRun),
                "the run was interrupted",
            ),
        ],
        measures: BTreeMap::from([
            (
                String::from("C2.1-three-times"),
                Measure { model_invocations: 3, retries: 0, deterministic_tasks: 6, tasks: 9 },
            ),
            (
                String::from("C7.3-always-bad"),
                Measure { model_invocations: 4, retries: 3, deterministic_tasks: 0, tasks: 1 },
            ),
        ]),
        provenance: Provenance {
            started_at: String::from("2026-02-28T12:00:00Z"),
            duration_ms: 4210,
            host: String::from("linux x86_64"),
            command: String::from("kora-backend conformance run --cmd './example --stdio'"),
            case_ms: BTreeMap::from([
                (String::from("C2.1-three-times"), 31),
                (String::from("C7.3-always-bad"), 1204),
            ]),
        },
        digest: String::new(),
    };
    report.conclude(Registry::load());
    report
}

/// [`report()`] with nothing but passes in it.
pub(crate) fn conformant() -> Report {
    let mut report = report();
    for case in &mut report.cases {
        *case = CaseReport {
            scored: case.scored,
            ..self::case(&case.id, &case.title, &as_strs(&case.clauses), Verdict::Pass)
        };
    }
    report.conclude(Registry::load());
    report
}

pub(crate) fn case(id: &str, title: &str, clauses: &[&str], verdict: Verdict) -> CaseReport {
    CaseReport {
        id: id.to_owned(),
        title: title.to_owned(),
        clauses: clauses.iter().map(|clause| (*clause).to_owned()).collect(),
        scored: true,
        verdict,
        reason: None,
        known: None,
        findings: Vec::new(),
        timeline: Vec::new(),
        minimal: None,
        likely_cause: None,
        log_tail: None,
        repeat: None,
    }
}

fn because(case: CaseReport, reason: &str) -> CaseReport {
    CaseReport { reason: Some(reason.to_owned()), ..case }
}

fn unscored(case: CaseReport) -> CaseReport {
    because(CaseReport { scored: false, ..case }, "not in the frozen set of contract 1.0")
}

fn failed_retries() -> CaseReport {
    let at = |run, claimed: Option<&str>, seen: Option<&str>, differs| TimelineEntry {
        run,
        task: Some(String::from("ask")),
        claimed: claimed.map(str::to_owned),
        seen: seen.map(str::to_owned),
        differs,
    };
    CaseReport {
        findings: vec![
            Finding {
                clause: String::from("C7.3"),
                run: 0,
                seen_in: None,
                at: String::from("/seen/count/ask"),
                expected: json!({"$at_most": 3}),
                got: json!(4),
                because: String::from("two retries are allowed, so the model is asked at most three times"),
            },
            Finding {
                clause: String::from("C8.1"),
                run: 0,
                seen_in: None,
                at: String::from("/tasks/ask/retry_count"),
                expected: json!(2),
                got: json!(null),
                because: String::from("the record counts the attempts after the first"),
            },
        ],
        timeline: vec![
            at(0, Some("attempt 0: 8 in, 4 out"), Some("call 0: 8 in, 4 out, all said"), false),
            at(0, Some("attempt 1: 8 in, 4 out"), Some("call 1: 8 in, 4 out, all said"), false),
            at(0, Some("attempt 2: 8 in, 4 out"), Some("call 2: 8 in, 4 out, all said"), false),
            at(0, None, Some("call 3: 8 in, 4 out, all said"), true),
            at(0, Some("failed VALIDATION_ERROR"), None, false),
        ],
        minimal: None,
        likely_cause: Some(String::from(
            "`max_retries` counts the attempts after the first: with 2, the third attempt is the last",
        )),
        log_tail: Some(String::from("INFO run started\nWARN task ask: reply refused, asking again")),
        repeat: Some(String::from(
            "kora-backend conformance run --cmd './example --stdio' --only C7.3-always-bad --seed 20240229",
        )),
        ..case(
            "C7.3-always-bad",
            "a model that always answers badly is asked no more than allowed",
            &["C7.3", "C8.1"],
            Verdict::Fail,
        )
    }
}

fn failed_silently() -> CaseReport {
    CaseReport {
        minimal: Some(json!({"graph": {"tasks": [{"id": "t0"}]}, "script": {}})),
        known: Some(Known {
            reason: String::from("truncation is being replaced"),
            expires: String::from("2026-06-30"),
            stale: false,
        }),
        findings: vec![Finding {
            clause: String::from("C7.6"),
            run: 1,
            seen_in: None,
            at: String::from("/status"),
            expected: json!("failed"),
            got: json!("success"),
            because: String::from("an answer that does not fit its cap is a breach"),
        }],
        repeat: Some(String::from("kora-backend conformance run --only C7.6-cut-short")),
        ..case("C7.6-cut-short", "nothing is cut short and called a success", &["C7.6"], Verdict::Fail)
    }
}

fn as_strs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}
