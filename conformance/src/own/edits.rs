//! Documents as some mutants read them: what should be refused is mended, what is declared is bent.

mod budget;
mod graph;
mod schema;
mod version;

use serde_json::{Map, Value, json};

use super::Defect;

/// What a defect makes of a graph before it is checked.
type Edit = fn(&mut Value);

/// The graph as the defect reads it; `None` if it reads it as it is.
pub(super) fn graph(defect: Defect, text: &str) -> Option<String> {
    let all = [budget::EDITS, graph::EDITS, schema::EDITS, version::EDITS];
    let (_, edit) = all.into_iter().flatten().find(|(with, _)| *with == defect)?;
    let mut document: Value = serde_json::from_str(text).ok()?;
    edit(&mut document);
    Some(document.to_string())
}

/// The context as the defect reads it.
pub(super) fn context(defect: Defect, mut document: Value) -> Value {
    if let Some((_, edit)) = version::CONTEXT_EDITS.iter().find(|(with, _)| *with == defect) {
        edit(&mut document);
    }
    document
}

/// The tasks of a graph that are objects.
fn tasks(graph: &mut Value) -> impl Iterator<Item = &mut Map<String, Value>> {
    let tasks = graph.get_mut("tasks").and_then(Value::as_array_mut);
    tasks.into_iter().flatten().filter_map(Value::as_object_mut)
}

fn is_model(task: &Map<String, Value>) -> bool {
    task.get("type") == Some(&json!("model"))
}

fn text(task: &Map<String, Value>, member: &str) -> Option<String> {
    task.get(member).and_then(Value::as_str).map(str::to_owned)
}
