//! The report on a terminal: what is wrong in full, everything else in a few lines.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use comfy_table::{Table, presets};

use super::outline::counted;
use super::{CaseReport, Report, plain, words};
use crate::verdict::{Conformance, Verdict};

pub(crate) const STRONG: Style = Style::new().bold();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const ODD: Style = AnsiColor::Yellow.on_default();
pub(crate) const FAINT: Style = Style::new().dimmed();

/// Failed cases that are shown in full; of the others one line each.
const IN_FULL: usize = 40;

impl Report {
    /// The report for a terminal, with its colours. Whoever prints it takes them out where they are not wanted.
    pub fn to_terminal(&self) -> String {
        let mut text =
            format!("{STRONG}{}{STRONG:#}  {FAINT}{}{FAINT:#}\n", self.who(), self.circumstances());
        let red = self.red();
        for case in red.iter().take(IN_FULL) {
            text.push('\n');
            failure(self, case, &mut text);
        }
        if red.len() > IN_FULL {
            let _ = writeln!(text, "\n{BAD}and {} more:{BAD:#}", counted(red.len() - IN_FULL, "failed case"));
            for case in &red[IN_FULL..] {
                let _ = writeln!(text, "  {}  {}", name(case), case.what_is_wrong());
            }
        }
        for (verdict, style) in [
            (Verdict::HarnessError, BAD),
            (Verdict::Inconclusive, ODD),
            (Verdict::NotRun, ODD),
            (Verdict::NotApplicable, FAINT),
        ] {
            reasons(self, verdict, style, &mut text);
        }
        totals(self, &mut text);
        text
    }
}

/// One case that failed, as a block.
fn failure(report: &Report, case: &CaseReport, text: &mut String) {
    let word = if case.verdict == Verdict::Untestable { "UNTESTABLE" } else { "FAIL" };
    let unscored = if case.scored { "" } else { " (unscored)" };
    let _ = writeln!(
        text,
        "{BAD}{word}{BAD:#}{unscored} {STRONG}{}{STRONG:#}  {}",
        name(case),
        plain::line(&case.title, plain::TEXT)
    );
    let mut row = |label: &str, says: &str| {
        let _ = writeln!(text, "  {FAINT}{label:<9}{FAINT:#} {says}");
    };
    if let Some(reason) = &case.reason {
        row("reason", &plain::line(reason, plain::TEXT));
    }
    if let Some(known) = case.known_in_words() {
        row("known", &known);
    }
    findings(report, case, text);
    timeline(case, text);
    let (lines, left_out) = case.shown_minimal();
    let rest = (left_out > 0).then(|| format!("… and {left_out} more lines"));
    for (nth, line) in lines.iter().chain(&rest).enumerate() {
        let label = if nth == 0 { "smallest" } else { "" };
        let _ = writeln!(text, "  {FAINT}{label:<9}{FAINT:#} {FAINT}│{FAINT:#} {line}");
    }
    let (left_out, lines) = case.shown_log();
    for (nth, line) in lines.iter().enumerate() {
        let label = if nth == 0 { "log" } else { "" };
        if nth == 0 && left_out > 0 {
            let _ = writeln!(text, "  {FAINT}{label:<9} {left_out} lines before{FAINT:#}");
        }
        let _ = writeln!(text, "  {FAINT}{label:<9}{FAINT:#} {FAINT}│{FAINT:#} {line}");
    }
    if let Some(cause) = &case.likely_cause {
        let _ = writeln!(text, "  {FAINT}look at{FAINT:#}   {}", plain::line(cause, plain::TEXT));
    }
    if let Some(command) = &case.repeat {
        let _ = writeln!(text, "  {FAINT}repeat{FAINT:#}    {}", plain::line(command, plain::TEXT));
    }
}

