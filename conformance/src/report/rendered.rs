//! What people see of a report made by hand, in every language that it is written in; and of a hostile one.

use std::collections::BTreeMap;

use quick_xml::events::Event;
use serde_json::{Value, json};

use super::{Finding, Known, Report, TimelineEntry, sample};
use crate::registry::Registry;
use crate::verdict::Verdict;

fn shown(report: &Report) -> [(&'static str, String); 4] {
    [
        ("terminal", report.to_terminal()),
        ("markdown", report.to_markdown()),
        ("junit", report.to_junit()),
        ("html", report.to_html()),
    ]
}

#[test]
fn a_report_on_a_terminal() {
    insta::assert_snapshot!(sample::report().to_terminal().replace('\u{1b}', "␛"));
}

#[test]
fn a_report_as_markdown() {
    insta::assert_snapshot!(sample::report().to_markdown());
}

#[test]
fn a_report_as_junit() {
    insta::assert_snapshot!(sample::report().to_junit());
}

#[test]
fn a_report_as_html() {
    insta::assert_snapshot!(sample::report().to_html());
}

#[test]
fn a_conformant_report_says_so() {
    for (language, text) in shown(&sample::conformant()) {
        assert!(text.to_lowercase().contains("conformant"), "{language}: {text}");
        assert!(!text.contains("not conformant") && !text.contains("incomplete"), "{language}: {text}");
    }
}

const POISON: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}</script><script>alert(1)</script>]]>\u{202e}gpj\0\u{ffff}\n\n# h\n\
    ```\n| a | <img src=x onerror=alert(1)> &quot;' @everyone [x](javascript:alert(1)) ::set-output name=x::y";

/// A report in which every text is poison, and many are long.
fn hostile() -> Report {
    let huge = format!("{POISON}{}", "A".repeat(1 << 20));
    let long = format!("{POISON}{}", "A".repeat(1 << 12));
    let mut report = sample::report();
    report.subject.name = huge.clone();
    report.subject.version = long.clone();
    report.subject.transport = long.clone();
    report.subject.backend_mode = long.clone();
    report.subject.capabilities = json!({ POISON: [huge.clone(), deep(100)] });
    report.profile = long.clone();
    report.only = Some(huge.clone());
    report.suite.version = long.clone();
    report.suite.contract_version = long.clone();
    report.provenance.command = long.clone();
    report.provenance.host = long.clone();
    report.provenance.started_at = long.clone();
    report.provenance.case_ms = BTreeMap::from([(long.clone(), u64::MAX)]);
    for case in &mut report.cases {
        case.id = format!("{}{POISON}", case.id);
        case.title = long.clone();
        case.clauses.push(long.clone());
        case.reason = Some(long.clone());
        case.known = Some(Known { reason: long.clone(), expires: long.clone(), stale: true });
        case.likely_cause = Some(long.clone());
        case.log_tail = Some(format!("{long}\n").repeat(3) + &format!("{POISON}\n").repeat(1000));
        case.repeat = Some(long.clone());
        case.minimal = Some(json!({ POISON: [long.clone(), deep(100)] }));
        case.findings = vec![
            Finding {
                clause: long.clone(),
                run: u32::MAX,
                seen_in: Some(long.clone()),
                at: long.clone(),
                expected: json!({ "$one_of": [long.clone(), POISON, deep(100)] }),
                got: json!({ POISON: long.clone() }),
                because: long.clone(),
            };
            30
        ];
        case.timeline = vec![
            TimelineEntry {
                run: 0,
                task: Some(long.clone()),
                claimed: Some(POISON.to_owned()),
                seen: Some(long.clone()),
                differs: true,
            };
            100
        ];
    }
    let case = &mut report.cases[0];
    case.verdict = Verdict::Fail;
    case.log_tail = Some(huge.clone());
    case.findings[0].got = json!(huge.clone());
    case.findings[0].expected = json!({ "$contains": huge.clone() });
    case.timeline[0].seen = Some(huge.clone());
    case.title = huge;
    report.clauses[0].text = long.clone();
    report.clauses[0].id = long.clone();
    report.clauses[0].cases.push(long.clone());
    report.digest = long;
    report
}

fn deep(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!([inner]))
}

#[test]
fn a_hostile_report_is_defused_and_short() {
    for (language, text) in shown(&hostile()) {
        assert!(text.len() < 2 << 20, "{language} has {} bytes", text.len());
        let own_styles = language == "terminal";
        for hidden in ["\u{7}", "\u{202e}", "\0", "\u{ffff}", "\u{1b}]", "\u{1b}[2J"] {
            assert!(!text.contains(hidden), "{language} lets {hidden:?} through");
        }
        assert!(own_styles || !text.contains('\u{1b}'), "{language} has a terminal's commands");
        if matches!(language, "junit" | "html") {
            for tag in ["<script", "</script", "<img"] {
                assert!(!text.contains(tag), "{language} lets {tag} through");
            }
        }
    }
}

#[test]
fn hostile_markdown_holds_no_markup_but_ours() {
    use pulldown_cmark::{Event, Options, Parser, Tag};

    let mut report = hostile();
    report.cases = vec![report.cases; 15].concat();
    report.clauses = vec![report.clauses; 15].concat();
    let markdown = report.to_markdown();
    assert!(markdown.len() < 1 << 20, "{}", markdown.len());
    let options = Options::ENABLE_TABLES | Options::ENABLE_GFM | Options::ENABLE_STRIKETHROUGH;
    let mut headings = 0;
    for event in Parser::new_ext(&markdown, options) {
        if let Event::Html(html) | Event::InlineHtml(html) = &event {
            let ours = ["<details>", "</details>", "<code>", "</code>", "<!-- -->"];
            let ours = html.starts_with("<details><summary>") || ours.contains(&html.trim());
            assert!(ours && !html.contains("<script") && !html.contains("<img"), "{html}");
        }
        assert!(!matches!(event, Event::Start(Tag::Link { .. } | Tag::Image { .. })), "{event:?}");
        headings += u32::from(matches!(event, Event::Start(Tag::Heading { .. })));
    }
    assert_eq!(headings, 3);
}

#[test]
fn hostile_junit_is_still_xml() {
    let xml = hostile().to_junit();
    let mut reader = quick_xml::Reader::from_str(&xml);
    reader.config_mut().check_end_names = true;
    let mut cases = 0;
    loop {
        let event = reader.read_event().unwrap();
        if matches!(event, Event::Eof) {
            break;
        } else if let Event::Start(start) | Event::Empty(start) = event {
            cases += u32::from(start.name().as_ref() == "testcase");
        }
    }
    assert_eq!(cases, 10);
}

#[test]
fn the_counts_of_junit_are_those_of_its_cases() {
    let xml = sample::report().to_junit();
    assert!(xml.contains("tests=\"10\" failures=\"3\" errors=\"2\" skipped=\"2\" time=\"4.210\""), "{xml}");
    assert!(
        xml.contains("name=\"C7.3-always-bad\" classname=\"example-backend.core\" time=\"1.204\""),
        "{xml}"
    );
}

#[test]
fn an_unscored_failure_turns_no_build_red() {
    let mut report = sample::report();
    report.cases.iter_mut().for_each(|case| case.scored = false);
    report.conclude(Registry::load());
    assert!(report.to_junit().contains("failures=\"0\" errors=\"0\""));
}

#[test]
fn a_page_loads_nothing_and_runs_nothing() {
    let page = sample::report().to_html();
    for forbidden in ["<script", "src=", "http://", "https://", "@import", "url(", " onclick", " style="] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    for wanted in
        ["<html lang=\"en\">", "prefers-color-scheme: dark", "<h1>", "scope=\"col\"", "<legend>", "<caption>"]
    {
        assert!(page.contains(wanted), "{wanted}");
    }
}
