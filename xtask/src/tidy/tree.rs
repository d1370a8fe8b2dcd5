//! Where files stand and what they are called.

use crate::finding::Finding;
use crate::metadata::Metadata;
use crate::workspace::TextFile;

/// Names that say nothing of what is inside.
const DRAWERS: &[&str] = &["utils", "util", "helpers", "helper", "misc", "common", "manager", "stuff"];

/// Every violation in the shape of the tree.
pub(super) fn check(files: &[TextFile], metadata: &Metadata) -> Vec<Finding> {
    let mut findings: Vec<Finding> = files.iter().filter_map(|file| check_path(&file.path)).collect();
    for (name, package) in metadata.members() {
        let mut parts = package.manifest_path.rsplit(['/', '\\']);
        let folder = parts.nth(1).unwrap_or_default();
        if folder != name {
            findings.push(Finding::new(
                name,
                format!("stands in the folder `{folder}`: a folder is named as its package"),
            ));
        }
    }
    findings
}

fn check_path(path: &str) -> Option<Finding> {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = file.strip_suffix(".rs")?;
    if DRAWERS.contains(&stem) {
        return Some(Finding::new(path, "is a drawer: name the file after the idea inside"));
    }
    // Cargo takes every other file of `tests/` for a test of its own.
    let shared_by_tests = folder.split('/').any(|part| part == "tests");
    if stem == "mod" && !shared_by_tests {
        return Some(Finding::new(path, "call it after its folder and put it beside: `name.rs` and `name/`"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawers_and_mod_rs_are_found() {
        assert!(check_path("crates/a/src/utils.rs").is_some());
        assert!(check_path("crates/a/src/b/mod.rs").is_some());
        assert!(check_path("crates/a/tests/shared/mod.rs").is_none());
        assert!(check_path("crates/a/src/retry.rs").is_none());
        assert!(check_path("docs/utils.md").is_none());
    }

    #[test]
    fn a_folder_that_is_not_named_as_its_package_is_found() {
        let metadata = |folder: &str| {
            serde_json::from_value(serde_json::json!({
                "packages": [{ "id": "a", "name": "engine", "manifest_path": format!("x/{folder}/Cargo.toml"),
                    "dependencies": [], "targets": [] }],
                "workspace_members": ["a"], "resolve": { "nodes": [] }
            }))
            .unwrap()
        };
        assert_eq!(check(&[], &metadata("engine")), []);
        assert_eq!(check(&[], &metadata("motor")).len(), 1);
    }
}
