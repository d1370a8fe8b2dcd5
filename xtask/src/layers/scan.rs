//! The table against what product sources say; tests may say what they like.

use super::table::{UNSAID, Unsaid};
use crate::finding::Finding;
use crate::source::{Source, is_test_file};
use crate::workspace::TextFile;

/// Every barred path in the product sources of the crates that have a rule.
pub(super) fn check(files: &[TextFile]) -> Vec<Finding> {
    files.iter().flat_map(check_file).collect()
}

fn check_file(file: &TextFile) -> Vec<Finding> {
    let rules: Vec<&Unsaid> = UNSAID
        .iter()
        .filter(|rule| rule.crates.iter().any(|name| file.path.starts_with(&format!("crates/{name}/src/"))))
        .collect();
    if rules.is_empty() || !file.path.ends_with(".rs") || is_test_file(&file.path) {
        return Vec::new();
    }
    let source = match Source::parse(&file.text) {
        Ok(source) => source,
        Err(error) => return vec![Finding::new(&file.path, error.to_string())],
    };
    let mut findings = Vec::new();
    for (line, path) in source.paths() {
        if source.is_test_line(line) {
            continue;
        }
        for rule in rules.iter().filter(|rule| is_barred(&path, rule)) {
            findings.push(Finding::at(
                &file.path,
                line,
                format!("`{path}` may not be used here; {}", rule.because),
            ));
        }
    }
    findings
}

/// A barred path bars what is below it; a barred name of one segment bars every path that holds it.
fn is_barred(path: &str, rule: &Unsaid) -> bool {
    let below = |barred: &str| {
        path.strip_prefix(barred).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    let excepted = rule.except.iter().any(|except| below(except));
    let barred = rule.paths.iter().any(|barred| {
        if barred.contains("::") { below(barred) } else { path.split("::").any(|segment| segment == *barred) }
    });
    barred && !excepted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(path: &str, text: &str) -> TextFile {
        TextFile { path: path.to_owned(), text: text.to_owned() }
    }

    fn check(name: &str, text: &str, expected: &[&str]) {
        let file = sample(&format!("crates/{name}/src/run.rs"), text);
        let findings: Vec<String> = check_file(&file).iter().map(ToString::to_string).collect();
        assert_eq!(findings.len(), expected.len(), "{text}: {findings:#?}");
        for (finding, expected) in findings.iter().zip(expected) {
            let expected = format!("crates/{name}/src/run.rs:{expected}");
            assert!(finding.starts_with(&expected), "{finding:?} does not start with {expected:?}");
        }
    }

    // shows C6.1
    #[test]
    fn a_clock_in_the_engine_is_found_however_it_is_named() {
        check("engine", "use std::time::Instant;", &["1: `std::time::Instant` may not be used here; "]);
        check("engine", "use std::{\n  time,\n};", &["2: `std::time` may"]);
        check(
            "engine",
            "fn f() { log!(\"{}\", std::time::SystemTime::now()); }",
            &["1: `std::time::SystemTime"],
        );
    }

    #[test]
    fn a_duration_is_a_value_and_no_clock() {
        check("engine", "use std::time::Duration;", &[]);
        check("engine", "fn f() { std::time::Duration::from_millis(1); }", &[]);
        check("engine", "use core::time::Duration;", &[]);
    }

    // shows C6.1
    #[test]
    fn an_unordered_map_in_the_engine_is_found() {
        check("engine", "use std::collections::HashMap;", &["1: `std::collections::HashMap`"]);
        check("engine", "fn f(_: rustc_hash::FxHashMap<u8, u8>) {}", &["1: `rustc_hash::FxHashMap`"]);
        check("kora-ir", "use std::collections::HashMap;", &[]);
    }

    // shows C2.1
    #[test]
    fn an_operation_that_opens_a_file_or_a_socket_is_found() {
        check("operations", "fn f() { std::fs::read(\"x\"); }", &["1: `std::fs::read`"]);
        check("operations", "use std::net::TcpStream;", &["1: `std::net::TcpStream`"]);
    }

    // shows C4.6
    #[test]
    fn a_local_backend_that_opens_a_socket_is_found() {
        check("backend-local", "use tokio::net::TcpListener;", &["1: `tokio::net::TcpListener`"]);
        check("backend-local", "use std::time::Instant;", &[]);
    }

    #[test]
    fn tests_may_say_what_they_like() {
        assert_eq!(check_file(&sample("crates/engine/src/run/tests.rs", "use std::time::Instant;")), []);
        check("engine", "#[cfg(test)]\nmod tests {\n    use std::time::Instant;\n}", &[]);
    }

    #[test]
    fn a_file_that_is_not_rust_is_a_finding() {
        check("engine", "fn f( {", &[" not Rust"]);
    }
}
