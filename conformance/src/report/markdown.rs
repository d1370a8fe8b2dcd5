//! The report as Markdown: for the summary page of a CI job.

use std::fmt::Write as _;

use super::outline::{counted, with_code};
use super::{CaseReport, Report, plain, words};
use crate::verdict::Verdict;

/// Bytes after which failed cases are only named: a job's summary may have 1 MiB.
const ENOUGH: usize = 512 * 1024;
/// Names in one list.
const NAMES: usize = 20;

impl Report {
    /// The report as GitHub-flavoured Markdown of at most 1 MiB.
    pub fn to_markdown(&self) -> String {
        let mut text = format!(
            "## {} {}: {}\n\n{}, in {} ms.\n\n",
            self.conformance.sign(),
            capitalised(self.conformance.in_words()),
            escape(&self.who()),
            capitalised(&escape(&self.circumstances())),
            self.provenance.duration_ms
        );
        let (heads, counts): (Vec<String>, Vec<String>) = Verdict::ALL
            .into_iter()
            .map(|verdict| {
                (format!("{} {}", verdict.sign(), verdict.in_words()), self.count(verdict).to_string())
            })
            .unzip();
        let _ = writeln!(
            text,
            "| {} |\n|{}\n| {} |\n",
            heads.join(" | "),
            "--:|".repeat(heads.len()),
            counts.join(" | ")
        );
        let red = self.red();
        if !red.is_empty() {
            text.push_str("### What is wrong\n\n");
        }
        let mut only_named = Vec::new();
        for case in red {
            if text.len() < ENOUGH {
                failure(self, case, &mut text);
            } else {
                only_named.push(case);
            }
        }
        if !only_named.is_empty() {
            let _ = writeln!(
                text,
                "And {}: {}\n",
                counted(only_named.len(), "more failed case"),
                names(&only_named)
            );
        }
        self.reasons(&mut text);
        self.clause_table(&mut text);
        let _ = writeln!(text, "Digest of the report: {}", code(&plain::line(&self.digest, plain::NAME)));
        text
    }

    fn reasons(&self, text: &mut String) {
        let mut heading = "### What was not judged\n\n";
        for verdict in [Verdict::HarnessError, Verdict::Inconclusive, Verdict::NotRun, Verdict::NotApplicable]
        {
            // Thousands of reasons are no reasons any more.
            for (reason, cases) in self.by_reason(verdict).into_iter().take(NAMES) {
                let _ = writeln!(
                    text,
                    "{heading}- {} {}: {}: {}",
                    verdict.sign(),
                    verdict.in_words(),
                    inline(reason),
                    names(&cases)
                );
                heading = "";
            }
        }
        if heading.is_empty() {
            text.push('\n');
        }
    }

    fn clause_table(&self, text: &mut String) {
        text.push_str(
            "<details><summary>Every clause</summary>\n\n| Clause | | Says | Cases |\n|---|---|---|---|\n",
        );
        for clause in &self.clauses {
            if text.len() > ENOUGH * 3 / 2 {
                break;
            }
            let (sign, verdict) = clause.said();
            let _ = writeln!(
                text,
                "| {} | {sign} {verdict} | {} | {} |",
                inline(&clause.id),
                inline(&clause.text),
                clause.cases.len()
            );
        }
        text.push_str("\n</details>\n\n");
    }
}

/// One case that failed, folded.
fn failure(report: &Report, case: &CaseReport, text: &mut String) {
    let unscored = if case.scored { "" } else { " (unscored)" };
    let _ = writeln!(
        text,
        "<details><summary>{} <code>{}</code>{unscored} {}</summary>\n",
        case.verdict.sign(),
        html(&plain::line(&case.id, plain::NAME)),
        html(&plain::line(&case.title, plain::TEXT))
    );
    if let Some(reason) = &case.reason {
        let _ = writeln!(text, "Reason: {}\n", inline(reason));
    }
    if let Some(known) = case.known_in_words() {
        let _ = writeln!(text, "Known: {}\n", escape(&known));
    }
    let (findings, left_out) = case.shown_findings();
    for finding in findings {
        let _ = writeln!(
            text,
            "**{}** {}\n\n{}",
            inline(&finding.clause),
            inline(report.rule(&finding.clause)),
            block(
                "diff",
                &[
                    format!("  {}, {}", finding.place(), finding.when()),
                    format!("+ expected  {}", words::expected(&finding.expected)),
                    format!("- got       {}", words::got(&finding.got)),
                    format!("  because   {}", plain::line(&finding.because, plain::TEXT)),
                ]
            )
        );
    }
    if left_out > 0 {
        let _ = writeln!(text, "And {}.\n", counted(left_out, "more finding"));
    }
    timeline(case, text);
    let (minimal, left_out) = case.shown_minimal();
    if !minimal.is_empty() {
        let rest = if left_out > 0 { format!(" (the first lines; {left_out} more)") } else { String::new() };
        let _ = writeln!(text, "The smallest that shows it{rest}:\n\n{}", block("json", &minimal));
    }
    let (_, log) = case.shown_log();
    if !log.is_empty() {
        let _ = writeln!(text, "The end of its log:\n\n{}", block("text", &log));
    }
    if let Some(cause) = &case.likely_cause {
        let _ = writeln!(text, "Look at: {}\n", inline(cause));
    }
    if let Some(command) = &case.repeat {
        let _ = writeln!(text, "Repeat:\n\n{}", block("sh", &[plain::line(command, plain::TEXT)]));
    }
    text.push_str("</details>\n\n");
}

