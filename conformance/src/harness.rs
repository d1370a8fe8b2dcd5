//! The suite as the `main` of a test target, so that `cargo test` and nextest list and run each case by its id.

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::case_info::CaseInfo;
use crate::registry::Profile;
use crate::report::Report;
use crate::run::{RunOptions, run_suite};
use crate::subject::Plug;
use crate::suite::Suite;
use crate::verdict::Verdict;

/// Judges the backend behind `plug`: for the `main` of a test target that has `harness = false`.
///
/// A case that does not apply passes. Run as one process, the suite runs once, whatever is filtered; with `--exact`,
/// as nextest asks, a case runs alone, and a law with the cases that it looks at.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use conformance::registry::Profile;
/// use conformance::{InProcess, Introduction};
///
/// fn main() -> std::process::ExitCode {
///     let introduction = Introduction {
///         name: "mine".into(),
///         version: "0.1.0".into(),
///         backend_mode: "local".into(),
///     };
///     // The factory makes your backend; its model is the suite's, at `endpoint`.
///     let plug = InProcess::new(introduction, |endpoint| Arc::new(conformance::own::Plain::new(endpoint)));
///     conformance::harness(Arc::new(plug), Profile::Core)
/// }
/// ```
pub fn harness(plug: Arc<dyn Plug>, profile: Profile) -> ExitCode {
    let arguments = Arguments::from_args();
    let suite = match Suite::embedded() {
        Ok(suite) => Arc::new(suite),
        Err(error) => {
            let broken = Trial::test("every_case_reads", move || Err(Failed::from(error.to_string())));
            return libtest_mimic::run(&arguments, vec![broken]).exit_code();
        }
    };
    let alone = arguments.exact && arguments.filter.is_some();
    let judge = Arc::new(Judge { suite, plug, profile, report: OnceLock::new() });
    let cases = CaseInfo::all(&judge.suite).into_iter().filter(|case| profile.scores(&case.clauses));
    let trials = cases.map(|case| {
        let judge = Arc::clone(&judge);
        let kind = case.clauses.first().cloned().unwrap_or_default();
        Trial::test(case.id.clone(), move || judge.verdict(&case.id, alone)).with_kind(kind)
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

struct Judge {
    suite: Arc<Suite>,
    plug: Arc<dyn Plug>,
    profile: Profile,
    report: OnceLock<Report>,
}

impl Judge {
    fn verdict(&self, id: &str, alone: bool) -> Result<(), Failed> {
        let report =
            if alone { &self.run(Some(id.to_owned())) } else { self.report.get_or_init(|| self.run(None)) };
        let Some(case) = report.cases.iter().find(|case| case.id == id) else {
            return Err(Failed::from("the suite has no such case"));
        };
        match case.verdict {
            Verdict::Pass | Verdict::NotApplicable => Ok(()),
            Verdict::Fail
            | Verdict::Untestable
            | Verdict::Inconclusive
            | Verdict::NotRun
            | Verdict::HarnessError => {
                let only_this = Report { cases: vec![case.clone()], ..report.clone() };
                Err(Failed::from(only_this.to_terminal()))
            }
        }
    }

    fn run(&self, only: Option<String>) -> Report {
        run_suite(
            &self.suite,
            &self.plug,
            &RunOptions { profile: self.profile, only, ..RunOptions::default() },
        )
    }
}
