//! The report as one HTML page: no script, nothing loaded, readable by eye, by keyboard and by screen reader.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::outline::{counted, with_code};
use super::{CaseReport, ClauseReport, Report, plain, words};
use crate::registry::section_of;
use crate::verdict::Verdict;

const STYLE: &str = include_str!("html/page.css");

/// What each verdict is called in the style sheet.
fn class(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        None => "none",
        Some(verdict) => verdict.as_str(),
    }
}

/// Others' words, plain and escaped for text and for attributes.
struct Text<'t>(&'t str, usize);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(&plain::line(self.0, self.1)))
    }
}

fn escape(plain: &str) -> String {
    let mut escaped = String::with_capacity(plain.len());
    for char in plain.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(char),
        }
    }
    escaped
}

fn text(text: &str) -> Text<'_> {
    Text(text, plain::TEXT)
}

/// Sentences, in which names stand between backticks.
fn prose(text: &str) -> String {
    with_code(&plain::line(text, plain::TEXT), escape, |code| format!("<code>{}</code>", escape(code)))
}

fn name(text: &str) -> Text<'_> {
    Text(text, plain::NAME)
}

/// What a link to a case or clause is called: nothing in it needs escaping.
fn anchor(id: &str) -> String {
    let keep =
        |char: char| if char.is_ascii_alphanumeric() || matches!(char, '.' | '-') { char } else { '_' };
    id.chars().take(plain::NAME).map(keep).collect()
}

