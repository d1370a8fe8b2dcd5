//! The report as JUnit XML: what every CI system can show.

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use std::io;

use super::{CaseReport, Report, plain, words};
use crate::verdict::Verdict;

/// What JUnit knows of a case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Pass,
    Failure,
    Error,
    Skipped,
}

impl Report {
    /// The report as JUnit XML. A case is named by its id, its class by backend and profile.
    ///
    /// What does not apply, was not run, or does not count is skipped; what is untestable is a failure; what the suite
    /// or the machine is to blame for is an error. Known failures stay failures.
    pub fn to_junit(&self) -> String {
        let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
        // Writing to memory cannot fail.
        let _ = self.write(&mut writer);
        let mut text = String::from_utf8(writer.into_inner()).unwrap_or_default();
        text.push('\n');
        text
    }

    fn write(&self, writer: &mut Writer<Vec<u8>>) -> io::Result<()> {
        let class = format!("{}.{}", word(&self.subject.name), word(&self.profile));
        let count = |kind: Kind| self.cases.iter().filter(|case| kind_of(case) == kind).count().to_string();
        let numbers = [
            ("tests", self.cases.len().to_string()),
            ("failures", count(Kind::Failure)),
            ("errors", count(Kind::Error)),
            ("skipped", count(Kind::Skipped)),
            ("time", seconds(self.provenance.duration_ms)),
        ];
        let numbers = || numbers.iter().map(|(name, number)| (*name, number.as_str()));
        writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        let suites = writer.create_element("testsuites").with_attribute(("name", "conformance"));
        suites.with_attributes(numbers()).write_inner_content(|writer| {
            let started = plain::line(&self.provenance.started_at, plain::NAME);
            let suite = writer.create_element("testsuite").with_attribute(("name", class.as_str()));
            suite
                .with_attributes(numbers())
                .with_attribute(("timestamp", started.as_str()))
                .write_inner_content(|writer| {
                    self.properties(writer)?;
                    self.cases.iter().try_for_each(|case| self.testcase(&class, case, writer))
                })?;
            Ok(())
        })?;
        Ok(())
    }

    fn properties(&self, writer: &mut Writer<Vec<u8>>) -> io::Result<()> {
        let properties = [
            ("conformance", self.conformance.as_str().to_owned()),
            ("backend", self.who()),
            ("transport", self.subject.transport.clone()),
            ("profile", self.profile.clone()),
            ("contract", self.suite.contract_version.clone()),
            ("suite", self.suite.version.clone()),
            ("suite digest", self.suite.digest.clone()),
            ("seed", self.seed.to_string()),
            ("report digest", self.digest.clone()),
        ];
        writer.create_element("properties").write_inner_content(|writer| {
            for (name, value) in &properties {
                let value = plain::line(value, plain::NAME);
                writer
                    .create_element("property")
                    .with_attributes([("name", *name), ("value", value.as_str())])
                    .write_empty()?;
            }
            Ok(())
        })?;
        Ok(())
    }

