//! `kora-backend conformance doctor`: whether a backend can be judged at all.

use std::fmt::Write as _;

use conformance::{Check, Health, RunOptions, doctor};

use super::subject::SubjectArgs;
use crate::exit::Exit;
use crate::refused::CommandError;
use crate::screen::{self, BAD, FAINT, GOOD};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    subject: SubjectArgs,
    /// Print what was found as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Looks, and tells.
///
/// # Errors
///
/// A backend that cannot be named, or an output that cannot be written.
pub(super) fn run(args: &Args) -> Result<Exit, CommandError> {
    let opened = args.subject.open()?;
    let options = RunOptions {
        answer_deadline: args.subject.answer_deadline(),
        model: opened.model.clone(),
        ..RunOptions::default()
    };
    let checks = doctor(&opened.plug, &options).map_err(CommandError::Suite)?;
    let ill = checks.iter().any(|check| check.found == Health::Ill);
    if args.json {
        screen::print_json(&checks)?;
    } else {
        let mut said: String = checks.iter().map(in_words).collect();
        if !ill {
            let _ = write!(said, "\nready: kora-backend conformance run {}\n", args.subject.in_words());
        }
        screen::print(&said)?;
    }
    Ok(if ill { Exit::NotConformant } else { Exit::Success })
}

fn in_words(check: &Check) -> String {
    let mark = match check.found {
        Health::Well => format!("{GOOD}well{GOOD:#}"),
        Health::Ill => format!("{BAD}ill {BAD:#}"),
        Health::NotLookedAt => format!("{FAINT}--  {FAINT:#}"),
    };
    let mut said = format!("{mark}  {}\n", check.title);
    for line in screen::visible(&check.detail).lines() {
        let _ = writeln!(said, "      {FAINT}{line}{FAINT:#}");
    }
    if let Some(hint) = check.hint {
        let _ = writeln!(said, "      help: {hint}");
    }
    said
}