/// What was expected and what was there, under the clause that wants it.
fn findings(report: &Report, case: &CaseReport, text: &mut String) {
    let (findings, left_out) = case.shown_findings();
    let mut clause = "";
    for finding in findings {
        if finding.clause != clause {
            clause = &finding.clause;
            let rule = plain::line(report.rule(clause), plain::TEXT);
            let _ = writeln!(text, "  {STRONG}{:<9}{STRONG:#} {rule}", plain::line(clause, plain::NAME));
        }
        let _ = writeln!(text, "            {STRONG}{}{STRONG:#}, {}", finding.place(), finding.when());
        let _ =
            writeln!(text, "              expected  {GOOD}{}{GOOD:#}", words::expected(&finding.expected));
        let _ = writeln!(text, "              got       {BAD}{}{BAD:#}", words::got(&finding.got));
        let _ = writeln!(text, "              because   {}", plain::line(&finding.because, plain::TEXT));
    }
    if left_out > 0 {
        let _ = writeln!(text, "            {FAINT}and {}{FAINT:#}", counted(left_out, "more finding"));
    }
}

/// Claims beside sights.
fn timeline(case: &CaseReport, text: &mut String) {
    let (moments, left_out) = case.shown_timeline();
    if moments.is_empty() {
        return;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["", "run", "task", "the backend claims", "the suite saw"]);
    let cell =
        |text: Option<&String>| text.map_or_else(|| String::from("–"), |text| plain::line(text, plain::NAME));
    for moment in &moments {
        table.add_row([
            String::from(if moment.differs { "≠" } else { "" }),
            moment.run.to_string(),
            cell(moment.task.as_ref()),
            cell(moment.claimed.as_ref()),
            cell(moment.seen.as_ref()),
        ]);
    }
    let differs = std::iter::once(false).chain(moments.iter().map(|moment| moment.differs));
    for ((nth, line), differs) in table.lines().enumerate().zip(differs) {
        let style = if differs {
            BAD
        } else if nth == 0 {
            FAINT
        } else {
            Style::new()
        };
        let label = if nth == 0 { "timeline" } else { "" };
        let _ = writeln!(text, "  {FAINT}{label:<9}{FAINT:#}{style}{}{style:#}", line.trim_end());
    }
    if left_out > 0 {
        let _ = writeln!(text, "            {FAINT}{} not shown{FAINT:#}", counted(left_out, "moment"));
    }
}

/// The cases of a verdict that needs no block, by reason.
fn reasons(report: &Report, verdict: Verdict, style: Style, text: &mut String) {
    for (reason, cases) in report.by_reason(verdict) {
        let _ =
            writeln!(text, "\n{style}{}{style:#}: {}", verdict.in_words(), plain::line(reason, plain::TEXT));
        let names: Vec<String> = cases.iter().take(6).map(|case| name(case)).collect();
        let more = cases.len().saturating_sub(6);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let _ = writeln!(text, "  {}{more}", names.join(", "));
    }
}

fn totals(report: &Report, text: &mut String) {
    let counts: Vec<String> = Verdict::ALL
        .into_iter()
        .filter(|verdict| report.count(*verdict) > 0)
        .map(|verdict| format!("{} {}", report.count(verdict), verdict.in_words()))
        .collect();
    let unscored = report.cases.iter().filter(|case| !case.scored).count();
    let unscored = if unscored > 0 { format!(", {unscored} of them unscored") } else { String::new() };
    let style = match report.conformance {
        Conformance::Conformant => GOOD,
        Conformance::NotConformant => BAD,
        Conformance::Incomplete => ODD,
    };
    let _ = writeln!(
        text,
        "\n{}{unscored} in {} ms\n{style}{}{style:#} with profile {} of contract {}  {FAINT}{}{FAINT:#}",
        counts.join(", "),
        report.provenance.duration_ms,
        report.conformance.in_words(),
        plain::line(&report.profile, plain::NAME),
        plain::line(&report.suite.contract_version, plain::NAME),
        plain::line(&report.digest, plain::NAME)
    );
}

fn name(case: &CaseReport) -> String {
    plain::line(&case.id, plain::NAME)
}