    fn testcase(&self, class: &str, case: &CaseReport, writer: &mut Writer<Vec<u8>>) -> io::Result<()> {
        let id = plain::line(&case.id, plain::NAME);
        let time = seconds(self.provenance.case_ms.get(&case.id).copied().unwrap_or(0));
        let element = writer.create_element("testcase").with_attributes([
            ("name", id.as_str()),
            ("classname", class),
            ("time", time.as_str()),
        ]);
        let (kind, wrong) = (kind_of(case), case.what_is_wrong());
        if kind == Kind::Pass {
            element.write_empty()?;
            return Ok(());
        }
        element.write_inner_content(|writer| {
            let kind = match kind {
                Kind::Pass | Kind::Skipped => {
                    let unscored = if case.scored { "" } else { "unscored: " };
                    let message = format!("{unscored}{}: {wrong}", case.verdict.in_words());
                    writer
                        .create_element("skipped")
                        .with_attribute(("message", message.as_str()))
                        .write_empty()?;
                    return Ok(());
                }
                Kind::Failure => "failure",
                Kind::Error => "error",
            };
            writer
                .create_element(kind)
                .with_attributes([("message", wrong.as_str()), ("type", case.verdict.as_str())])
                .write_text_content(BytesText::new(&self.explanation(case)))?;
            let timeline = timeline(case);
            if !timeline.is_empty() {
                writer.create_element("system-out").write_text_content(BytesText::new(&timeline))?;
            }
            let (_, log) = case.shown_log();
            if !log.is_empty() {
                writer.create_element("system-err").write_text_content(BytesText::new(&log.join("\n")))?;
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Everything of a failure but the timeline and the log.
    fn explanation(&self, case: &CaseReport) -> String {
        let mut lines = vec![plain::line(&case.title, plain::TEXT)];
        lines.extend(
            case.reason.as_ref().map(|reason| format!("reason: {}", plain::line(reason, plain::TEXT))),
        );
        lines.extend(case.known_in_words().map(|known| format!("known: {known}")));
        let (findings, left_out) = case.shown_findings();
        for finding in findings {
            let clause = plain::line(&finding.clause, plain::NAME);
            lines.push(format!("{clause}: {}", plain::line(self.rule(&finding.clause), plain::TEXT)));
            lines.push(format!("  {}, {}", finding.place(), finding.when()));
            lines.push(format!("    expected  {}", words::expected(&finding.expected)));
            lines.push(format!("    got       {}", words::got(&finding.got)));
            lines.push(format!("    because   {}", plain::line(&finding.because, plain::TEXT)));
        }
        if left_out > 0 {
            lines.push(format!("  and {left_out} more"));
        }
        let (minimal, left_out) = case.shown_minimal();
        if !minimal.is_empty() {
            lines.push(String::from("the smallest that shows it:"));
            lines.extend(minimal);
            lines.extend((left_out > 0).then(|| format!("and {left_out} more lines")));
        }
        let cause = case.likely_cause.as_ref();
        lines.extend(cause.map(|cause| format!("look at: {}", plain::line(cause, plain::TEXT))));
        let repeat = case.repeat.as_ref();
        lines.extend(repeat.map(|command| format!("repeat: {}", plain::line(command, plain::TEXT))));
        lines.join("\n")
    }
}

fn timeline(case: &CaseReport) -> String {
    let (moments, left_out) = case.shown_timeline();
    let cell =
        |text: Option<&String>| text.map_or_else(|| String::from("-"), |text| plain::line(text, plain::NAME));
    let mut lines: Vec<String> = moments
        .iter()
        .map(|moment| {
            format!(
                "{} run {} {} | claimed: {} | seen: {}",
                if moment.differs { "!=" } else { "  " },
                moment.run,
                cell(moment.task.as_ref()),
                cell(moment.claimed.as_ref()),
                cell(moment.seen.as_ref())
            )
        })
        .collect();
    if left_out > 0 {
        lines.push(format!("   {left_out} not shown"));
    }
    lines.join("\n")
}

fn kind_of(case: &CaseReport) -> Kind {
    match case.verdict {
        Verdict::Pass => Kind::Pass,
        Verdict::NotApplicable | Verdict::NotRun => Kind::Skipped,
        // A new case must not turn a build red before it counts.
        Verdict::Fail | Verdict::Untestable | Verdict::Inconclusive | Verdict::HarnessError
            if !case.scored =>
        {
            Kind::Skipped
        }
        Verdict::Fail | Verdict::Untestable => Kind::Failure,
        Verdict::Inconclusive | Verdict::HarnessError => Kind::Error,
    }
}

/// A name without dots, of which JUnit makes packages.
fn word(name: &str) -> String {
    let keep = |char: char| if char.is_ascii_alphanumeric() || char == '-' { char } else { '_' };
    name.chars().take(plain::NAME).map(keep).collect()
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}
