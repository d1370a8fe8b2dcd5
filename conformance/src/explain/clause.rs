//! A clause explained: ours and the contract's words, who can see it, by which cases.

use super::{LISTED, MutantInfo, Rows, quoted};
use crate::case_info::CaseInfo;
use crate::registry::{Clause, Profile, Registry};
use crate::report::plain;
use crate::report::terminal::STRONG;

pub(super) fn explained(clause: &Clause, cases: &[CaseInfo], mutants: &[MutantInfo]) -> String {
    let mut rows = Rows(format!(
        "{STRONG}{}{STRONG:#}  {}, {}\n",
        clause.id,
        clause.level.as_str(),
        clause.observed.in_words()
    ));
    rows.add_line("says", clause.text.as_str());
    if let Some((title, text)) = clause.in_the_contract() {
        rows.add_line("contract", format!("§{title}"));
        rows.add("", quoted(text));
    }
    rows.add("seen", clause.how.clone());
    rows.add("not seen", clause.reason.clone());
    let profiles = Profile::ALL.into_iter().filter(|profile| profile.includes(&clause.id));
    let profiles: Vec<&str> = profiles.map(Profile::as_str).collect();
    rows.add_line("counts", format!("with profile {}", profiles.join(", ")));
    let observing = cases.iter().filter(|case| case.clauses.contains(&clause.id));
    rows.add(
        "cases",
        observing.map(|case| plain::line(&format!("{}  {}", case.id, case.title), plain::TEXT)),
    );
    let of_it: Vec<&MutantInfo> = mutants.iter().filter(|mutant| mutant.clause == clause.id).collect();
    rows.add("mutants", of_it.iter().take(LISTED).map(|mutant| mutant.told()));
    if of_it.len() > LISTED {
        rows.add_line("", format!("and {} more", of_it.len() - LISTED));
    }
    rows.0
}

/// The clauses of a section. `None`: it has none.
pub(super) fn section(section: u32, registry: &Registry) -> Option<String> {
    let clauses: Vec<&Clause> =
        registry.clauses().iter().filter(|clause| clause.section() == Some(section)).collect();
    let (title, _) = clauses.first()?.in_the_contract()?;
    let mut rows = Rows(format!("{STRONG}§{title}{STRONG:#}\n"));
    for clause in clauses {
        rows.add_line(&clause.id, plain::line(&clause.text, plain::TEXT));
    }
    Some(rows.0)
}
