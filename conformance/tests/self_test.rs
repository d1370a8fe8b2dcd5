//! The suite's test of itself: the plain backend and the odd ones pass, each mutant fails exactly what is on record, and
//! every case is failed by some mutant.
//!
//! `KORA_BLESS=1` writes the records and the kill matrix anew; look at what changed.
#![expect(clippy::unwrap_used, reason = "a record that cannot be written is a failed test")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use conformance::own::{Behaviour, Defect, Quirk};
use conformance::self_test::{Expectation, Expectations, check, failed, judge, kill_matrix, plug};
use conformance::{CaseInfo, Report, Suite};
use libtest_mimic::{Arguments, Failed, Trial};

/// Of a defect that is a panic, nothing needs to be printed.
fn quietly() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !info.to_string().contains("nobody had thought of that") {
            usual(info);
        }
    }));
}

fn main() -> ExitCode {
    quietly();
    let arguments = Arguments::from_args();
    let suite = Arc::new(Suite::embedded().unwrap());
    let right = std::iter::once(Behaviour::Plain).chain(Quirk::ALL.iter().copied().map(Behaviour::Odd));
    let mutants = Defect::ALL.iter().copied().map(Behaviour::Defective);
    let mut trials: Vec<Trial> = right.map(|does| trial("right", does, &suite)).collect();
    trials.extend(mutants.map(|does| trial("mutant", does, &suite)));
    let judged = Arc::clone(&suite);
    trials.push(Trial::test("every_case_catches_a_mutant", move || every_case_catches_a_mutant(&judged)));
    let odd = Trial::test("odd_backends_are_on_record", odd_backends_are_on_record);
    trials.push(odd);
    let conclusion = libtest_mimic::run(&arguments, trials);
    if bless() {
        std::fs::write(in_repository("docs/kill-matrix.md"), page(&suite)).unwrap();
    }
    conclusion.exit_code()
}

fn trial(kind: &str, does: Behaviour, suite: &Arc<Suite>) -> Trial {
    let suite = Arc::clone(suite);
    Trial::test(format!("{kind}::{}", does.name()), move || {
        let report = judge(&suite, &plug(does));
        match does {
            Behaviour::Defective(defect) if bless() && !failed(&report).is_empty() => {
                let record = Expectation::new(defect, failed(&report));
                let path = mutants().join(format!("{}.json", defect.name()));
                Ok(std::fs::write(path, serde_json::to_string_pretty(&record)? + "\n")?)
            }
            Behaviour::Plain | Behaviour::Odd(_) | Behaviour::Defective(_) => {
                let checked = check(does, &report, &Expectations::embedded());
                checked.map_err(|surprise| Failed::from(format!("{surprise}\n{}", findings(&report))))
            }
        }
    })
}

/// The first finding of the first cases that failed.
fn findings(report: &Report) -> String {
    let found = report.cases.iter().filter_map(|case| Some((case, case.findings.first()?))).take(6);
    found
        .map(|(case, finding)| {
            let (seen_in, at) = (finding.seen_in.as_deref().unwrap_or_default(), &finding.at);
            format!("  {} {seen_in} {at}: expected {}, got {}\n", case.id, finding.expected, finding.got)
        })
        .collect()
}

fn every_case_catches_a_mutant(suite: &Suite) -> Result<(), Failed> {
    if bless() {
        return Ok(());
    }
    let on_record = Expectations::in_folder(&mutants())?;
    let killers = on_record.killers();
    let all = CaseInfo::all(suite);
    let applies = |case: &&CaseInfo| conformance::registry::Profile::Local.scores(&case.clauses);
    let idle: Vec<&str> = all
        .iter()
        .filter(applies)
        .map(|case| case.id.as_str())
        .filter(|id| !killers.contains_key(id) && !NOT_FOR_LOCAL.contains(id))
        .collect();
    let page_on_record = std::fs::read_to_string(in_repository("docs/kill-matrix.md"))?;
    if !idle.is_empty() {
        return Err(format!("no mutant fails {}", idle.join(", ")).into());
    }
    if page_on_record != page(suite) {
        return Err("docs/kill-matrix.md is out of date; run with KORA_BLESS=1".into());
    }
    Ok(())
}

/// What does not apply to a local backend, so that no mutant of one can fail it.
const NOT_FOR_LOCAL: [&str; 2] = ["C1.2-a-graph-runs-in-the-cloud", "C3.3-not-local"];

/// What each odd backend does and why that is right, as data.
fn odd_backends_are_on_record() -> Result<(), Failed> {
    for quirk in Quirk::ALL {
        let record = serde_json::json!({
            "quirk": quirk.name(), "story": quirk.story(), "legal_because": quirk.legal_because(),
        });
        let text = serde_json::to_string_pretty(&record)? + "\n";
        let path = in_repository("conformance/odd").join(format!("{}.json", quirk.name()));
        if bless() {
            std::fs::write(&path, text)?;
        } else if std::fs::read_to_string(&path).ok() != Some(text) {
            return Err(format!("{} is out of date; run with KORA_BLESS=1", path.display()).into());
        }
    }
    Ok(())
}

fn page(suite: &Suite) -> String {
    let all = CaseInfo::all(suite);
    let on_record = Expectations::in_folder(&mutants()).unwrap();
    kill_matrix(&on_record, all.iter().map(|case| (case.id.as_str(), case.title.as_str())))
}

fn bless() -> bool {
    std::env::var_os("KORA_BLESS").is_some()
}

fn mutants() -> PathBuf {
    in_repository("conformance/mutants")
}

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}
