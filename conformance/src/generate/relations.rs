//! Relations between two runs, and the changes to graphs that they are about.

use serde_json::{Value, json};

use super::world::{WorkSpec, World};
use crate::judge::{self, Difference};

/// Both runs mean the same. Records of independent tasks may stand in another order (C6.1).
pub(super) fn same_meaning(expected: &Value, got: &Value) -> Vec<Difference> {
    let unordered = |view: &Value| {
        let mut meaning = judge::meaning(view);
        if let Some(members) = meaning.as_object_mut() {
            members.shift_remove("order");
        }
        meaning
    };
    judge::differences(&unordered(expected), &unordered(got))
}

/// Both runs mean the same, and report it in the same order.
pub(super) fn same_meaning_and_order(expected: &Value, got: &Value) -> Vec<Difference> {
    judge::differences(&judge::meaning(expected), &judge::meaning(got))
}

/// No task was called more often in the second run.
pub(super) fn no_more_calls(before: &Value, after: &Value) -> Vec<Difference> {
    let count = |view: &Value, task: &str| view["seen"]["count"][task].as_u64().unwrap_or(0);
    let tasks = after["seen"]["count"].as_object().into_iter().flatten().map(|(task, _)| task);
    // A stand-in is woken by the very failure that a smaller budget brings.
    tasks
        .filter(|task| !task.ends_with('b') && count(after, task) > count(before, task))
        .map(|task| {
            (
                format!("/seen/count/{task}"),
                json!({"$at_most": count(before, task)}),
                json!(count(after, task)),
            )
        })
        .collect()
}

/// Every record of the first run is in the second one, with the same meaning.
pub(super) fn others_unchanged(before: &Value, after: &Value) -> Vec<Difference> {
    let without_stranger = |view: &Value| {
        let mut meaning = judge::meaning(view);
        if let Some(tasks) = meaning["tasks"].as_object_mut() {
            tasks.shift_remove(STRANGER);
        }
        if let Some(order) = meaning["order"].as_array_mut() {
            order.retain(|id| id != STRANGER);
        }
        meaning
    };
    judge::differences(&without_stranger(before), &without_stranger(after))
}

/// The tasks in the opposite order.
pub(super) fn tasks_reversed(graph: &Value) -> Value {
    let mut graph = graph.clone();
    if let Some(tasks) = graph["tasks"].as_array_mut() {
        tasks.reverse();
    }
    graph
}

const STRANGER: &str = "stranger";

/// One more task, which nothing knows and which knows nothing.
pub(super) fn with_a_stranger(graph: &Value) -> Value {
    let mut graph = graph.clone();
    if let Some(tasks) = graph["tasks"].as_array_mut() {
        tasks.push(json!({
            "version": "1.0",
            "id": STRANGER,
            "type": "deterministic",
            "dependencies": [],
            "input": {},
            "run": {"operation": "constant", "args": {"value": {"value": 0}}},
            "schema": {"type": "object", "required": ["value"], "properties": {"value": {"type": "integer"}}},
        }));
    }
    graph
}

/// Every model task with half its tokens and one retry less, nothing else changed.
///
/// Budgets of the graph are left out of both: what one task no longer takes, another could.
pub(super) fn smaller_budgets(world: &World) -> World {
    let mut world = world.clone();
    for task in &mut world.tasks {
        if let WorkSpec::Model(model) = &mut task.work {
            model.max_tokens = (model.max_tokens / 2).max(1);
            model.max_retries = model.max_retries.saturating_sub(1);
        }
    }
    world
}
