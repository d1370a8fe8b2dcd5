//! `cargo xtask layers`: the architecture as a check of the import graph, not a hope.
//!
//! What holds is one table, [`table`]. Three readings of the workspace are held against it: which of our
//! crates a crate names, what it can reach through everybody's dependencies, and what its source says.

mod graph;
mod scan;
mod table;

use crate::finding::{Finding, report};
use crate::metadata::Metadata;
use crate::workspace;

/// Checks the workspace against the table.
///
/// # Errors
///
/// Returns an error that counts the violations, after printing each with its reason.
pub(crate) fn run() -> anyhow::Result<()> {
    let root = workspace::root();
    let metadata = Metadata::load(&root)?;
    let files = workspace::text_files(&root)?;
    let mut findings = graph::check(&metadata);
    if let Some(manifest) = files.iter().find(|file| file.path == "Cargo.toml") {
        findings.extend(graph::check_order(&manifest.text));
    }
    findings.extend(scan::check(&files));
    report("layers", findings)
}

/// A finding about the crate `name`, with the reason of the rule that it breaks.
fn broken(name: &str, what: &str, because: &str) -> Finding {
    Finding::new(name, format!("{what}; {because}"))
}
