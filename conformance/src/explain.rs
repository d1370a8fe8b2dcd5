//! What a case or a clause is about, offline: the rule, how it is seen, what is allowed and what to look at first.

mod case;
mod clause;
mod mutant;

use std::fmt::Write as _;

use thiserror::Error;

use crate::case_info::CaseInfo;
use crate::registry::Registry;
use crate::report::plain;
use crate::report::terminal::FAINT;

pub use self::mutant::MutantInfo;

/// Ids that an answer lists before it only counts.
const LISTED: usize = 12;

/// Nothing is called like that.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum Unexplained {
    /// Not a clause, a section or a case.
    #[error("`{asked}` is no case and no clause{}", .nearest.as_ref().map_or_else(String::new, |near| format!(": did you mean `{near}`?")))]
    Unknown {
        /// What was asked for.
        asked: String,
        /// The id that is most like it.
        nearest: Option<String>,
    },
    /// Part of several ids.
    #[error("`{asked}` is part of several ids: {}", .ids.join(", "))]
    Several {
        /// What was asked for.
        asked: String,
        /// Some of them.
        ids: Vec<String>,
    },
}

/// Explains a case (`C7.3-always-bad`, or a part that only its id has), a clause (`C7.3` or `7.3`) or a section (`7`),
/// for a terminal.
///
/// # Errors
///
/// [`Unexplained`] if nothing or more than one thing is called like that.
pub fn explain(
    asked: &str,
    registry: &Registry,
    cases: &[CaseInfo],
    mutants: &[MutantInfo],
) -> Result<String, Unexplained> {
    let asked = asked.trim();
    if let Some(case) = cases.iter().find(|case| case.id == asked) {
        return Ok(case::explained(case, registry, mutants));
    }
    let id = asked.trim_start_matches(['c', 'C', '§']);
    if let Some(clause) = registry.clause(&format!("C{id}")) {
        return Ok(clause::explained(clause, cases, mutants));
    }
    if let Some(text) = id.parse().ok().and_then(|section| clause::section(section, registry)) {
        return Ok(text);
    }
    let lower = asked.to_lowercase();
    let like: Vec<&CaseInfo> =
        cases.iter().filter(|case| !lower.is_empty() && case.id.to_lowercase().contains(&lower)).collect();
    match like.as_slice() {
        [case] => Ok(case::explained(case, registry, mutants)),
        [] => Err(unknown(asked, registry, cases)),
        several => Err(Unexplained::Several {
            asked: plain::line(asked, plain::NAME),
            ids: several.iter().take(LISTED).map(|case| case.id.clone()).collect(),
        }),
    }
}

fn unknown(asked: &str, registry: &Registry, cases: &[CaseInfo]) -> Unexplained {
    let known = registry.clauses().iter().map(|clause| &clause.id).chain(cases.iter().map(|case| &case.id));
    // Distances cost the product of the lengths, and words this long are no slips.
    let near = (asked.len() <= 128).then(|| {
        let distances = known.map(|id| (strsim::osa_distance(&id.to_lowercase(), &asked.to_lowercase()), id));
        distances.min().filter(|(distance, id)| *distance <= id.len() / 3)
    });
    Unexplained::Unknown {
        asked: plain::line(asked, plain::NAME),
        nearest: near.flatten().map(|(_, id)| id.clone()),
    }
}

/// A labelled line, and lines below it without the label.
struct Rows(String);

impl Rows {
    fn add(&mut self, label: &str, lines: impl IntoIterator<Item = String>) {
        for (nth, line) in lines.into_iter().enumerate() {
            let label = if nth == 0 { label } else { "" };
            let _ = writeln!(self.0, "  {FAINT}{label:<9}{FAINT:#} {}", line.trim_end());
        }
    }

    fn add_line(&mut self, label: &str, line: impl Into<String>) {
        self.add(label, [line.into()]);
    }
}

/// Lines of a document, marked as such.
fn quoted(text: &str) -> impl Iterator<Item = String> {
    text.lines().map(|line| format!("{FAINT}│{FAINT:#} {}", plain::line(line.trim_end(), plain::TEXT)))
}

#[cfg(test)]
mod tests;
