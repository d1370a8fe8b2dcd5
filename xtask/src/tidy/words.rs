//! What no file may say: where it was written, on what, and for which ticket.

use std::sync::LazyLock;

use regex::Regex;

use crate::finding::Finding;
use crate::workspace::TextFile;

/// The registry that every locked package comes from, as cargo writes its default.
const DEFAULT_REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index"; // tidy: the one place

/// A line that ends like this is exempt from this check: for the lines that are the check.
const EXCEPTION: &str = "// tidy: the one place";

struct Word {
    pattern: Regex,
    instead: &'static str,
}

#[expect(clippy::unwrap_used, reason = "the patterns are constants, and a test uses them")]
static WORDS: LazyLock<Vec<Word>> = LazyLock::new(|| {
    let word = |pattern: &str, instead| Word { pattern: Regex::new(pattern).unwrap(), instead };
    vec![
        word(
            r#"(^|[\s"'`(=,])(/(work|root|home|Users)/|[A-Z]:\\Users\\)"#,
            "is a path of one machine: write it relative to the repository",
        ),
        word(r"/tmp/(target|brief|bash)", "is a path of one machine: write it relative to the repository"),
        word(
            r"(?i)crates\.io|[a]rtifactory|\bjfrog\.|replace-with\s*=",
            "names a registry: which one serves the packages is the machine's configuration",
        ),
        word(r"(?i)\b(issue|pull request|pr|fixes|closes) #\d+", "is a ticket: say what it is about"),
        word(r"(?i)^co-authored-by:", "belongs in no file"),
    ]
});

/// Every forbidden word of `file`. The lock file is cargo's own text, and is checked for its registry.
pub(super) fn check(file: &TextFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_lock = file.path.ends_with("Cargo.lock");
    for (index, line) in file.text.lines().enumerate() {
        if is_lock {
            let source = line.strip_prefix("source = \"").map(|source| source.trim_end_matches('"'));
            if source.is_some_and(|source| source != DEFAULT_REGISTRY) {
                let message =
                    "does not come from the default registry: lock it again on a plain configuration";
                findings.push(Finding::at(&file.path, index + 1, message));
            }
        } else if !line.ends_with(EXCEPTION) {
            for word in WORDS.iter() {
                if let Some(found) = word.pattern.find(line) {
                    let found = found.as_str().trim_start_matches([' ', '"', '\'', '`', '(', '=', ',']);
                    findings.push(Finding::at(&file.path, index + 1, format!("`{found}` {}", word.instead)));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::sample;

    fn check_finds(path: &str, text: &str, expected: usize) {
        let findings = check(&sample(path, text));
        assert_eq!(findings.len(), expected, "{text}: {findings:?}");
    }

    #[test]
    fn a_path_of_one_machine_is_found_and_a_pointer_is_not() {
        // Put together here, so that this file does not say them.
        for start in ["/wo", "/ho", "/ro"] {
            let end = match start {
                "/wo" => "rk/x",
                "/ho" => "me/x",
                _ => "ot/.cargo",
            };
            check_finds("a.md", &format!("see {start}{end}"), 1);
            check_finds("a.rs", &format!("let p = \"{start}{end}\";"), 1);
        }
        check_finds("a.md", "at `/root` of the graph, or https://example.org/work/1", 0);
    }

    #[test]
    fn a_registry_or_a_ticket_is_found() {
        check_finds("a.toml", &format!("# from {}.io", "crates"), 1);
        check_finds("a.rs", &format!("// see {} #12", "issue"), 1);
        check_finds("a.md", "the # 12 heading, colour #123456", 0);
    }

    #[test]
    fn a_locked_package_from_elsewhere_is_found() {
        check_finds("Cargo.lock", &format!("source = \"{DEFAULT_REGISTRY}\""), 0);
        check_finds("Cargo.lock", "source = \"registry+https://mirror.example\"", 1);
        check_finds("Cargo.lock", "source = \"git+https://example.org/x#abc\"", 1);
    }
}
