//! Secrets taken out of what a report repeats: command lines, and the end of a backend's log.
//!
//! A report is made to be shown around. What has the shape of a secret goes; no list of shapes is complete.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::Report;

/// What stands in the place of a secret.
const REDACTED: &str = "[redacted]";

/// Shapes of secrets, and what is kept of each.
#[expect(clippy::unwrap_used, reason = "the patterns are constants, and a test uses each")]
static SHAPES: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    [
        // The password of a URL, or a token in its place.
        (r"(://)[^/\s@]+@", "${1}[redacted]@"),
        (r"(?i)\b(authorization\W{1,4}(?:(?:bearer|basic|token)\s+)?)[^\s\x22',;]+", "${1}[redacted]"),
        (r"(?i)\b(bearer\s+)[a-z0-9._~+/=-]{8,}", "${1}[redacted]"),
        // A name that ends like a secret's; `max_tokens` is none.
        (
            r"(?i)((?:token|secret|password|passwd|api[_-]?key|access[_-]?key|private[_-]?key)[\x22']?\s*[=:]\s*[\x22']?)[^\s\x22',;&]+",
            "${1}[redacted]",
        ),
        (
            r"(?i)(--[a-z0-9-]*(?:token|secret|password|passwd|api-?key|access-?key|private-?key)\s+[\x22']?)[^\s\x22'-][^\s\x22']*",
            "${1}[redacted]",
        ),
        // Prefixes by which well-known services mark theirs, and JSON web tokens.
        (r"\b(?:sk|pk|rk|ghp|gho|ghs|ghu|glpat|xox[abeprs])[-_][A-Za-z0-9_-]{16,}", REDACTED),
        (r"\bgithub_pat_[A-Za-z0-9_]{16,}", REDACTED),
        (r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*", REDACTED),
    ]
    .into_iter()
    .map(|(shape, kept)| (Regex::new(shape).unwrap(), kept))
    .collect()
});

impl Report {
    /// Takes secrets out of command lines and logs.
    pub(super) fn redact(&mut self) {
        redact(&mut self.provenance.command);
        for case in &mut self.cases {
            case.repeat.iter_mut().chain(&mut case.log_tail).for_each(redact);
        }
    }
}

fn redact(text: &mut String) {
    for (shape, kept) in SHAPES.iter() {
        if let Cow::Owned(redacted) = shape.replace_all(text, *kept) {
            *text = redacted;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Registry;
    use crate::report::sample;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let mut redacted = text.to_owned();
        redact(&mut redacted);
        assert_eq!(redacted, expected);
        redact(&mut redacted);
        assert_eq!(redacted, expected, "once is enough");
    }

    #[test]
    fn what_has_the_shape_of_a_secret_goes() {
        check("--url https://me:hunter2@example.org/x", "--url https://[redacted]@example.org/x");
        check("Authorization: Bearer abc.def", "Authorization: Bearer [redacted]");
        check("'authorization=Basic dXNlcjpwdw=='", "'authorization=Basic [redacted]'");
        check("sent bearer abcdefgh12 to it", "sent bearer [redacted] to it");
        check("API_KEY=abc ./run --n 1", "API_KEY=[redacted] ./run --n 1");
        check("{\"access_token\": \"abc\", \"n\": 1}", "{\"access_token\": \"[redacted]\", \"n\": 1}");
        check("run --auth-token abc --n 1", "run --auth-token [redacted] --n 1");
        check("uses sk-abcdefghijklmnop1234", "uses [redacted]");
        check("github_pat_11ABCDEFG0123456789", "[redacted]");
        check("eyJhbGciOiJIUzI1.eyJzdWIiOiIxMj.c2ln", "[redacted]");
    }

    #[test]
    fn what_only_sounds_like_one_stays() {
        for text in [
            "max_tokens: 40, tokens_out=12",
            "task ask: 3 tokens left",
            "./example --stdio --no-token --n 1",
            "https://example.org/a@b and me@example.org",
            "basic operations, bearer of news",
            "C7.3-always-bad",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn a_report_keeps_no_secret_that_a_command_or_a_log_holds() {
        let mut report = sample::report();
        report.provenance.command.push_str(" --token abcdefgh");
        for case in &mut report.cases {
            case.log_tail = Some(String::from("password=abcdefgh"));
            case.repeat = Some(String::from("API_KEY=abcdefgh run"));
        }
        report.conclude(Registry::load());
        assert!(!serde_json::to_string(&report).unwrap().contains("abcdefgh"));
    }
}