fn timeline(case: &CaseReport, text: &mut String) {
    let (moments, left_out) = case.shown_timeline();
    if moments.is_empty() {
        return;
    }
    text.push_str("| | Run | Task | The backend claims | The suite saw |\n|---|--:|---|---|---|\n");
    let cell = |text: Option<&String>| text.map_or_else(|| String::from("–"), |text| inline(text));
    for moment in moments {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            if moment.differs { "**≠**" } else { "" },
            moment.run,
            cell(moment.task.as_ref()),
            cell(moment.claimed.as_ref()),
            cell(moment.seen.as_ref())
        );
    }
    text.push('\n');
    if left_out > 0 {
        let _ = writeln!(text, "{} not shown.\n", capitalised(&counted(left_out, "moment")));
    }
}

fn names(cases: &[&CaseReport]) -> String {
    let named: Vec<String> =
        cases.iter().take(NAMES).map(|case| code(&plain::line(&case.id, plain::NAME))).collect();
    let more = cases.len().saturating_sub(NAMES);
    if more > 0 { format!("{} and {more} more", named.join(", ")) } else { named.join(", ") }
}

/// Others' words inside a line.
pub(crate) fn inline(text: &str) -> String {
    with_code(&plain::line(text, plain::TEXT), escape, code)
}

/// `text`, which is plain already, with nothing in it that Markdown, HTML or GitHub would obey.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut inside_word = false;
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // Nobody is called, and nothing is linked, whatever stands behind it.
            '@' => escaped.push_str("@<!-- -->"),
            '#' => escaped.push_str("#<!-- -->"),
            ':' if chars.peek() != Some(&' ') => escaped.push_str(":<!-- -->"),
            // Inside a word it emphasises nothing.
            '_' if inside_word && chars.peek().is_some_and(|next| next.is_alphanumeric()) => {
                escaped.push('_')
            }
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '!' | '$' => {
                escaped.push('\\');
                escaped.push(char);
            }
            _ => escaped.push(char),
        }
        inside_word = char.is_alphanumeric();
    }
    escaped.replace("www.", "www<!-- -->.")
}

/// `text`, which is plain already, as code inside a line. A table has no other way to hold a `|`.
fn code(text: &str) -> String {
    format!("<code>{}</code>", html(text).replace('|', "&#124;"))
}

fn html(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    // Between tags Markdown goes on reading.
    escaped
        .replace('`', "&#96;")
        .replace('*', "&#42;")
        .replace('_', "&#95;")
        .replace('[', "&#91;")
        .replace('\\', "&#92;")
}

/// Plain lines as a block of code that none of them can end.
fn block(language: &str, lines: &[String]) -> String {
    let longest = lines.iter().map(|line| longest_run(line, '`')).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", lines.join("\n"))
}

fn longest_run(text: &str, of: char) -> usize {
    let mut longest = 0;
    let mut run = 0;
    for char in text.chars() {
        run = if char == of { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_others_is_obeyed() {
        assert_eq!(escape("<b>*x*|[y](http://z)"), "&lt;b&gt;\\*x\\*\\|\\[y\\](http:<!-- -->//z)");
        assert_eq!(escape("ask @team about #7: now"), "ask @<!-- -->team about #<!-- -->7: now");
        assert_eq!(code("a|`b`</code>"), "<code>a&#124;&#96;b&#96;&lt;/code&gt;</code>");
    }

    #[test]
    fn no_line_ends_the_block_that_it_stands_in() {
        assert_eq!(block("text", &[String::from("a"), String::from("````")]), "`````text\na\n````\n`````\n");
    }
}
