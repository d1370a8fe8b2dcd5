//! Counting tests from what their runner prints.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::LazyLock;

use anyhow::Context as _;
use regex::Regex;

/// What the runners said so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) passed: u64,
    pub(super) failed: u64,
    lines: Vec<String>,
}

#[expect(clippy::unwrap_used, reason = "the pattern is a constant, and a test uses it")]
static SUMMARY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s*Summary \[.*tests? run:|^test result: ").unwrap());

#[expect(clippy::unwrap_used, reason = "the pattern is a constant, and a test uses it")]
static COUNT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(\d+) (passed|failed|timed out|exec failed)\b").unwrap());

impl Tally {
    /// Takes note of `line` if a runner sums up in it: nextest's `Summary`, or the `test result` of a test binary.
    fn note(&mut self, line: &str) {
        if !SUMMARY.is_match(line) {
            return;
        }
        for count in COUNT.captures_iter(line) {
            let number: u64 = count[1].parse().unwrap_or(0);
            let counter = if &count[2] == "passed" { &mut self.passed } else { &mut self.failed };
            *counter = counter.saturating_add(number);
        }
        // One line for each test binary would bury the one that matters.
        if line.trim_start().starts_with("Summary") {
            self.lines.push(line.trim().to_owned());
        }
    }

    /// The runners' own words, where they have a single line for them.
    pub(super) fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Whether any test ran.
    pub(super) fn counted(&self) -> bool {
        self.passed > 0 || self.failed > 0
    }
}

/// Runs `command`, copying its output through line by line while counting.
///
/// # Errors
///
/// Returns an error if it cannot be started or waited for.
pub(super) fn watch(command: &mut Command, tally: &mut Tally) -> anyhow::Result<ExitStatus> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    // Both at once: a full pipe that nobody reads would stop the child.
    let (of_out, of_err) = std::thread::scope(|scope| {
        let of_err = scope.spawn(move || err.map(|err| copy(err, std::io::stderr())).unwrap_or_default());
        let of_out = out.map(|out| copy(out, std::io::stdout())).unwrap_or_default();
        (of_out, of_err.join().unwrap_or_default())
    });
    for line in of_out.iter().chain(&of_err) {
        tally.note(line);
    }
    child.wait().context("cannot wait for cargo")
}

/// Copies all of `from` to `to`, and returns the lines in which a runner sums up.
fn copy(from: impl Read, mut to: impl Write) -> Vec<String> {
    let mut reader = BufReader::new(from);
    let mut found = Vec::new();
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        // Whoever reads us may be gone; the count matters all the same.
        let _ = to.write_all(&line);
        let text = String::from_utf8_lossy(&line);
        if SUMMARY.is_match(&text) {
            found.push(text.trim_end().to_owned());
        }
        line.clear();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], passed: u64, failed: u64) {
        let mut tally = Tally::default();
        for line in lines {
            tally.note(line);
        }
        assert_eq!((tally.passed, tally.failed), (passed, failed), "{lines:?}");
    }

    #[test]
    fn both_runners_are_understood() {
        check(&["     Summary [   0.018s] 5 tests run: 5 passed, 0 skipped"], 5, 0);
        check(
            &["     Summary [   9.1s] 6 tests run: 3 passed (1 slow), 2 failed, 1 timed out, 4 skipped"],
            3,
            3,
        );
        check(&["     Summary [   0.1s] 1 test run: 1 passed, 0 skipped"], 1, 0);
        check(
            &[
                "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s",
                "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out",
            ],
            14,
            1,
        );
    }

    #[test]
    fn what_a_test_prints_is_not_counted() {
        check(&["5 passed, 1 failed", "note: Summary of 3 passed"], 0, 0);
    }

    #[test]
    fn a_copy_keeps_every_byte() {
        let mut to = Vec::new();
        let text = b"one\n\xff\ntest result: ok. 1 passed; 0 failed;";
        assert_eq!(copy(&text[..], &mut to), ["test result: ok. 1 passed; 0 failed;"]);
        assert_eq!(to, text);
    }
}
