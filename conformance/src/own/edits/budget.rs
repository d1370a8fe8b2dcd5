//! Budgets that are bent or made up.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Edit, is_model, tasks, text};
use crate::own::Defect;

pub(super) const EDITS: &[(Defect, Edit)] = &[
    (Defect::RaisesBudgets, |graph| each_tokens(graph, |tokens| tokens.saturating_mul(2))),
    (Defect::LowersBudgets, |graph| each_tokens(graph, |tokens| tokens / 2)),
    (Defect::WrapsLargeCaps, |graph| each_tokens(graph, |tokens| tokens % 256)),
    (Defect::DefaultsAreEndless, |graph| {
        if let Some(tokens) = graph.pointer_mut("/defaults/budget/max_tokens")
            && let Some(declared) = tokens.as_u64()
        {
            *tokens = json!(declared.saturating_mul(10));
        }
    }),
    (Defect::DefaultsComeFirst, |graph| {
        if graph.pointer("/defaults/budget").is_some() {
            tasks(graph).for_each(|task| drop(task.shift_remove("budget")));
        }
    }),
    (Defect::RaisesForEscalation, raises_for_escalation),
    (Defect::MissingBudgetIsEndless, |graph| {
        for task in tasks(graph).filter(|task| is_model(task) && !task.contains_key("budget")) {
            task.insert("budget".into(), endless());
        }
    }),
    (Defect::NegativeIsPositive, |graph| each_cap(graph, |cap| cap.as_i64().map(i64::unsigned_abs))),
    (Defect::SenselessBudgetIsLarge, |graph| {
        each_cap(graph, |cap| cap.as_u64().is_none().then_some(1000));
    }),
];

/// A budget that nothing exceeds.
pub(super) fn endless() -> Value {
    json!({"max_tokens": 4000, "max_time_ms": 60_000, "max_retries": 2})
}

fn each_tokens(graph: &mut Value, change: fn(u64) -> u64) {
    for tokens in tasks(graph).filter_map(|task| task.get_mut("budget")?.get_mut("max_tokens")) {
        if let Some(declared) = tokens.as_u64() {
            *tokens = json!(change(declared));
        }
    }
}

/// Changes every cap of the graph for which `change` gives another.
fn each_cap(graph: &mut Value, change: fn(&Value) -> Option<u64>) {
    let in_budget = |budget: &mut Map<String, Value>| {
        for cap in budget.values_mut() {
            if let Some(changed) = change(cap) {
                *cap = json!(changed);
            }
        }
    };
    for pointer in ["/budgets", "/defaults/budget"] {
        graph.pointer_mut(pointer).and_then(Value::as_object_mut).map(in_budget);
    }
    let budgets = tasks(graph).filter_map(|task| task.get_mut("budget")?.as_object_mut());
    budgets.for_each(in_budget);
}

fn raises_for_escalation(graph: &mut Value) {
    let edges = tasks(graph).filter_map(|task| task.get("escalation")?.as_array()).flatten();
    let targets: BTreeSet<String> = edges.filter_map(|edge| edge["to"].as_str().map(str::to_owned)).collect();
    for task in tasks(graph).filter(|task| text(task, "id").is_some_and(|id| targets.contains(&id))) {
        if let Some(tokens) = task.get_mut("budget").and_then(|budget| budget.get_mut("max_tokens"))
            && let Some(declared) = tokens.as_u64()
        {
            *tokens = json!(declared.saturating_mul(2));
        }
    }
    // And the run must not stand in the way.
    if let Some(budgets) = graph.get_mut("budgets").and_then(Value::as_object_mut) {
        budgets.shift_remove("max_tokens");
    }
}
