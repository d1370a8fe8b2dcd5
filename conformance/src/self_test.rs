//! The suite's test of itself: who must pass passes, and each mutant fails exactly what it must (C2.6).
//!
//! A suite that finds nothing is green as well. So it is run on backends with one defect each, and for each of them the
//! exact set of cases that must fail is on record; and on odd backends that are right, which must pass.

mod expectation;
mod matrix;
mod whole;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::own::{Behaviour, Plain};
use crate::registry::Profile;
use crate::report::Report;
use crate::run::{RunOptions, run_suite};
use crate::subject::{InProcess, Introduction, Plug};
use crate::suite::Suite;
use crate::verdict::Verdict;

pub use self::expectation::{Expectation, Expectations, Fails};
pub use self::matrix::kill_matrix;
pub use self::whole::{Over, Tested, self_test};

/// One of the suite's own backends behind a plug of this process.
pub fn plug(does: Behaviour) -> Arc<dyn Plug> {
    let introduction = Introduction {
        name: does.name().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        backend_mode: String::from("local"),
    };
    Arc::new(InProcess::new(introduction, move |endpoint| Arc::new(Plain::that(does, endpoint))))
}

/// What the suite says of the backend behind `plug`, in the widest profile that a local backend has.
pub fn judge(suite: &Suite, plug: &Arc<dyn Plug>) -> Report {
    let options = RunOptions {
        profile: Profile::Local,
        // Enough to catch whoever breaks a relation often.
        graphs: 8,
        jobs: 1,
        watchdog: Duration::from_secs(300),
        ..RunOptions::default()
    };
    run_suite(suite, plug, &options)
}

/// The cases and laws that failed.
pub fn failed(report: &Report) -> BTreeSet<String> {
    let red = |verdict| matches!(verdict, Verdict::Fail | Verdict::Untestable);
    report.cases.iter().filter(|case| red(case.verdict)).map(|case| case.id.clone()).collect()
}

/// What is wrong with the suite, or with what is on record about it.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum Surprise {
    /// A backend that is right has failed.
    #[error("`{backend}` is right and fails {}", listed(.cases))]
    RightAndFails {
        /// Its name.
        backend: &'static str,
        /// What it fails.
        cases: BTreeSet<String>,
    },
    /// No case could be judged.
    #[error("`{backend}`: no verdict on {}", listed(.cases))]
    NoVerdict {
        /// Its name.
        backend: &'static str,
        /// Cases that the suite itself could not judge.
        cases: BTreeSet<String>,
    },
    /// A mutant that nobody catches.
    #[error("mutant `{mutant}` survives: no case fails")]
    Survives {
        /// Its name.
        mutant: &'static str,
    },
    /// A mutant fails other cases than are on record.
    #[error("mutant `{mutant}` also fails {}; and no longer {}", listed(.more), listed(.fewer))]
    FailsOthers {
        /// Its name.
        mutant: &'static str,
        /// What it fails beyond the record.
        more: BTreeSet<String>,
        /// What it fails no more.
        fewer: BTreeSet<String>,
    },
    /// A mutant of which nothing is on record.
    #[error("mutant `{mutant}` is not on record; run with KORA_BLESS=1 and look at what it fails")]
    NotOnRecord {
        /// Its name.
        mutant: &'static str,
    },
}

/// Compares what failed with what should.
///
/// # Errors
///
/// The [`Surprise`].
pub fn check(does: Behaviour, report: &Report, expectations: &Expectations) -> Result<(), Surprise> {
    let backend = does.name();
    let open = |verdict| matches!(verdict, Verdict::HarnessError | Verdict::Inconclusive);
    let cases: BTreeSet<String> =
        report.cases.iter().filter(|case| open(case.verdict)).map(|case| case.id.clone()).collect();
    if !cases.is_empty() {
        return Err(Surprise::NoVerdict { backend, cases });
    }
    let failed = failed(report);
    match does {
        Behaviour::Plain | Behaviour::Odd(_) if failed.is_empty() => Ok(()),
        Behaviour::Plain | Behaviour::Odd(_) => Err(Surprise::RightAndFails { backend, cases: failed }),
        Behaviour::Defective(_) if failed.is_empty() => Err(Surprise::Survives { mutant: backend }),
        Behaviour::Defective(defect) => match expectations.of(defect).map(|expectation| &expectation.fails) {
            None => Err(Surprise::NotOnRecord { mutant: backend }),
            Some(Fails::Most) => Ok(()),
            Some(Fails::Exactly(expected)) if *expected == failed => Ok(()),
            Some(Fails::Exactly(expected)) => Err(Surprise::FailsOthers {
                mutant: backend,
                more: failed.difference(expected).cloned().collect(),
                fewer: expected.difference(&failed).cloned().collect(),
            }),
        },
    }
}

fn listed(cases: &BTreeSet<String>) -> String {
    if cases.is_empty() {
        return String::from("nothing");
    }
    let first: Vec<&str> = cases.iter().take(12).map(String::as_str).collect();
    let more = cases.len().saturating_sub(first.len());
    if more == 0 { first.join(", ") } else { format!("{}, and {more} more", first.join(", ")) }
}
