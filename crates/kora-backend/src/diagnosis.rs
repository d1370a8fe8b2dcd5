//! What is wrong with a graph, shown in its own text.

use std::fmt::{self, Write as _};

use backend_local::TaskNote;
use kora_ir::{Span, Violation, Warning};
use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, Severity, SourceCode, ThemeCharacters,
    ThemeStyles,
};
use models::NoteKind;

use crate::document::Document;
use crate::refused::RefusedGraph;
use crate::screen::{self, Stream};

/// Places beside the first that one diagnosis points to.
const MAX_RELATED: usize = 8;

/// Columns of a page that is no terminal.
const PAGE: usize = 110;

/// One thing to say about one place, and perhaps others.
#[derive(Debug)]
pub(crate) struct Diagnosis<'d> {
    document: &'d Document,
    severity: Severity,
    code: String,
    message: String,
    help: Option<String>,
    labels: Vec<LabeledSpan>,
}

impl<'d> Diagnosis<'d> {
    /// A rule that is broken.
    pub(crate) fn violation(document: &'d Document, violation: &Violation) -> Self {
        let mut labels = Vec::new();
        let mut elsewhere = Vec::new();
        if let Some(span) = violation.span {
            labels.push(primary(document, span, place_name(&violation.pointer)));
            for (pointer, related) in &violation.related {
                match related {
                    Some(related)
                        if labels.len() <= MAX_RELATED && document.are_near(span.offset, related.offset) =>
                    {
                        let at = document.place(related.offset, related.length);
                        labels.push(LabeledSpan::new_with_span(Some(place_name(pointer)), at));
                    }
                    Some(_) | None => elsewhere.push(place_name(pointer)),
                }
            }
        }
        let mut help = violation.help.as_deref().map(screen::visible);
        if !elsewhere.is_empty() {
            let more = elsewhere.len().saturating_sub(MAX_RELATED);
            elsewhere.truncate(MAX_RELATED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let help = help.get_or_insert_default();
            let _ = write!(help, "\nsee also {}{more}", elsewhere.join(", "));
        }
        Self {
            document,
            severity: Severity::Error,
            code: violation.code.to_string(),
            message: screen::visible(&violation.message),
            help,
            labels,
        }
    }

    /// Something odd that is allowed.
    pub(crate) fn warning(document: &'d Document, warning: &Warning) -> Self {
        let labels =
            warning.span.map(|span| primary(document, span, place_name(&warning.pointer))).into_iter();
        Self {
            document,
            severity: Severity::Warning,
            code: serde_json::to_value(warning.code)
                .ok()
                .and_then(|code| code.as_str().map(str::to_owned))
                .unwrap_or_default(),
            message: screen::visible(&warning.message),
            help: None,
            labels: labels.collect(),
        }
    }

    /// Something that the graph needs and a backend has not.
    pub(crate) fn unmet(
        document: &'d Document,
        capability: &str,
        message: String,
        place: Option<(usize, usize, String)>,
    ) -> Self {
        let labels = place.map(|(offset, length, name)| {
            LabeledSpan::new_primary_with_span(Some(name), document.place(offset, length))
        });
        Self {
            document,
            severity: Severity::Error,
            code: format!("beyond-capabilities ({capability})"),
            message: screen::visible(&message),
            help: None,
            labels: labels.into_iter().collect(),
        }
    }

    /// Something about a task's schema that its model cannot be held to.
    pub(crate) fn note(
        document: &'d Document,
        note: &TaskNote,
        place: Option<(usize, usize, String)>,
    ) -> Self {
        let (task, model, keyword) = (&note.task_id, &note.model, &note.note.keyword);
        let message = match note.note.kind {
            NoteKind::NotHeld => format!("task `{task}`: `{model}` cannot be held to this `{keyword}`"),
            NoteKind::Unbounded => {
                format!("task `{task}`: nothing but the token cap ends this `{keyword}` of `{model}`")
            }
        };
        let labels = place.map(|(offset, length, name)| {
            LabeledSpan::new_primary_with_span(Some(screen::visible(&name)), document.place(offset, length))
        });
        Self {
            document,
            severity: Severity::Advice,
            code: String::from("schema-note"),
            message: screen::visible(&message),
            help: Some(screen::visible(&note.note.help)),
            labels: labels.into_iter().collect(),
        }
    }
}

/// Everything that is wrong with a graph, as it looks on `stream`.
pub(crate) fn violations(refused: &RefusedGraph, stream: Stream) -> String {
    let violations = refused.invalid.violations.iter();
    let all: Vec<_> =
        violations.map(|violation| Diagnosis::violation(&refused.document, violation)).collect();
    let mut shown = render(&all, stream);
    if refused.invalid.omitted > 0 {
        let _ = writeln!(shown, "… and {} more\n", refused.invalid.omitted);
    }
    shown
}

/// Diagnoses, one after the other, as they look on `stream`.
pub(crate) fn render(diagnoses: &[Diagnosis<'_>], stream: Stream) -> String {
    let theme = if screen::is_coloured(stream) {
        GraphicalTheme { characters: ThemeCharacters::unicode(), styles: ThemeStyles::ansi() }
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let handler =
        GraphicalReportHandler::new_themed(theme).with_width(PAGE).with_context_lines(1).with_links(false);
    let mut shown = String::new();
    for diagnosis in diagnoses {
        if handler.render_report(&mut shown, diagnosis).is_err() {
            // A place that cannot be shown is still a place that can be named.
            let _ = writeln!(shown, "{diagnosis}");
        }
        shown.push('\n');
    }
    shown
}

fn primary(document: &Document, span: Span, name: String) -> LabeledSpan {
    LabeledSpan::new_primary_with_span(Some(name), document.place(span.offset, span.length))
}

fn place_name(pointer: &str) -> String {
    if pointer.is_empty() { String::from("the document") } else { screen::visible(pointer) }
}

impl fmt::Display for Diagnosis<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Diagnosis<'_> {}

impl Diagnostic for Diagnosis<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.code))
    }

    fn severity(&self) -> Option<Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self.document)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}
