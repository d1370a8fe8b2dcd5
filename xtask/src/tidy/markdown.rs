//! Links between pages lead somewhere.

use std::path::Path;

use pulldown_cmark::{Event, Options, Parser, Tag};

use crate::finding::Finding;
use crate::workspace::TextFile;

/// Every link or image of a page that names a file which is not there. Anchors and the web are not followed.
pub(super) fn check(file: &TextFile, root: &Path) -> Vec<Finding> {
    let folder = root.join(&file.path);
    let folder = folder.parent().unwrap_or(root);
    let mut findings = Vec::new();
    for (event, range) in Parser::new_ext(&file.text, Options::ENABLE_TABLES).into_offset_iter() {
        let Event::Start(Tag::Link { dest_url: target, .. } | Tag::Image { dest_url: target, .. }) = event
        else {
            continue;
        };
        let path = target.split(['#', '?']).next().unwrap_or_default();
        let leaves = target.contains("://") || target.starts_with("mailto:");
        if leaves || path.is_empty() || folder.join(path).exists() {
            continue;
        }
        let line = file.text[..range.start].matches('\n').count() + 1;
        findings.push(Finding::at(&file.path, line, format!("links to `{path}`, which does not exist")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::sample;
    use crate::workspace;

    fn check_finds(text: &str, expected: &[&str]) {
        let findings = check(&sample("docs/PAGE.md", text), &workspace::root());
        let findings: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(findings, expected, "{text}");
    }

    #[test]
    fn a_link_to_a_missing_file_is_found_with_its_line() {
        check_finds("[a](clauses.md), [b](../Cargo.toml#x), [c](https://example.org), [d](#here)", &[]);
        check_finds("x\n\n[a](gone.md)", &["docs/PAGE.md:3: links to `gone.md`, which does not exist"]);
        check_finds(
            "| a |\n|---|\n| [a](gone.md) |\n",
            &["docs/PAGE.md:3: links to `gone.md`, which does not exist"],
        );
    }

    #[test]
    fn code_is_no_link() {
        check_finds("`[a](gone.md)`", &[]);
    }
}
