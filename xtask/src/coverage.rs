//! `cargo xtask coverage`: from each clause of the contract to the code that enforces it and the tests that show it.
//!
//! A comment that cites a clause in a product source says "enforced here"; one on a test says "shown here".
//! `docs/STYLE.md` tells how to write them.

mod citations;
mod clauses;
mod exempt;
mod page;

use std::path::Path;

use self::citations::Citations;
use self::clauses::Clause;
use crate::finding::{Finding, report};
use crate::metadata::Metadata;
use crate::workspace;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Fail if a clause that the workspace must uphold is enforced nowhere or shown by no test
    #[arg(long)]
    check: bool,
}

/// What the page and the check are made of.
struct Coverage {
    clauses: Vec<Clause>,
    citations: Citations,
    /// Names of our crates: some clauses wait for one.
    crates: Vec<String>,
}

/// Prints the page, or checks that nothing is missing.
///
/// # Errors
///
/// Returns an error if the workspace cannot be read, or with `--check` if a clause lacks a place or a test,
/// or if something cites a clause that does not exist.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if args.check {
        return check();
    }
    print!("{}", page(&workspace::root())?);
    Ok(())
}

/// Checks that every clause which must be is enforced and shown.
///
/// # Errors
///
/// Returns an error that counts the findings, after printing each.
pub(crate) fn check() -> anyhow::Result<()> {
    report("coverage", read(&workspace::root())?.findings())
}

/// The text of `docs/coverage.md`.
///
/// # Errors
///
/// Returns an error if the workspace cannot be read.
pub(crate) fn page(root: &Path) -> anyhow::Result<String> {
    Ok(page::render(&read(root)?))
}

fn read(root: &Path) -> anyhow::Result<Coverage> {
    let files = workspace::text_files(root)?;
    let Some(list) = files.iter().find(|file| file.path == clauses::PATH) else {
        anyhow::bail!("{} is missing: it lists the clauses", clauses::PATH);
    };
    Ok(Coverage {
        clauses: clauses::parse(&list.text)?,
        citations: Citations::read(&files),
        crates: Metadata::load(root)?.members().into_keys().map(str::to_owned).collect(),
    })
}

impl Coverage {
    fn findings(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = self.citations.unreadable.clone();
        for (id, places) in &self.citations.mentioned {
            if !self.clauses.iter().any(|clause| clause.id == *id) {
                findings.extend(places.iter().map(|(path, line)| {
                    Finding::at(
                        path,
                        *line,
                        format!("cites {id}, and `{}` has no such clause", clauses::PATH),
                    )
                }));
            }
        }
        for exemption in exempt::EXEMPT {
            if !self.clauses.iter().any(|clause| clause.id.to_string() == exemption.clause) {
                let message = format!("exempts {}, and there is no such clause", exemption.clause);
                findings.push(Finding::new("xtask/src/coverage/exempt.rs", message));
            }
        }
        for clause in &self.clauses {
            if exempt::reason(clause.id, &self.crates).is_some() {
                continue;
            }
            let id = clause.id;
            if !self.citations.enforced.contains_key(&id) {
                let message =
                    format!("{id} is enforced nowhere: cite it in a comment where the code upholds it");
                findings.push(Finding::at(clauses::PATH, clause.line, message));
            }
            if !self.citations.shown.contains_key(&id) {
                let message = format!("{id} is shown by no test: write `// shows {id}` above one that does");
                findings.push(Finding::at(clauses::PATH, clause.line, message));
            }
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::TextFile;

    fn coverage(sources: &[(&str, &str)]) -> Coverage {
        let files: Vec<_> = sources
            .iter()
            .map(|(path, text)| TextFile { path: (*path).to_owned(), text: (*text).to_owned() })
            .collect();
        Coverage {
            clauses: clauses::parse("## §7 Budgets\n- **C7.3** Retry caps. **C5.2** Receives.\n").unwrap(),
            citations: Citations::read(&files),
            crates: vec!["engine".to_owned()],
        }
    }

    fn check(sources: &[(&str, &str)], expected: &[&str]) {
        let mut findings: Vec<String> =
            coverage(sources).findings().iter().map(ToString::to_string).collect();
        // The small list here lacks most of the clauses that the table exempts.
        findings.retain(|finding| !finding.contains("exempts"));
        assert_eq!(findings, expected);
    }

    const ENFORCED: (&str, &str) = ("crates/engine/src/retry.rs", "//! Retries stop at the cap (C7.3).\n");
    const SHOWN: (&str, &str) =
        ("crates/engine/tests/retry.rs", "//! Tests.\n\n// shows C7.3\n#[test]\nfn a_cap_is_a_cap() {}\n");

    #[test]
    fn a_clause_with_a_place_and_a_test_is_covered() {
        check(&[ENFORCED, SHOWN], &[]);
    }

    #[test]
    fn a_clause_without_a_test_or_without_a_place_is_a_finding() {
        let no_test =
            "docs/clauses.md:2: C7.3 is shown by no test: write `// shows C7.3` above one that does";
        let no_place =
            "docs/clauses.md:2: C7.3 is enforced nowhere: cite it in a comment where the code upholds it";
        check(&[ENFORCED], &[no_test]);
        check(&[SHOWN], &[no_place]);
        check(&[], &[no_place, no_test]);
    }

    #[test]
    fn a_clause_that_does_not_exist_is_a_finding_where_it_is_cited() {
        let wrong = ("crates/engine/src/run.rs", "//! Idea.\n\n// As asked (C99.1).\n");
        check(
            &[ENFORCED, SHOWN, wrong],
            &["crates/engine/src/run.rs:3: cites C99.1, and `docs/clauses.md` has no such clause"],
        );
        let wrong = ("docs/GLOSSARY.md", "# Words\n\nSee C98.2.\n");
        check(
            &[ENFORCED, SHOWN, wrong],
            &["docs/GLOSSARY.md:3: cites C98.2, and `docs/clauses.md` has no such clause"],
        );
    }

    #[test]
    fn a_test_that_does_not_run_shows_nothing() {
        let ignored = ("crates/engine/src/a.rs", "//! A.\n// shows C7.3\n#[test]\n#[ignore]\nfn f() {}\n");
        let found = coverage(&[ENFORCED, ignored]).findings();
        assert!(found.iter().any(|finding| finding.to_string().contains("C7.3 is shown by no test")));
    }

    #[test]
    fn the_page_links_places_and_tests() {
        let page = page::render(&coverage(&[ENFORCED, SHOWN]));
        assert!(
            page.contains("| C7.3 | Retry caps. | [engine `retry`](../crates/engine/src/retry.rs) |"),
            "{page}"
        );
        assert!(page.contains("`a_cap_is_a_cap`"), "{page}");
        assert!(page.contains("waits for the crate `backend-krako`"), "{page}");
    }
}
