//! Graphs of this world: terse to write, and random ones.

use kora_ir::{CheckedGraph, Limits};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A task in few words.
#[derive(Clone, Debug, Default)]
pub(crate) struct T {
    pub(crate) id: String,
    pub(crate) model: bool,
    pub(crate) deps: Vec<String>,
    pub(crate) tokens: u64,
    pub(crate) ms: u64,
    pub(crate) retries: u32,
    /// Skipped if any of these dependencies' outputs is by that task.
    pub(crate) skip_if: Vec<(String, String)>,
    pub(crate) escalation: Vec<Value>,
    pub(crate) high: bool,
}

/// A graph in few words.
#[derive(Clone, Debug, Default)]
pub(crate) struct G {
    pub(crate) tasks: Vec<T>,
    pub(crate) budgets: Value,
    pub(crate) fail_fast: bool,
}

impl G {
    pub(crate) fn document(&self) -> Value {
        let schema = json!({
            "type": "object",
            "required": ["by", "confidence"],
            "properties": { "by": { "type": "string" }, "confidence": { "type": "number" } }
        });
        let tasks: Vec<Value> = self.tasks.iter().map(|task| {
            let mut document = json!({
                "version": "1.0", "id": task.id, "dependencies": task.deps, "input": {}, "schema": schema,
                "routing": { "priority": if task.high { "high" } else { "normal" } },
            });
            if task.model {
                document["type"] = json!("model");
                document["run"] = json!({ "model": "m", "prompt": "p" });
                document["budget"] =
                    json!({ "max_tokens": task.tokens, "max_time_ms": task.ms, "max_retries": task.retries });
            } else {
                document["type"] = json!("deterministic");
                document["run"] = json!({ "operation": "o" });
                document["budget"] = json!({ "max_time_ms": task.ms, "max_retries": task.retries });
            }
            if !task.skip_if.is_empty() {
                let any_of = task.skip_if.iter();
                let any_of = any_of.map(|(from, by)| json!({ "$from": from, "pointer": "/by", "equals": by }));
                document["skip_when"] = json!({
                    "any_of": any_of.collect::<Vec<_>>(),
                    "output": { "by": "skip", "confidence": 1 },
                });
            }
            if !task.escalation.is_empty() {
                document["escalation"] = json!(task.escalation);
            }
            document
        }).collect();
        let targets: Vec<&str> = self
            .tasks
            .iter()
            .flat_map(|task| &task.escalation)
            .filter_map(|edge| edge["to"].as_str())
            .collect();
        let root = self.tasks.iter().rev().find(|task| !targets.contains(&task.id.as_str()));
        json!({
            "kora_version": "1.0.0", "graph_id": "g", "root": root.map(|task| &task.id), "tasks": tasks,
            "budgets": self.budgets, "failure_policy": if self.fail_fast { "fail_fast" } else { "continue_on_error" },
        })
    }

    pub(crate) fn check(&self) -> CheckedGraph {
        let source = self.document().to_string();
        CheckedGraph::parse(&source, &Limits::default()).unwrap()
    }
}

/// Random graphs of up to `size` tasks. Tasks depend on earlier ones only, so that there is no cycle; whoever is to be
/// woken by an edge is nobody's dependency.
pub(crate) fn graphs(size: usize) -> impl Strategy<Value = G> {
    let task = (
        any::<bool>(),
        prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        prop_oneof![3 => 1_u64..12, 1 => Just(0)],
        prop_oneof![4 => Just(1_000_u64), 1 => 1_u64..8],
        0_u32..4,
        prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<bool>())),
        prop::option::weighted(0.3, (0_u8..5, 0_u64..30)),
        prop::bool::weighted(0.2),
    );
    let cap = |max: u64| prop::option::weighted(0.4, 0..max);
    (prop::collection::vec(task, 1..=size), (cap(60), cap(12), cap(12)), prop::bool::weighted(0.25)).prop_map(
        |(raw, (tokens, calls, units), fail_fast)| {
            let mut tasks: Vec<T> = Vec::new();
            // Tasks that may be depended on: those that no edge names.
            let mut plain: Vec<usize> = Vec::new();
            for (number, (model, deps, cap, ms, retries, skip, edge, high)) in raw.into_iter().enumerate() {
                let id = format!("t{number:02}");
                let mut chosen: Vec<String> = Vec::new();
                for dep in deps {
                    if !plain.is_empty() {
                        let dep = tasks[*dep.get(&plain)].id.clone();
                        if !chosen.contains(&dep) {
                            chosen.push(dep);
                        }
                    }
                }
                // Some tasks stand in for the one before them instead of being depended on.
                let source = edge.filter(|_| number > 0).map(|edge| (number - 1, edge));
                let source = source.filter(|&(source, _)| !chosen.contains(&tasks[source].id));
                if let Some((source, (kind, min_tokens))) = source {
                    let on = match kind {
                        0 => json!({ "on": "failure", "to": id }),
                        1 => json!({ "on": "schema_mismatch", "to": id }),
                        2 => json!({ "on": "confidence_below_threshold", "threshold": 0.5, "to": id }),
                        3 => json!({ "on": "budget_remaining", "min_tokens": min_tokens, "to": id }),
                        _ => json!({ "on": "failure", "to": id }),
                    };
                    tasks[source].escalation.push(on);
                    // What the target depends on must not wait for the target: leave only what the source could see.
                    chosen = tasks[source].deps.clone();
                } else {
                    plain.push(number);
                }
                let mut skip_if = Vec::new();
                if let Some((which, hit)) = skip.filter(|_| model && !chosen.is_empty()) {
                    let from = which.get(&chosen).clone();
                    skip_if.push((from.clone(), String::from("nobody")));
                    skip_if.extend(hit.then(|| (from.clone(), from)));
                }
                tasks.push(T {
                    id,
                    model,
                    deps: chosen,
                    tokens: cap,
                    ms,
                    retries,
                    skip_if,
                    escalation: vec![],
                    high,
                });
            }
            let budgets: serde_json::Map<String, Value> =
                [("max_tokens", tokens), ("max_llm_calls", calls), ("max_cpu_units", units)]
                    .into_iter()
                    .filter_map(|(name, cap)| Some((name.to_owned(), json!(cap?))))
                    .collect();
            G { tasks, budgets: Value::Object(budgets), fail_fast }
        },
    )
}