impl Report {
    /// The report as one self-contained HTML page.
    pub fn to_html(&self) -> String {
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
             base-uri 'none'; form-action 'none'\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{} {}: {}</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n\
             <a class=\"skip\" href=\"#cases\">To the cases</a>\n",
            self.conformance.sign(),
            name(&self.who()),
            self.conformance.in_words()
        );
        self.head(&mut page);
        self.matrix(&mut page);
        self.clause_list(&mut page);
        self.case_list(&mut page);
        let _ = write!(
            page,
            "<footer><p>Report <code>{}</code> by suite <code>{}</code>. The digest shows damage, and is no signature: \
             the command above repeats the run.</p></footer>\n</body>\n</html>\n",
            name(&self.digest),
            name(&self.suite.digest)
        );
        page
    }

    fn head(&self, page: &mut String) {
        let _ = write!(
            page,
            "<header class=\"{}\">\n<h1>{}</h1>\n<p class=\"verdict\"><span aria-hidden=\"true\">{}</span> {} with \
             profile {} of contract {}</p>\n<dl>\n",
            self.conformance.as_str(),
            name(&self.who()),
            self.conformance.sign(),
            self.conformance.in_words(),
            name(&self.profile),
            name(&self.suite.contract_version)
        );
        let mut fact = |term: &str, says: &dyn fmt::Display| {
            let _ = writeln!(page, "<div><dt>{term}</dt><dd>{says}</dd></div>");
        };
        fact("Transport", &name(&self.subject.transport));
        fact("Backend mode", &name(&self.subject.backend_mode));
        fact("Suite", &name(&self.suite.version));
        fact("Seed", &self.seed);
        if let Some(only) = &self.only {
            fact("Only", &name(only));
        }
        fact("Started", &name(&self.provenance.started_at));
        fact("Took", &format!("{} ms", self.provenance.duration_ms));
        fact("Host", &name(&self.provenance.host));
        let _ = write!(
            page,
            "</dl>\n<p>Command: <code>{}</code></p>\n<details><summary>What the backend declares</summary>\n\
             <pre><code>{}</code></pre>\n</details>\n</header>\n",
            text(&self.provenance.command),
            Lines(&serde_json::to_string_pretty(&self.subject.capabilities).unwrap_or_default())
        );
    }

    /// Every clause as one cell, a row for each section.
    fn matrix(&self, page: &mut String) {
        let mut sections: BTreeMap<u32, Vec<&ClauseReport>> = BTreeMap::new();
        for clause in &self.clauses {
            sections.entry(section_of(&clause.id).unwrap_or(0)).or_default().push(clause);
        }
        page.push_str("<section aria-labelledby=\"matrix\">\n<h2 id=\"matrix\">Clauses at a glance</h2>\n<dl class=\"matrix\">\n");
        for (section, clauses) in sections {
            let _ = writeln!(page, "<dt>§{section}</dt><dd><ul>");
            for clause in clauses {
                let (sign, says) = clause.said();
                let _ = writeln!(
                    page,
                    "<li><a class=\"cell {}\" href=\"#clause-{}\" title=\"{}\">{} <span aria-hidden=\"true\">{sign}</span>\
                     <span class=\"unseen\">{says}</span></a></li>",
                    class(clause.verdict),
                    anchor(&clause.id),
                    text(&clause.text),
                    name(&clause.id)
                );
            }
            page.push_str("</ul></dd>\n");
        }
        page.push_str("</dl>\n</section>\n");
    }

    fn clause_list(&self, page: &mut String) {
        page.push_str(
            "<section aria-labelledby=\"clauses\">\n<h2 id=\"clauses\">Every clause</h2>\n<div class=\"wide\">\n<table>\n\
             <thead><tr><th scope=\"col\">Clause</th><th scope=\"col\">Verdict</th><th scope=\"col\">Says</th>\
             <th scope=\"col\">Cases</th></tr></thead>\n<tbody>\n",
        );
        for clause in &self.clauses {
            let (sign, says) = clause.said();
            let _ = write!(
                page,
                "<tr id=\"clause-{}\"><th scope=\"row\">{}</th><td class=\"{}\"><span aria-hidden=\"true\">{sign}</span> \
                 {says}</td><td>{}</td><td>",
                anchor(&clause.id),
                name(&clause.id),
                class(clause.verdict),
                text(&clause.text)
            );
            for case in &clause.cases {
                let _ = write!(page, "<a href=\"#case-{}\">{}</a> ", anchor(case), name(case));
            }
            page.push_str("</td></tr>\n");
        }
        page.push_str("</tbody>\n</table>\n</div>\n</section>\n");
    }

    /// The cases, and boxes to hide some: the style sheet does it, so it works without a script.
    fn case_list(&self, page: &mut String) {
        page.push_str(
            "<section aria-labelledby=\"cases\">\n<h2 id=\"cases\">Every case</h2>\n<form>\n<fieldset>\n\
             <legend>Show</legend>\n",
        );
        for verdict in Verdict::ALL {
            let _ = writeln!(
                page,
                "<label><input type=\"checkbox\" id=\"show-{0}\" checked> <span class=\"{0}\"><span \
                 aria-hidden=\"true\">{1}</span> {2}</span> ({3})</label>",
                verdict.as_str(),
                verdict.sign(),
                verdict.in_words(),
                self.count(verdict)
            );
        }
        page.push_str(
            "<label><input type=\"checkbox\" id=\"show-unscored\" checked> unscored</label>\n\
             <button type=\"reset\">All</button>\n</fieldset>\n</form>\n",
        );
        for case in &self.cases {
            self.article(case, page);
        }
        page.push_str("</section>\n");
    }

    fn article(&self, case: &CaseReport, page: &mut String) {
        let red = matches!(case.verdict, Verdict::Fail | Verdict::Untestable);
        let _ = write!(
            page,
            "<article class=\"case is-{verdict}{unscored}\" id=\"case-{anchor}\">\n<details{open}>\n<summary><span \
             class=\"{verdict}\"><span aria-hidden=\"true\">{sign}</span> {says}</span> <strong>{id}</strong> \
             {title}</summary>\n",
            verdict = case.verdict.as_str(),
            unscored = if case.scored { "" } else { " is-unscored" },
            anchor = anchor(&case.id),
            open = if red { " open" } else { "" },
            sign = case.verdict.sign(),
            says = case.verdict.in_words(),
            id = name(&case.id),
            title = prose(&case.title),
        );
        page.push_str("<p>Observes");
        for clause in &case.clauses {
            let _ = write!(page, " <a href=\"#clause-{}\">{}</a>", anchor(clause), name(clause));
        }
        let took = self.provenance.case_ms.get(&case.id);
        let took = took.map_or_else(String::new, |ms| format!(", took {ms} ms"));
        let _ = writeln!(page, "{took}{}.</p>", if case.scored { "" } else { ", does not count" });
        if let Some(reason) = &case.reason {
            let _ = writeln!(page, "<p>Reason: {}</p>", prose(reason));
        }
        if let Some(known) = case.known_in_words() {
            let _ = writeln!(page, "<p class=\"known\">Known: {}</p>", Text(&known, usize::MAX));
        }
        self.findings(case, page);
        timeline(case, page);
        if let Some(minimal) = &case.minimal {
            let _ = writeln!(
                page,
                "<h4>The smallest graph that shows it</h4>\n<pre><code>{}</code></pre>",
                Lines(&serde_json::to_string_pretty(minimal).unwrap_or_default())
            );
        }
        let (left_out, log) = case.shown_log();
        if !log.is_empty() {
            let before = if left_out > 0 { format!(" ({left_out} lines before)") } else { String::new() };
            let _ = writeln!(
                page,
                "<h4>The end of its log{before}</h4>\n<pre><code>{}</code></pre>",
                Lines(&log.join("\n"))
            );
        }
        if let Some(cause) = &case.likely_cause {
            let _ = writeln!(page, "<p><strong>Look at</strong> {}</p>", prose(cause));
        }
        if let Some(command) = &case.repeat {
            let _ = writeln!(page, "<p><strong>Repeat</strong> <code>{}</code></p>", text(command));
        }
        page.push_str("</details>\n</article>\n");
    }

    fn findings(&self, case: &CaseReport, page: &mut String) {
        let (findings, left_out) = case.shown_findings();
        for finding in findings {
            let _ = write!(
                page,
                "<h4>{}: {}</h4>\n<dl class=\"finding\">\n<div><dt>At</dt><dd><code>{}</code>, {}</dd></div>\n\
                 <div><dt>Expected</dt><dd class=\"pass\"><code>{}</code></dd></div>\n\
                 <div><dt>Got</dt><dd class=\"fail\"><code>{}</code></dd></div>\n\
                 <div><dt>Because</dt><dd>{}</dd></div>\n</dl>\n",
                name(&finding.clause),
                prose(self.rule(&finding.clause)),
                Text(&finding.place(), usize::MAX),
                Text(&finding.when(), usize::MAX),
                Text(&words::expected(&finding.expected), usize::MAX),
                Text(&words::got(&finding.got), usize::MAX),
                prose(&finding.because)
            );
        }
        if left_out > 0 {
            let _ = writeln!(page, "<p>And {}.</p>", counted(left_out, "more finding"));
        }
    }
}

