//! `cargo xtask tidy`: conventions that no compiler checks.

mod markdown;
mod rust;
mod tree;
mod words;

use crate::finding::{Finding, report};
use crate::metadata::Metadata;
use crate::workspace;

/// Checks every file of the workspace.
///
/// # Errors
///
/// Returns an error that counts the findings, after printing each.
pub(crate) fn run() -> anyhow::Result<()> {
    report("tidy", findings()?)
}

fn findings() -> anyhow::Result<Vec<Finding>> {
    let root = workspace::root();
    let files = workspace::text_files(&root)?;
    let mut findings = tree::check(&files, &Metadata::load(&root)?);
    for file in &files {
        findings.extend(words::check(file));
        if file.path.ends_with(".rs") {
            findings.extend(rust::check(file));
        } else if file.path.ends_with(".md") {
            findings.extend(markdown::check(file, &root));
        }
    }
    Ok(findings)
}

/// A file that tests make up.
#[cfg(test)]
fn sample(path: &str, text: &str) -> workspace::TextFile {
    workspace::TextFile { path: path.to_owned(), text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_workspace_is_tidy() {
        let findings: Vec<String> = super::findings().unwrap().iter().map(ToString::to_string).collect();
        assert!(findings.is_empty(), "{findings:#?}");
    }
}
