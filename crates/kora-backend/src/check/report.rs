//! What a check found, for people.

use std::fmt::Write as _;

use backend_api::UnmetCapability;
use backend_local::TaskNote;
use kora_ir::{CheckedGraph, TaskIndex};

use super::finding::{Checked, Found, tasks_by_type};
use crate::diagnosis::{self, Diagnosis};
use crate::document::Document;
use crate::refused::{CommandError, in_words};
use crate::screen::{self, BAD, FAINT, GOOD, ODD, STRONG, Stream, counted};
use crate::task_place;

/// Notes about one graph that people are shown.
const MAX_NOTES: usize = 20;

/// One graph.
pub(super) fn graph(checked: &Checked, order: bool) -> String {
    let name = &checked.name;
    match &checked.found {
        Found::Error(CommandError::Graph(refused)) => {
            let count = refused.invalid.violations.len() + refused.invalid.omitted;
            let shown = diagnosis::violations(refused, Stream::Out);
            format!("{shown}{BAD}invalid{BAD:#}  {STRONG}{name}{STRONG:#}: {}\n", counted(count, "violation"))
        }
        Found::Error(error) => format!("{BAD}error{BAD:#}: {}\n", screen::visible(&error.in_one_line())),
        Found::Graph { graph, unmet, notes } => valid(name, graph, unmet, notes, order),
    }
}

/// All graphs.
pub(super) fn summary(in_order: usize, all: usize) -> String {
    match (in_order, all) {
        (_, 1) => String::new(),
        (good, all) if good == all => format!("\n{GOOD}all {all} graphs are in order{GOOD:#}\n"),
        (good, all) => format!("\n{BAD}{} of {all} graphs are not in order{BAD:#}\n", all - good),
    }
}

fn valid(
    name: &str,
    graph: &CheckedGraph,
    unmet: &[UnmetCapability],
    notes: &[TaskNote],
    order: bool,
) -> String {
    let mut text = String::new();
    if !unmet.is_empty() || !graph.warnings().is_empty() || !notes.is_empty() {
        let document = Document::new(name.to_owned(), graph.source().as_bytes().to_vec());
        let mut diagnoses: Vec<_> =
            graph.warnings().iter().map(|warning| Diagnosis::warning(&document, warning)).collect();
        diagnoses.extend(beyond(&document, graph, unmet));
        let shown = notes.len().min(MAX_NOTES);
        diagnoses.extend(left_open(&document, graph, &notes[..shown]));
        text += &diagnosis::render(&diagnoses, Stream::Out);
        if notes.len() > shown {
            let _ = writeln!(text, "… and {} more notes; `--json` has all\n", notes.len() - shown);
        }
    }
    if unmet.is_empty() {
        let _ = write!(text, "{GOOD}valid{GOOD:#}");
    } else {
        let _ = write!(text, "{BAD}beyond the local backend{BAD:#}");
    }
    let tasks: Vec<String> = tasks_by_type(graph)
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    let _ = write!(text, "  {STRONG}{name}{STRONG:#}: graph `{}`, {}", graph.graph_id(), tasks.join(", "));
    if !graph.warnings().is_empty() {
        let _ = write!(text, ", {ODD}{}{ODD:#}", counted(graph.warnings().len(), "warning"));
    }
    if !notes.is_empty() {
        let _ = write!(text, ", {ODD}{}{ODD:#}", counted(notes.len(), "note"));
    }
    if !unmet.is_empty() {
        let _ = write!(text, ", {BAD}{}{BAD:#}", counted(unmet.len(), "unmet need"));
    }
    let _ = writeln!(text, "\n  {FAINT}{}{FAINT:#}", graph.digest());
    if order {
        for (rank, task) in graph.tasks().iter().enumerate() {
            let _ =
                writeln!(text, "  {:>4}  {}  {FAINT}{}{FAINT:#}", rank + 1, task.id, task.task_type.as_str());
        }
    }
    text
}

/// What models cannot be held to.
fn left_open<'d>(document: &'d Document, graph: &CheckedGraph, notes: &[TaskNote]) -> Vec<Diagnosis<'d>> {
    // Their order is that of the tasks, and within a task that of its schema.
    let indices: Vec<Option<TaskIndex>> =
        notes.iter().map(|note| graph.index_of(note.task_id.as_str())).collect();
    let known: Vec<TaskIndex> = indices.iter().flatten().copied().collect();
    let mut places = task_place::of_schemas(graph, &known).into_iter();
    let mut diagnoses = Vec::new();
    for (note, index) in notes.iter().zip(indices) {
        let place = index.and_then(|index| {
            let place = places.next().flatten()?;
            Some((
                place.offset,
                place.length,
                format!("{}/schema{}", graph.pointer(index), note.note.pointer),
            ))
        });
        diagnoses.push(Diagnosis::note(document, note, place));
    }
    diagnoses
}

fn beyond<'d>(document: &'d Document, graph: &CheckedGraph, unmet: &[UnmetCapability]) -> Vec<Diagnosis<'d>> {
    let indices: Vec<Option<TaskIndex>> = unmet.iter().map(|unmet| graph.index_of(&unmet.task_id)).collect();
    let known: Vec<TaskIndex> = indices.iter().flatten().copied().collect();
    let mut places = task_place::of_runs(graph, &known).into_iter();
    let mut diagnoses = Vec::new();
    for (unmet, index) in unmet.iter().zip(indices) {
        let place = index.and_then(|index| {
            let place = places.next().flatten()?;
            Some((place.offset, place.length, format!("{}/run", graph.pointer(index))))
        });
        diagnoses.push(Diagnosis::unmet(document, unmet.capability, in_words(unmet), place));
    }
    diagnoses
}
