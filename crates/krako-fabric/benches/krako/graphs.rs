//! What is submitted: a graph of trivial tasks.

use serde_json::{Value, json};

/// A graph of so many tasks without dependencies, and one that ends it if they are several.
pub(crate) fn graph(units: usize) -> Value {
    let schema =
        json!({ "type": "object", "required": ["text"], "properties": { "text": { "type": "string" } } });
    let id = |unit: usize| format!("unit-{unit:04}");
    let task = |unit: usize, kind: &str, dependencies: Vec<String>| {
        json!({
            "version": "1.0",
            "id": id(unit),
            "type": kind,
            "dependencies": dependencies,
            "input": { "text": format!("Our card was charged twice for order NW-{unit:05}.") },
            "run": { "operation": "echo" },
            "schema": schema,
        })
    };
    let mut tasks: Vec<Value> =
        (0..units.saturating_sub(1)).map(|unit| task(unit, "deterministic", Vec::new())).collect();
    tasks.push(task(units - 1, "deterministic", (0..units - 1).map(id).collect()));
    json!({ "kora_version": "1.0.0", "graph_id": "bench", "root": id(units - 1), "tasks": tasks })
}

/// The text of a submission under a name that no other has.
pub(crate) fn submission(graph: &Value, name: &str) -> String {
    json!({
        "api_version": "1.0",
        "contract_version": "1.0.0",
        "taskgraph": graph,
        "execution_context": { "run_id": name, "trace_id": "bench" },
    })
    .to_string()
}
