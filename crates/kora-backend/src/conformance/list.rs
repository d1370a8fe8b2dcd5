//! `kora-backend conformance list`: the cases.

use conformance::{CaseInfo, Suite};

use crate::exit::Exit;
use crate::refused::CommandError;
use crate::screen::{self, FAINT};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only those of this clause, or whose id begins so
    only: Option<String>,
    /// Print them as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Lists them.
///
/// # Errors
///
/// An output that cannot be written.
pub(super) fn run(args: &Args) -> Result<Exit, CommandError> {
    let suite = Suite::embedded().map_err(|error| CommandError::Suite(error.to_string()))?;
    let is_asked = |id: &str, clauses: &[String]| {
        args.only
            .as_deref()
            .is_none_or(|only| id.starts_with(only) || clauses.iter().any(|clause| clause == only))
    };
    let cases: Vec<_> =
        CaseInfo::all(&suite).into_iter().filter(|case| is_asked(&case.id, &case.clauses)).collect();
    if args.json {
        let documents: Vec<_> = cases
            .iter()
            .map(|case| {
                serde_json::json!({
                    "id": case.id, "title": case.title, "clauses": case.clauses, "scored": case.frozen,
                })
            })
            .collect();
        screen::print_json(&documents)?;
    } else {
        let lines: String = cases
            .iter()
            .map(|case| {
                let unscored = if case.frozen { "" } else { " (not scored)" };
                format!(
                    "{}{unscored}\n    {}  {FAINT}{}{FAINT:#}\n",
                    case.id,
                    case.title,
                    case.clauses.join(", ")
                )
            })
            .collect();
        screen::print(&lines)?;
    }
    if cases.is_empty() {
        let only = args.only.as_deref().unwrap_or_default();
        return Err(CommandError::Usage(format!(
            "no case of `{only}`: `kora-backend conformance list` shows all"
        )));
    }
    Ok(Exit::Success)
}
