//! Who cites which clause: product code as its enforcer, tests as its proof.

use std::collections::{BTreeMap, BTreeSet};

use super::clauses::{ClauseId, cited, cited_by_name};
use crate::finding::Finding;
use crate::source::{Source, is_test_file};
use crate::workspace::TextFile;

/// Every citation of the workspace. Paths are relative to the root.
#[derive(Debug, Default)]
pub(super) struct Citations {
    /// Clause → files whose product code upholds it.
    pub(super) enforced: BTreeMap<ClauseId, BTreeSet<String>>,
    /// Clause → file → tests that show it.
    pub(super) shown: BTreeMap<ClauseId, BTreeMap<String, BTreeSet<String>>>,
    /// Clause → every place that mentions it, pages included.
    pub(super) mentioned: BTreeMap<ClauseId, BTreeSet<(String, usize)>>,
    /// Files that we could not take apart.
    pub(super) unreadable: Vec<Finding>,
}

impl Citations {
    /// Collects from all `files`.
    pub(super) fn read(files: &[TextFile]) -> Self {
        let mut citations = Self::default();
        for file in files {
            if file.path.ends_with(".rs") {
                match Source::parse(&file.text) {
                    Ok(source) => citations.read_source(&file.path, &source),
                    Err(error) => citations.unreadable.push(Finding::new(&file.path, error.to_string())),
                }
            } else if file.path.ends_with(".md") {
                for (index, line) in file.text.lines().enumerate() {
                    citations.mention(&file.path, index + 1, line);
                }
            }
        }
        citations
    }

    fn read_source(&mut self, path: &str, source: &Source) {
        let enforces = is_product(path);
        for comment in source.comments() {
            self.mention(path, comment.line, &comment.text);
            // `shows` above a whole module is about its tests, though it stands outside of it.
            if enforces && !source.is_test_line(comment.line) && !comment.text.contains("// shows C") {
                for id in cited(&comment.text) {
                    self.enforced.entry(id).or_default().insert(path.to_owned());
                }
            }
        }
        if !can_show(path) {
            return;
        }
        for test in source.tests() {
            let ids =
                test.comments.iter().flat_map(|comment| cited(comment)).chain(cited_by_name(&test.name));
            for id in ids {
                let tests = self.shown.entry(id).or_default().entry(path.to_owned()).or_default();
                tests.insert(test.name.clone());
            }
        }
    }

    fn mention(&mut self, path: &str, line: usize, text: &str) {
        for id in cited(text) {
            self.mentioned.entry(id).or_default().insert((path.to_owned(), line));
        }
    }
}

/// Whether `path` is product code, or a check that stands for it: the layers are enforced by `xtask`.
fn is_product(path: &str) -> bool {
    let of_a_crate = path.starts_with("crates/") && path.contains("/src/");
    (of_a_crate && !is_test_file(path)) || is_layers(path)
}

/// Whether tests of `path` are evidence about the product; those about `xtask` itself are not.
fn can_show(path: &str) -> bool {
    path.starts_with("crates/") || path.starts_with("conformance/") || is_layers(path)
}

fn is_layers(path: &str) -> bool {
    path.starts_with("xtask/src/layers")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str, text: &str) -> Citations {
        Citations::read(&[TextFile { path: path.to_owned(), text: text.to_owned() }])
    }

    fn check(path: &str, text: &str, enforced: usize, shown: usize) {
        let citations = read(path, text);
        assert_eq!((citations.enforced.len(), citations.shown.len()), (enforced, shown), "{citations:?}");
    }

    #[test]
    fn a_comment_in_product_code_enforces_and_one_on_a_test_shows() {
        check("crates/engine/src/a.rs", "/// Stops (C7.3).\nfn f() {}\n", 1, 0);
        check(
            "crates/engine/src/a.rs",
            "#[cfg(test)]\nmod tests {\n// shows C7.3\n#[test]\nfn f() {}\n}",
            0,
            1,
        );
        check("crates/engine/tests/a.rs", "// shows C7.3\n#[test]\nfn f() {}\n", 0, 1);
        check("crates/engine/tests/a.rs", "#[test]\nfn c7_3_holds() {}\n", 0, 1);
    }

    #[test]
    fn a_string_or_a_helper_of_tests_enforces_nothing() {
        check("crates/engine/src/a.rs", "const A: &str = \"see C7.3\";\n", 0, 0);
        check(
            "crates/engine/src/a.rs",
            "#[cfg(test)]\nmod tests {\n// As in C7.3.\nfn helper() {}\n}\n",
            0,
            0,
        );
        check("crates/engine/tests/a.rs", "// As in C7.3.\nfn helper() {}\n", 0, 0);
        check("crates/engine/src/a/tests.rs", "// As in C7.3.\nfn helper() {}\n", 0, 0);
    }

    #[test]
    fn xtask_counts_where_it_checks_layers_and_nowhere_else() {
        check("xtask/src/layers/table.rs", "// Alone (C4.6).\n", 1, 0);
        check("xtask/src/ci.rs", "// Alone (C4.6).\n// shows C4.6\n#[test]\nfn f() {}\n", 0, 0);
    }
}
