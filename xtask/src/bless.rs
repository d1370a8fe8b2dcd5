//! `cargo xtask bless`: every generated file of the repository, written by one command.

use std::path::Path;

use crate::finding::{Finding, report};
use crate::{coverage, workspace};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail if a file is not what would be written
    #[arg(long)]
    check: bool,
}

/// A file that is made and never edited.
struct Generated {
    /// Relative to the root.
    path: &'static str,
    make: fn(&Path) -> anyhow::Result<String>,
}

/// Every generated file; add one line for a new one. Snapshots of tests are `insta`'s business.
///
/// A crate that makes a page of its own is a dependency of this one, as the layers allow.
const GENERATED: &[Generated] = &[
    Generated { path: "docs/coverage.md", make: coverage::page },
    Generated { path: "docs/operations.md", make: |_| Ok(operations::reference_page()) },
    Generated { path: "crates/krako-contract/openapi.json", make: |_| Ok(krako_contract::openapi()) },
    Generated { path: "crates/krako-contract/schemas/submission.json", make: |_| schema("submission") },
    Generated { path: "crates/krako-contract/schemas/session.json", make: |_| schema("session") },
    Generated {
        path: "crates/krako-contract/schemas/execution-session.json",
        make: |_| schema("execution-session"),
    },
    Generated { path: "crates/krako-contract/schemas/event.json", make: |_| schema("event") },
    Generated { path: "crates/krako-contract/schemas/error.json", make: |_| schema("error") },
    Generated { path: "crates/krako-contract/schemas/usage.json", make: |_| schema("usage") },
    Generated { path: "crates/krako-contract/schemas/health.json", make: |_| schema("health") },
    Generated { path: "crates/krako-contract/schemas/capabilities.json", make: |_| schema("capabilities") },
];

/// A document of Krako's wire.
fn schema(name: &str) -> anyhow::Result<String> {
    krako_contract::schema(name).ok_or_else(|| anyhow::anyhow!("krako-contract has no schema `{name}`"))
}

/// Writes every generated file, or checks that each is up to date.
///
/// # Errors
///
/// Returns an error if a file cannot be made or written, or with `--check` if one is out of date.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    bless(args.check)
}

/// Checks that every generated file is up to date.
///
/// # Errors
///
/// Returns an error if one is not, or cannot be made.
pub(crate) fn check() -> anyhow::Result<()> {
    bless(true)
}

fn bless(check: bool) -> anyhow::Result<()> {
    let root = workspace::root();
    let mut stale = Vec::new();
    for file in GENERATED {
        let made = (file.make)(&root)?;
        let path = root.join(file.path);
        // Whatever the reason that it cannot be read: it is not what we would write.
        if std::fs::read_to_string(&path).is_ok_and(|text| text == made) {
            continue;
        }
        if check {
            stale.push(Finding::new(
                file.path,
                "is out of date: run `cargo xtask bless` and commit the result",
            ));
        } else {
            std::fs::write(&path, made)?;
            println!("wrote {}", file.path);
        }
    }
    report("bless", stale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_of_the_wire_is_a_file() {
        for name in krako_contract::SCHEMAS {
            let path = format!("crates/krako-contract/schemas/{name}.json");
            assert!(GENERATED.iter().any(|file| file.path == path), "{path}");
        }
    }
}
