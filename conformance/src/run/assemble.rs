//! Puts what came of all cases into a report.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Ran;
use super::options::RunOptions;
use crate::judge::{self, Law};
use crate::registry::Registry;
use crate::report::{
    CaseReport, Finding, Provenance, REPORT_SCHEMA_VERSION, Report, SubjectIdentity, SuiteIdentity,
};
use crate::subject::{Introduction, Transport};
use crate::suite::{CaseFolder, Suite};
use crate::verdict::{Conformance, Verdict};

/// Findings of one case beyond this number are left out of the report.
const MAX_FINDINGS: usize = 16;

pub(super) fn report(
    suite: &Suite,
    transport: Transport,
    options: &RunOptions<'_>,
    results: &BTreeMap<String, Ran>,
    introduction: Option<(Introduction, serde_json::Value)>,
    took: Duration,
) -> Report {
    let mut cases: Vec<CaseReport> =
        suite.cases().map(|case| of_case(case, options, results.get(&case.id))).collect();
    cases.extend(judge::laws().map(|law| of_law(law, options, results)));
    cases.sort_by(|one, other| by_clause(&one.id).cmp(&by_clause(&other.id)));
    let registry = Registry::load();
    let (introduction, capabilities) = introduction.unwrap_or_default();
    let mut report = Report {
        schema_version: REPORT_SCHEMA_VERSION.to_owned(),
        suite: SuiteIdentity {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            digest: suite.digest().to_owned(),
            contract_version: registry.contract().version.clone(),
            contract_digest: registry.contract().digest.clone(),
        },
        subject: SubjectIdentity {
            name: introduction.name,
            version: introduction.version,
            transport: transport.as_str().to_owned(),
            backend_mode: introduction.backend_mode,
            capabilities,
        },
        profile: options.profile.as_str().to_owned(),
        seed: options.seed,
        only: options.only.clone(),
        // What follows from the cases is filled in by `conclude`.
        conformance: Conformance::Incomplete,
        counts: BTreeMap::new(),
        clauses: Vec::new(),
        cases,
        measures: results
            .iter()
            .filter_map(|(id, ran)| Some((id.clone(), ran.judged.as_ref().ok()?.measure)))
            .collect(),
        provenance: Provenance {
            started_at: options.started_at.clone(),
            duration_ms: millis(took),
            host: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            command: options.command.clone(),
            case_ms: results.iter().map(|(id, ran)| (id.clone(), millis(ran.took))).collect(),
        },
        digest: String::new(),
    };
    report.conclude(registry);
    report
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// `C10.3-x` after `C9.1-x`: by the clause's numbers, then by name.
fn by_clause(id: &str) -> (u32, u32, &str) {
    let clause = id.split('-').next().unwrap_or_default().trim_start_matches('C');
    let mut numbers = clause.split('.').map(|number| number.parse().unwrap_or(u32::MAX));
    (numbers.next().unwrap_or(u32::MAX), numbers.next().unwrap_or(u32::MAX), id)
}

fn of_case(folder: &CaseFolder, options: &RunOptions<'_>, ran: Option<&Ran>) -> CaseReport {
    let case = &folder.case;
    let mut report = CaseReport {
        id: folder.id.clone(),
        title: case.title.clone(),
        clauses: case.clauses.clone(),
        scored: folder.scored && options.profile.scores(&case.clauses),
        verdict: Verdict::NotRun,
        reason: None,
        known: None,
        findings: Vec::new(),
        timeline: Vec::new(),
        likely_cause: None,
        log_tail: None,
        repeat: None,
    };
    match ran {
        None => report.reason = Some(why_not_run(options.profile.scores(&case.clauses), options)),
        Some(Ran { judged: Err(fault), .. }) => {
            report.verdict = Verdict::HarnessError;
            report.reason = Some(fault.clone());
        }
        Some(Ran { undeclared: Some(what), .. }) => {
            report.verdict = Verdict::NotApplicable;
            report.reason = Some(format!("the backend does not declare {what} (C3.7)"));
        }
        Some(Ran { judged: Ok(judgement), log_tail, .. }) if judgement.findings.is_empty() => {
            let _ = log_tail;
            report.verdict = Verdict::Pass;
        }
        Some(Ran { judged: Ok(judgement), log_tail, .. }) => {
            report.verdict = Verdict::Fail;
            report.findings = judgement.findings.iter().take(MAX_FINDINGS).cloned().collect();
            report.timeline.clone_from(&judgement.timeline);
            report.likely_cause = Some(case.likely_cause.clone());
            report.log_tail.clone_from(log_tail);
            report.repeat = Some(format!("{} --seed {} --only {}", options.repeat, options.seed, folder.id));
        }
    }
    report
}

fn why_not_run(in_profile: bool, options: &RunOptions<'_>) -> String {
    if !in_profile {
        return format!("not asked of profile `{}`", options.profile.as_str());
    }
    match &options.only {
        Some(only) => format!("only `{only}` was asked for"),
        None => String::from("the run ended before"),
    }
}

/// A law's verdict over all runs of the suite.
fn of_law(law: &Law, options: &RunOptions<'_>, results: &BTreeMap<String, Ran>) -> CaseReport {
    let judgements = results.values().filter_map(|ran| Some((ran.judged.as_ref().ok()?, &ran.log_tail)));
    let looked: Vec<_> = judgements
        .filter_map(|(judgement, log)| Some((judgement, log, judgement.laws.get(law.id)?)))
        .collect();
    let broken = looked.iter().find(|(_, _, findings)| !findings.is_empty());
    let asked = options.asks_law(law.id, law.clauses);
    let in_profile = law.clauses.first().is_some_and(|clause| options.profile.includes(clause));
    let findings: Vec<Finding> =
        looked.iter().flat_map(|(_, _, findings)| findings.iter()).take(MAX_FINDINGS).cloned().collect();
    let (verdict, reason) = if !asked {
        (Verdict::NotRun, Some(why_not_run(in_profile, options)))
    } else if broken.is_some() {
        (Verdict::Fail, None)
    } else if looked.is_empty() {
        (Verdict::NotApplicable, Some(String::from("no run of this backend gave an occasion to look at it")))
    } else {
        (Verdict::Pass, None)
    };
    let failed = verdict == Verdict::Fail;
    let seen_in = findings.first().and_then(|finding| finding.seen_in.clone()).unwrap_or_default();
    CaseReport {
        id: law.id.to_owned(),
        title: law.title.to_owned(),
        clauses: law.clauses.iter().map(|clause| (*clause).to_owned()).collect(),
        scored: in_profile,
        verdict,
        reason,
        known: None,
        timeline: broken
            .filter(|_| failed)
            .map(|(judgement, _, _)| judgement.timeline.clone())
            .unwrap_or_default(),
        likely_cause: failed.then(|| law.likely_cause.to_owned()),
        log_tail: broken.filter(|_| failed).and_then(|(_, log, _)| (*log).clone()),
        repeat: failed.then(|| format!("{} --seed {} --only {seen_in}", options.repeat, options.seed)),
        findings: if failed { findings } else { Vec::new() },
    }
}
