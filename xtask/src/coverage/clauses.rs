//! The list of clauses, `docs/clauses.md`, read.

use std::fmt;
use std::sync::LazyLock;

use regex::Regex;

/// Where the list is.
pub(super) const PATH: &str = "docs/clauses.md";

/// `C7.3`: section and number. Ordered as in the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ClauseId {
    section: u32,
    number: u32,
}

/// One clause.
#[derive(Debug, Clone)]
pub(super) struct Clause {
    pub(super) id: ClauseId,
    /// Its words, as Markdown on one line.
    pub(super) says: String,
    /// The heading that it stands under, without the `## `.
    pub(super) section: String,
    /// Its line in the list.
    pub(super) line: usize,
}

impl fmt::Display for ClauseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "C{}.{}", self.section, self.number)
    }
}

#[expect(clippy::unwrap_used, reason = "the pattern is a constant, and a test uses it")]
static ID: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bC(\d{1,3})\.(\d{1,3})\b").unwrap());

#[expect(clippy::unwrap_used, reason = "the pattern is a constant, and a test uses it")]
static IN_NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?:^|_)c(\d{1,3})_(\d{1,3})(?:_|$)").unwrap());

#[expect(clippy::unwrap_used, reason = "the pattern is a constant, and a test uses it")]
static ENTRY: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\*\*C(\d{1,3})\.(\d{1,3})\*\*").unwrap());

/// Every clause that `text` cites: `C7.3` anywhere.
pub(super) fn cited(text: &str) -> Vec<ClauseId> {
    ids(&ID, text)
}

/// Every clause that the name of a test cites: `c7_3_retries_stop`.
pub(super) fn cited_by_name(name: &str) -> Vec<ClauseId> {
    ids(&IN_NAME, name)
}

fn ids(pattern: &Regex, text: &str) -> Vec<ClauseId> {
    let id = |captures: regex::Captures<'_>| {
        Some(ClauseId { section: captures[1].parse().ok()?, number: captures[2].parse().ok()? })
    };
    pattern.captures_iter(text).filter_map(id).collect()
}

/// Reads the list: a clause is `**C7.3** what it says`, up to the next one or the end of its line.
///
/// # Errors
///
/// Returns an error if there is no clause, or the same one twice.
pub(super) fn parse(list: &str) -> anyhow::Result<Vec<Clause>> {
    let mut clauses: Vec<Clause> = Vec::new();
    let mut section = String::new();
    for (index, line) in list.lines().enumerate() {
        if let Some(heading) = line.strip_prefix("## ") {
            heading.trim().clone_into(&mut section);
        }
        let entries: Vec<_> = ENTRY.find_iter(line).collect();
        for (at, entry) in entries.iter().enumerate() {
            let end = entries.get(at + 1).map_or(line.len(), |next| next.start());
            let Some(id) = cited(entry.as_str()).first().copied() else { continue };
            let says = line[entry.end()..end].trim().trim_end_matches(';').to_owned();
            anyhow::ensure!(!clauses.iter().any(|clause| clause.id == id), "{PATH} lists {id} twice");
            clauses.push(Clause { id, says, section: section.clone(), line: index + 1 });
        }
    }
    anyhow::ensure!(!clauses.is_empty(), "{PATH} lists no clause");
    Ok(clauses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_clauses_on_a_line_are_told_apart() {
        let list = "# T\n## §4 Local\n- **C4.1** runs; **C4.2** calls a | model;\n\n## Reading\n- **Time (C7.4).** x\n";
        let clauses = parse(list).unwrap();
        let read: Vec<_> = clauses.iter().map(|c| (c.id.to_string(), c.says.as_str(), c.line)).collect();
        assert_eq!(read, [("C4.1".to_owned(), "runs", 3), ("C4.2".to_owned(), "calls a | model", 3)]);
        assert!(clauses.iter().all(|clause| clause.section == "§4 Local"));
    }

    #[test]
    fn an_empty_list_and_a_clause_listed_twice_are_errors() {
        assert!(parse("# nothing").is_err());
        assert!(parse("- **C1.1** a\n- **C1.1** b\n").is_err());
    }

    #[test]
    fn citations_are_whole_ids() {
        let ids = |found: Vec<ClauseId>| found.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(ids(cited("as (C7.3, C10.1) and not RFC7.3, C5.*, C7")), ["C7.3", "C10.1"]);
        assert_eq!(ids(cited_by_name("c7_3_retries_stop")), ["C7.3"]);
        assert_eq!(ids(cited_by_name("retries_stop_c10_1")), ["C10.1"]);
        assert!(cited_by_name("abc7_3x").is_empty());
    }
}