fn timeline(case: &CaseReport, page: &mut String) {
    let (moments, left_out) = case.shown_timeline();
    if moments.is_empty() {
        return;
    }
    page.push_str(
        "<div class=\"wide\">\n<table>\n<caption>Timeline: what the backend claims beside what the suite saw</caption>\n\
         <thead><tr><th scope=\"col\">Run</th><th scope=\"col\">Task</th><th scope=\"col\">The backend claims</th>\
         <th scope=\"col\">The suite saw</th><th scope=\"col\">Agree</th></tr></thead>\n<tbody>\n",
    );
    let cell = |text: Option<&String>| text.map_or_else(|| String::from("–"), |text| name(text).to_string());
    for moment in moments {
        let _ = writeln!(
            page,
            "<tr{}><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            if moment.differs { " class=\"differs\"" } else { "" },
            moment.run,
            cell(moment.task.as_ref()),
            cell(moment.claimed.as_ref()),
            cell(moment.seen.as_ref()),
            if moment.differs { "≠ no" } else { "yes" }
        );
    }
    page.push_str("</tbody>\n</table>\n</div>\n");
    if left_out > 0 {
        let _ = writeln!(page, "<p>{} not shown.</p>", counted(left_out, "moment"));
    }
}

/// The first lines of others' words, one below the other.
struct Lines<'t>(&'t str);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 200;
        for line in self.0.lines().take(MOST) {
            writeln!(f, "{}", Text(line, plain::VALUE))?;
        }
        let left_out = self.0.lines().count().saturating_sub(MOST);
        if left_out > 0 {
            writeln!(f, "… ({left_out} more lines)")?;
        }
        Ok(())
    }
}
