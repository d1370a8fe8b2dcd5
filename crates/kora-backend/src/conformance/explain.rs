//! `kora-backend conformance explain`: what a case, a clause or a section is about. Needs no network.

use conformance::registry::Registry;
use conformance::self_test::{Expectation, Expectations, Fails};
use conformance::{CaseInfo, MutantInfo, Suite, explain};

use crate::exit::Exit;
use crate::refused::CommandError;
use crate::screen;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A case (or a part of its id), a clause such as `C7.3`, or a section of the contract such as `7`
    what: String,
}

/// Explains it.
///
/// # Errors
///
/// A name of nothing, or an output that cannot be written.
pub(super) fn run(args: &Args) -> Result<Exit, CommandError> {
    let suite = Suite::embedded().map_err(|error| CommandError::Suite(error.to_string()))?;
    let said = explain(&args.what, Registry::load(), &CaseInfo::all(&suite), &mutants());
    screen::print(&said.map_err(|error| CommandError::Usage(error.to_string()))?)?;
    Ok(Exit::Success)
}

/// The mutants on record, and who catches them.
fn mutants() -> Vec<MutantInfo> {
    let expectations = Expectations::embedded();
    let told = |mutant: &Expectation| MutantInfo {
        name: mutant.defect.clone(),
        clause: mutant.clause.clone(),
        story: mutant.story.clone(),
        caught_by: match &mutant.fails {
            Fails::Exactly(cases) => Some(cases.iter().cloned().collect()),
            Fails::Most => None,
        },
    };
    expectations.iter().map(told).collect()
}
