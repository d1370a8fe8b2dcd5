//! `cargo xtask ci`: everything that must hold before a change is merged.

mod steps;
mod tally;

use std::time::{Duration, Instant};

use self::steps::{Outcome, STEPS, Step};
use self::tally::Tally;
use crate::workspace;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run this step only; may be repeated
    #[arg(long, value_name = "STEP", value_parser = steps::names())]
    only: Vec<String>,
    /// Print the steps and run nothing
    #[arg(long)]
    list: bool,
    /// Go on after a failed step
    #[arg(long)]
    keep_going: bool,
    /// Fail where a tool is missing, instead of skipping what needs it
    #[arg(long)]
    require_tools: bool,
}

/// A step that is over.
struct Done {
    step: &'static Step,
    took: Duration,
    outcome: anyhow::Result<Outcome>,
}

/// Runs the steps in order, up to the first that fails.
///
/// # Errors
///
/// Returns an error that names what failed, after a summary of every step.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if args.list {
        for step in STEPS {
            println!("{:<10} {}", step.name, step.says);
        }
        return Ok(());
    }
    let root = workspace::root();
    let chosen = STEPS.iter().filter(|step| is_chosen(step.name, &args.only));
    let mut tally = Tally::default();
    let mut all = Vec::new();
    for step in chosen {
        println!("\n== {}: {}", step.name, step.says);
        let start = Instant::now();
        let outcome = match (step.run)(&root, &mut tally) {
            Ok(Outcome::Skipped(missing)) if args.require_tools => Err(anyhow::anyhow!("{missing}")),
            outcome => outcome,
        };
        let took = start.elapsed();
        println!("== {} {} ({:.1} s)", step.name, verdict(&outcome), took.as_secs_f64());
        let failed = outcome.is_err();
        all.push(Done { step, took, outcome });
        if failed && !args.keep_going {
            break;
        }
    }
    summarize(&all, &tally)
}

fn is_chosen(step: &str, only: &[String]) -> bool {
    if only.is_empty() { !steps::ONLY_IF_NAMED.contains(&step) } else { only.iter().any(|name| name == step) }
}

fn verdict(outcome: &anyhow::Result<Outcome>) -> String {
    match outcome {
        Ok(Outcome::Passed) => "passed".to_owned(),
        Ok(Outcome::Skipped(missing)) => format!("SKIPPED: {missing}"),
        Err(error) => format!("FAILED: {error:#}"),
    }
}

/// Prints every step with its time, then what the test runner counted, last because it is looked for there.
fn summarize(all: &[Done], tally: &Tally) -> anyhow::Result<()> {
    println!("\nsummary");
    for done in all {
        println!("  {:<10} {:>7.1} s  {}", done.step.name, done.took.as_secs_f64(), verdict(&done.outcome));
    }
    for line in tally.lines() {
        println!("  {line}");
    }
    if tally.counted() {
        println!("{} passed, {} failed", tally.passed, tally.failed);
    }
    let failed: Vec<&str> =
        all.iter().filter(|done| done.outcome.is_err()).map(|done| done.step.name).collect();
    anyhow::ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_must_be_named_is_left_out_otherwise() {
        let names = steps::names();
        for step in steps::ONLY_IF_NAMED {
            assert!(names.iter().any(|name| name == step), "there is no step `{step}`");
            assert!(!is_chosen(step, &[]));
            assert!(is_chosen(step, &[(*step).to_owned()]));
            assert!(!is_chosen(step, &["test".to_owned()]));
        }
        assert!(is_chosen("test", &[]));
    }
}
