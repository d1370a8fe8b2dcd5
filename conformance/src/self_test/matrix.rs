//! The kill matrix as a page: which case catches which mutant.

use std::fmt::Write;

use super::{Expectations, Fails};
use crate::own::Quirk;

/// Mutants that are named for a case; the others are counted.
const NAMED: usize = 4;

/// The page in Markdown. `cases` are the ids and titles of all cases and laws, in their order.
pub fn kill_matrix<'a>(
    expectations: &Expectations,
    cases: impl Iterator<Item = (&'a str, &'a str)>,
) -> String {
    let killers = expectations.killers();
    let mut page = String::from(
        "<!-- Generated from `conformance/mutants` by `KORA_BLESS=1 cargo test -p conformance --test self_test`. -->\n\n\
         # Kill matrix\n\n\
         The suite tests itself: mutants, backends with one defect each, must fail exactly the cases that are on\n\
         record, and odd backends that are right must pass. A case that catches no mutant proves nothing.\n\n\
         ## Cases and laws, and the mutants that they catch\n\n\
         | case | holds in a good backend | mutants that fail it, the most particular first |\n|---|---|---|\n",
    );
    for (case, title) in cases {
        let found = killers.get(case).map_or(&[][..], Vec::as_slice);
        let named: Vec<String> =
            found.iter().take(NAMED).map(|killer| format!("`{}`", killer.defect)).collect();
        let more = match found.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let named = if named.is_empty() { String::from("none") } else { named.join(", ") };
        let _ = writeln!(page, "| {case} | {} | {named}{more} |", cell(title));
    }
    page.push_str("\n## Mutants\n\n| mutant | breaks | what it does | fails |\n|---|---|---|---|\n");
    for expectation in expectations.iter() {
        let fails = match &expectation.fails {
            Fails::Most => String::from("most"),
            Fails::Exactly(cases) => cases.len().to_string(),
        };
        let (defect, clause, story) = (&expectation.defect, &expectation.clause, cell(&expectation.story));
        let _ = writeln!(page, "| `{defect}` | {clause} | {story} | {fails} |");
    }
    page.push_str(
        "\n## Odd backends that pass\n\n| oddity | what it does | why that is right |\n|---|---|---|\n",
    );
    for quirk in Quirk::ALL {
        let (name, story, because) = (quirk.name(), cell(quirk.story()), cell(quirk.legal_because()));
        let _ = writeln!(page, "| `{name}` | {story} | {because} |");
    }
    page
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
