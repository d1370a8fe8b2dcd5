//! The small backends of `conformance/adapters` conform: other languages, other authors' code, the same verdict (C2.6).
#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it")]
#![expect(clippy::print_stderr, reason = "a test that cannot run says so")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio as Streams};
use std::sync::Arc;

use conformance::registry::Profile;
use conformance::{Conformance, Plug, Report, RunOptions, Stdio, StdioLimits, Suite, Verdict, run_suite};

fn adapters() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters")
}

/// The version of a program, if it is there and at least of the given MAJOR and MINOR.
fn has(program: &str, least: (u32, u32)) -> bool {
    let said = Command::new(program).arg("--version").stderr(Streams::null()).output();
    let Ok(said) = said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned()) else { return false };
    let digits = said.trim_start_matches(|letter: char| !letter.is_ascii_digit());
    let mut numbers = digits.split('.').map_while(|number| number.trim().parse().ok());
    numbers.next().zip(numbers.next()) >= Some(least)
}

/// Says loudly why nothing was tested; where `KORA_REQUIRE_ADAPTERS` is set, that is a failure.
fn skip(why: &str) {
    assert!(std::env::var_os("KORA_REQUIRE_ADAPTERS").is_none(), "not tested: {why}");
    eprintln!("SKIPPED: {why}");
}

fn conforms(words: &[&str], program: &Path) {
    let command = words.iter().map(|&word| word.to_owned()).chain([program.display().to_string()]).collect();
    let plug: Arc<dyn Plug> = Arc::new(Stdio::new(command, StdioLimits::default()).unwrap());
    // Fewer generated graphs than a release is judged by: each is a process of its own here.
    let options = RunOptions { profile: Profile::Core, graphs: 4, jobs: 4, ..RunOptions::default() };
    let report = run_suite(&Suite::embedded().unwrap(), &plug, &options);
    assert_eq!(report.conformance, Conformance::Conformant, "{}", failures(&report));
}

fn failures(report: &Report) -> String {
    let passed = |verdict| matches!(verdict, Verdict::Pass | Verdict::NotApplicable);
    let open = report.cases.iter().filter(|case| !passed(case.verdict) && case.verdict != Verdict::NotRun);
    let told = open.map(|case| format!("{} {}: {:#?}\n", case.verdict.as_str(), case.id, case.findings));
    told.collect()
}

/// The first block of the guide in this language, without its fences.
fn of_the_guide(language: &str) -> String {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guides/write-a-backend.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let (_, from) = guide.split_once(&format!("```{language}\n")).unwrap();
    from.split_once("```").unwrap().0.to_owned()
}

// shows C3.2
#[test]
fn the_graph_of_the_guide_is_valid() {
    kora_ir::CheckedGraph::parse(&of_the_guide("json"), &kora_ir::Limits::default()).unwrap();
}

// shows C3.2
#[test]
fn the_first_backend_of_the_guide_can_be_judged() {
    if !has("python3", (3, 9)) {
        return skip("there is no python3, or it is older than 3.9");
    }
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("first_backend.py");
    std::fs::write(&program, of_the_guide("python")).unwrap();
    let command = vec![String::from("python3"), program.display().to_string()];
    let plug: Arc<dyn Plug> = Arc::new(Stdio::new(command, StdioLimits::default()).unwrap());
    let options = RunOptions { only: Some(String::from("C3.2-cycle")), graphs: 0, ..RunOptions::default() };
    let report = run_suite(&Suite::embedded().unwrap(), &plug, &options);
    assert!(report.cases.iter().any(|case| case.verdict == Verdict::Pass), "nothing was judged");
    assert!(report.cases.iter().all(|case| case.verdict != Verdict::Fail), "{}", failures(&report));
}

// shows C2.6, C1.3
#[test]
fn the_python_backend_conforms() {
    if !has("python3", (3, 9)) {
        return skip("there is no python3, or it is older than 3.9");
    }
    conforms(&["python3"], &adapters().join("python/backend.py"));
}

// shows C2.6, C1.3
#[test]
fn the_typescript_backend_conforms() {
    let built = adapters().join("typescript/dist/backend.js");
    if has("node", (20, 3)) && built.exists() {
        conforms(&["node"], &built);
    } else if has("node", (22, 18)) {
        conforms(&["node"], &adapters().join("typescript/src/backend.ts"));
    } else {
        skip(
            "there is no node, or it is older than 22.18 and nobody ran `npm ci && npm run build` in conformance/adapters/typescript",
        );
    }
}
