//! Puts what came of all cases into a report.

use std::collections::BTreeMap;
use std::time::Duration;

use super::options::RunOptions;
use super::{Outcome, Ran, Results};
use crate::generate::{FAMILIES, Family};
use crate::judge::{self, Law};
use crate::registry::Registry;
use crate::report::{CaseReport, Finding, Provenance, REPORT_SCHEMA_VERSION, Report, SubjectIdentity};
use crate::subject::Transport;
use crate::suite::{CaseFolder, Suite};
use crate::verdict::{Conformance, Verdict};

/// Findings of one case beyond this number are left out of the report.
const MAX_FINDINGS: usize = 16;

pub(super) fn report(
    suite: &Suite,
    transport: Transport,
    options: &RunOptions<'_>,
    results: &Results,
    took: Duration,
) -> Report {
    let fixed = suite.cases().map(|case| of_case(case, options, results.get(&case.id)));
    let drawn = FAMILIES.iter().map(|family| of_family(family, options, results.get(family.id)));
    let laws = judge::laws().map(|law| of_law(law, options, results));
    let mut cases: Vec<CaseReport> = fixed.chain(drawn).chain(laws).collect();
    cases.sort_by(|one, other| by_clause(&one.id).cmp(&by_clause(&other.id)));
    let registry = Registry::load();
    let ran = || results.values().filter_map(|(ran, _)| ran.as_ref().ok());
    let (introduction, capabilities) = ran().find_map(|ran| ran.subject.clone()).unwrap_or_default();
    let measures = results.iter().filter(|(id, _)| suite.case(id).is_some());
    let mut report = Report {
        schema_version: REPORT_SCHEMA_VERSION.to_owned(),
        suite: suite.identity(),
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
        measures: measures
            .filter_map(|(id, (ran, _))| Some((id.clone(), ran.as_ref().ok()?.judgement.measure)))
            .collect(),
        provenance: Provenance {
            started_at: options.started_at.clone(),
            duration_ms: millis(took),
            host: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            command: options.command.clone(),
            case_ms: results.iter().map(|(id, (_, took))| (id.clone(), millis(*took))).collect(),
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
pub(crate) fn by_clause(id: &str) -> (u32, u32, &str) {
    let clause = id.split('-').next().unwrap_or_default().trim_start_matches('C');
    let mut numbers = clause.split('.').map(|number| number.parse().unwrap_or(u32::MAX));
    (numbers.next().unwrap_or(u32::MAX), numbers.next().unwrap_or(u32::MAX), id)
}

fn of_case(folder: &CaseFolder, options: &RunOptions<'_>, result: Option<&Outcome>) -> CaseReport {
    let case = &folder.case;
    let about = About {
        id: &folder.id,
        title: &case.title,
        clauses: case.clauses.clone(),
        frozen: folder.scored,
        likely_cause: &case.likely_cause,
    };
    about.report(options, result)
}

fn of_family(family: &Family, options: &RunOptions<'_>, result: Option<&Outcome>) -> CaseReport {
    let about = About {
        id: family.id,
        title: family.title,
        clauses: family.clauses.iter().map(|clause| (*clause).to_owned()).collect(),
        frozen: true,
        likely_cause: family.likely_cause,
    };
    about.report(options, result)
}

/// What is told of a case with runs of its own, whatever came of them.
struct About<'a> {
    id: &'a str,
    title: &'a str,
    clauses: Vec<String>,
    frozen: bool,
    likely_cause: &'a str,
}

impl About<'_> {
    fn report(self, options: &RunOptions<'_>, result: Option<&Outcome>) -> CaseReport {
        let in_profile = options.profile.scores(&self.clauses);
        let asked = in_profile && options.is_asked(self.id, self.clauses.iter().map(String::as_str));
        let mut report = CaseReport {
            id: self.id.to_owned(),
            title: self.title.to_owned(),
            clauses: self.clauses,
            scored: self.frozen && in_profile,
            verdict: Verdict::NotRun,
            reason: None,
            known: None,
            findings: Vec::new(),
            timeline: Vec::new(),
            minimal: None,
            likely_cause: None,
            log_tail: None,
            repeat: None,
        };
        match result.map(|(ran, _)| ran).filter(|_| asked) {
            None => report.reason = Some(why_not_run(in_profile, options)),
            Some(Err(fault)) => {
                report.verdict = Verdict::HarnessError;
                report.reason = Some(fault.clone());
            }
            Some(Ok(Ran { undeclared: Some(what), .. })) => {
                report.verdict = Verdict::NotApplicable;
                report.reason = Some(format!("the backend does not declare {what} (C3.7)"));
            }
            Some(Ok(Ran { untestable: Some(why), .. })) => {
                report.verdict = Verdict::Untestable;
                report.reason = Some(why.clone());
            }
            Some(Ok(Ran { is_doubtful: true, .. })) => {
                report.verdict = Verdict::Inconclusive;
                report.reason = Some(String::from(
                    "it failed three times, and each time timers came more than 150 ms late: the machine is too busy to \
                     tell; ask for fewer `--jobs`",
                ));
            }
            Some(Ok(ran)) if ran.judgement.findings.is_empty() => report.verdict = Verdict::Pass,
            Some(Ok(ran)) => {
                report.verdict = Verdict::Fail;
                report.findings = ran.judgement.findings.iter().take(MAX_FINDINGS).cloned().collect();
                report.timeline.clone_from(&ran.judgement.timeline);
                report.minimal.clone_from(&ran.minimal);
                report.likely_cause = Some(self.likely_cause.to_owned());
                report.log_tail.clone_from(&ran.log_tail);
                report.repeat = Some(repeat(options, self.id));
            }
        }
        report
    }
}

fn repeat(options: &RunOptions<'_>, id: &str) -> String {
    format!("{} --seed {} --only {id}", options.repeat, options.seed)
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
fn of_law(law: &Law, options: &RunOptions<'_>, results: &Results) -> CaseReport {
    let ran = results.values().filter_map(|(ran, _)| ran.as_ref().ok());
    let looked: Vec<_> = ran.filter_map(|ran| Some((ran, ran.judgement.laws.get(law.id)?))).collect();
    let broken = looked.iter().find(|(_, findings)| !findings.is_empty()).map(|(ran, _)| *ran);
    let in_profile = law.clauses.first().is_some_and(|clause| options.profile.includes(clause));
    let asked = in_profile && options.is_asked(law.id, law.clauses.iter().copied());
    let findings: Vec<Finding> =
        looked.iter().flat_map(|(_, findings)| findings.iter()).take(MAX_FINDINGS).cloned().collect();
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
    let seen_in = findings.first().and_then(|finding| finding.seen_in.as_deref()).unwrap_or(law.id);
    CaseReport {
        id: law.id.to_owned(),
        title: law.title.to_owned(),
        clauses: law.clauses.iter().map(|clause| (*clause).to_owned()).collect(),
        scored: in_profile,
        verdict,
        reason,
        known: None,
        timeline: broken.filter(|_| failed).map(|ran| ran.judgement.timeline.clone()).unwrap_or_default(),
        minimal: None,
        likely_cause: failed.then(|| law.likely_cause.to_owned()),
        log_tail: broken.filter(|_| failed).and_then(|ran| ran.log_tail.clone()),
        repeat: failed.then(|| repeat(options, seen_in)),
        findings: if failed { findings.clone() } else { Vec::new() },
    }
}
