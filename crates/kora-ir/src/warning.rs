//! What is allowed in a graph, but hardly meant.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::locate::{Wanted, locate};
use crate::report::At;
use crate::{CheckedGraph, OutputSchema, Span, Task, TaskIndex, Work};

/// Something that a person should look at; the graph runs anyway.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Warning {
    /// Which lint, stable across versions.
    pub code: WarningCode,
    /// JSON pointer to the place in the document as KORA wrote it.
    pub pointer: String,
    /// The same place in the text.
    pub span: Option<Span>,
    /// What is odd, a lowercase fragment with names in backticks.
    pub message: String,
}

/// The lints.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WarningCode {
    /// A model task whose input no message shows to the model.
    UnusedInput,
    /// A placeholder for something that the input cannot have.
    EmptyPlaceholder,
    /// A task whose output nothing sees.
    UnusedTask,
    /// A keyword of a schema that checks nothing.
    SchemaNote,
}

/// At most this many, so that a list stays one that a person reads.
const MAX_WARNINGS: usize = 200;

/// All warnings, in the order of the document.
pub(crate) fn warnings(graph: &CheckedGraph) -> Vec<Warning> {
    let mut found: Vec<(WarningCode, String, String)> = Vec::new();
    // Each schema speaks once, at the first task in the document that has it.
    let mut schemas: BTreeMap<*const OutputSchema, (u32, &Arc<OutputSchema>)> = BTreeMap::new();
    for (index, task) in graph.iter() {
        let place = graph.place(index);
        let first = schemas.entry(Arc::as_ptr(&task.schema)).or_insert((place, &task.schema));
        first.0 = first.0.min(place);
        if let Work::Model(call) = &task.work {
            prompts(task, call, place, &mut found);
        }
        if is_unused(graph, index, task) {
            found.push((
                WarningCode::UnusedTask,
                format!("/tasks/{place}"),
                format!("nothing depends on `{}`, and it is not the root", task.id),
            ));
        }
    }
    for (place, schema) in schemas.into_values() {
        for (pointer, note) in schema.notes() {
            found.push((WarningCode::SchemaNote, format!("/tasks/{place}/schema{pointer}"), note.clone()));
        }
    }
    placed(graph, found)
}

fn prompts(task: &Task, call: &crate::ModelCall, place: u32, found: &mut Vec<(WarningCode, String, String)>) {
    let mut pointers = call.messages.iter().flat_map(|message| message.content.pointers()).peekable();
    let Some(input) = task.input.as_fixed() else {
        if pointers.peek().is_none() {
            found.push(unused_input(task, place));
        }
        return;
    };
    if pointers.peek().is_none() && input.as_object().is_some_and(|fields| !fields.is_empty()) {
        found.push(unused_input(task, place));
    }
    for pointer in pointers {
        if input.pointer(pointer).is_none() {
            found.push((
                WarningCode::EmptyPlaceholder,
                format!("/tasks/{place}/run"),
                format!(
                    "the placeholder `{{{{{pointer}}}}}` points to nothing in the input: the task will fail"
                ),
            ));
        }
    }
}

fn unused_input(task: &Task, place: u32) -> (WarningCode, String, String) {
    (
        WarningCode::UnusedInput,
        format!("/tasks/{place}/input"),
        format!("no message of `{}` has a placeholder for its input: the model does not see it", task.id),
    )
}

fn is_unused(graph: &CheckedGraph, index: TaskIndex, task: &Task) -> bool {
    index != graph.root() && graph.dependents(index).is_empty() && task.resolves.is_none()
}

fn placed(graph: &CheckedGraph, found: Vec<(WarningCode, String, String)>) -> Vec<Warning> {
    if found.is_empty() {
        return Vec::new();
    }
    let mut wanted = Wanted::default();
    for (_, pointer, _) in &found {
        wanted.add(&At::Pointer(pointer.clone()));
    }
    let places = locate(graph.source(), &wanted);
    let mut warnings: Vec<Warning> = found
        .into_iter()
        .map(|(code, pointer, message)| {
            let (pointer, span) = places.of(&At::Pointer(pointer));
            Warning { code, pointer, span, message }
        })
        .collect();
    warnings.sort_by(|a, b| {
        let offset = |warning: &Warning| warning.span.map_or(usize::MAX, |span| span.offset);
        offset(a)
            .cmp(&offset(b))
            .then_with(|| a.pointer.cmp(&b.pointer))
            .then_with(|| a.message.cmp(&b.message))
    });
    warnings.truncate(MAX_WARNINGS);
    warnings
}
