//! Where a task stands in the text of its graph.

use std::collections::BTreeMap;

use kora_ir::{CheckedGraph, TaskIndex};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Bytes of a text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) offset: usize,
    pub(crate) length: usize,
}

#[derive(Deserialize)]
struct Tasks<'s> {
    #[serde(borrow)]
    tasks: Vec<&'s RawValue>,
}

/// The place of a whole task. `None` only if the text is not that of the graph.
pub(crate) fn of_task(graph: &CheckedGraph, index: TaskIndex) -> Option<Place> {
    all(graph).get(&graph.pointer(index)).map(|task| place(graph, task))
}

/// The place of the `run` of each of these tasks.
pub(crate) fn of_runs(graph: &CheckedGraph, indices: &[TaskIndex]) -> Vec<Option<Place>> {
    of_fields(graph, indices, "run")
}

/// The place of the `schema` of each of these tasks.
pub(crate) fn of_schemas(graph: &CheckedGraph, indices: &[TaskIndex]) -> Vec<Option<Place>> {
    of_fields(graph, indices, "schema")
}

fn of_fields(graph: &CheckedGraph, indices: &[TaskIndex], name: &str) -> Vec<Option<Place>> {
    let tasks = all(graph);
    let field = |index: &TaskIndex| {
        let task = tasks.get(&graph.pointer(*index))?;
        let fields: BTreeMap<String, &RawValue> = serde_json::from_str(task.get()).ok()?;
        fields.get(name).map(|field| place(graph, field))
    };
    indices.iter().map(field).collect()
}

fn all(graph: &CheckedGraph) -> BTreeMap<String, &RawValue> {
    let tasks =
        serde_json::from_str::<Tasks<'_>>(graph.source()).map(|graph| graph.tasks).unwrap_or_default();
    tasks.into_iter().enumerate().map(|(at, task)| (format!("/tasks/{at}"), task)).collect()
}

/// The distance between two addresses in one text; an address alone is read, never followed.
fn place(graph: &CheckedGraph, raw: &RawValue) -> Place {
    let offset = raw.get().as_ptr().addr().saturating_sub(graph.source().as_ptr().addr());
    Place { offset, length: raw.get().len() }
}

#[cfg(test)]
mod tests {
    use kora_ir::Limits;

    use super::*;

    #[test]
    fn a_task_and_its_run_are_found_where_they_stand() {
        let source = r#"{ "kora_version": "1.0.0", "graph_id": "g", "root": "b", "tasks": [
            { "version": "1.0", "id": "b", "type": "deterministic", "dependencies": ["a"], "input": {},
              "run": { "operation": "echo" }, "schema": true },
            { "run": { "operation": "constant", "args": { "value": 1 } },
              "version": "1.0", "id": "a", "type": "deterministic", "dependencies": [], "input": {}, "schema": true }
        ] }"#;
        let graph = CheckedGraph::parse(source, &Limits::default()).unwrap();
        let a = graph.index_of("a").unwrap();
        let text = |place: Place| &source[place.offset..place.offset + place.length];
        assert!(text(of_task(&graph, a).unwrap()).starts_with(r#"{ "run": { "operation": "constant""#));
        let runs = of_runs(&graph, &[graph.index_of("b").unwrap(), a]);
        assert_eq!(text(runs[0].unwrap()), r#"{ "operation": "echo" }"#);
        assert_eq!(text(runs[1].unwrap()), r#"{ "operation": "constant", "args": { "value": 1 } }"#);
    }
}
