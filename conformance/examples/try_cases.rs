//! Runs cases on LocalBackend in this process and prints what does not hold: for whoever writes a case.
//!
//! `cargo run -p conformance --example try_cases -- [CASES_FOLDER] [CASE|CLAUSE]`

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use backend_local::{Backoff, LocalBackend, LocalConfig};
use backend_server::BackendService;
use conformance::model::BookAdapter;
use conformance::registry::Profile;
use conformance::{InProcess, Introduction, Plug, RunOptions, Suite, Verdict, run_suite};
use models::ModelRouter;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let suite = match arguments.next() {
        Some(folder) => Suite::in_folder(Path::new(&folder))?,
        None => Suite::embedded()?,
    };
    let introduction = Introduction {
        name: String::from("LocalBackend"),
        version: String::new(),
        backend_mode: String::from("local"),
    };
    let plug: Arc<dyn Plug> = Arc::new(InProcess::new(introduction, |endpoint| {
        let adapter = Arc::new(BookAdapter::new(Arc::clone(&endpoint.book)));
        let backend = LocalBackend::new(LocalConfig {
            models: ModelRouter::new(vec![adapter]).unwrap_or_else(|error| unreachable!("{error}")),
            backoff: Backoff { initial: Duration::from_millis(1), max: Duration::from_millis(5) },
            ..LocalConfig::default()
        });
        Arc::new(BackendService::new(Arc::new(backend)))
    }));
    let only = arguments.next();
    let report =
        run_suite(&suite, &plug, &RunOptions { profile: Profile::Local, only, ..RunOptions::default() });
    for case in &report.cases {
        match case.verdict {
            Verdict::Pass | Verdict::NotRun => {}
            Verdict::Fail => {
                println!("FAIL {}", case.id);
                if let Some(minimal) = &case.minimal {
                    println!("{minimal:#}");
                }
                for finding in &case.findings {
                    let seen_in = finding.seen_in.as_deref().unwrap_or_default();
                    println!("     run {} {seen_in} {}", finding.run, finding.at);
                    println!("       expected {}", finding.expected);
                    println!("       got      {}", finding.got);
                }
            }
            other @ (Verdict::NotApplicable
            | Verdict::Untestable
            | Verdict::Inconclusive
            | Verdict::HarnessError) => {
                println!("{} {}: {}", other.as_str(), case.id, case.reason.as_deref().unwrap_or_default())
            }
        }
    }
    println!("{:?} in {} ms", report.counts, report.provenance.duration_ms);
    Ok(())
}
