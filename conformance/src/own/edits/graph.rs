//! Graphs that should have been refused, mended instead.

use std::collections::{BTreeMap, BTreeSet};

use operations::OperationRegistry;
use serde_json::{Map, Value, json};

use super::budget::endless;
use super::{Edit, is_model, tasks, text};
use crate::model::MODELS;
use crate::own::Defect;

pub(super) const EDITS: &[(Defect, Edit)] = &[
    (Defect::UnknownDependenciesDropped, |graph| {
        let known = ids(graph);
        for dependencies in tasks(graph).filter_map(|task| task.get_mut("dependencies")?.as_array_mut()) {
            dependencies.retain(|from| from.as_str().is_some_and(|from| known.contains(from)));
        }
    }),
    (Defect::CyclesBroken, break_cycles),
    (Defect::FirstOfTwoIds, |graph| {
        let mut seen = BTreeSet::new();
        if let Some(tasks) = graph.get_mut("tasks").and_then(Value::as_array_mut) {
            tasks.retain(|task| seen.insert(task["id"].to_string()));
        }
    }),
    (Defect::LastTaskIsRoot, |graph| {
        let known = ids(graph);
        if graph["root"].as_str().is_none_or(|root| !known.contains(root)) {
            graph["root"] = tasks(graph).last().and_then(|task| task.get("id").cloned()).unwrap_or_default();
        }
    }),
    (Defect::UnknownTypeIsDeterministic, |graph| {
        let known = ["deterministic", "model", "aggregation"].map(Value::from);
        for task in tasks(graph).filter(|task| task.get("type").is_none_or(|kind| !known.contains(kind))) {
            task.insert("type".into(), json!("deterministic"));
            task.insert("run".into(), json!({"operation": "echo", "args": {}}));
        }
    }),
    (Defect::DeclaresForgottenDependencies, |graph| {
        for task in tasks(graph) {
            let mut wanted = Vec::new();
            task.values().for_each(|value| references(value, &mut wanted));
            if let Some(dependencies) = task.get_mut("dependencies").and_then(Value::as_array_mut) {
                for from in wanted {
                    if !dependencies.contains(&from) {
                        dependencies.push(from);
                    }
                }
            }
        }
    }),
    (Defect::NumbersTasks, |graph| {
        let root = graph["root"].clone();
        for task in tasks(graph).filter(|task| !task.contains_key("id")) {
            task.insert("id".into(), root.clone());
        }
    }),
    (Defect::NothingIsInput, |graph| {
        for task in tasks(graph).filter(|task| !task.contains_key("input")) {
            task.insert("input".into(), json!({}));
        }
    }),
    (Defect::NothingIsEcho, |graph| {
        for task in tasks(graph).filter(|task| !task.contains_key("run")) {
            task.insert("run".into(), json!({"operation": "echo", "args": {}}));
        }
    }),
    (Defect::UnknownTargetsDropped, |graph| {
        let known = ids(graph);
        for edges in tasks(graph).filter_map(|task| task.get_mut("escalation")?.as_array_mut()) {
            edges.retain(|edge| edge["to"].as_str().is_some_and(|to| known.contains(to)));
        }
    }),
    (Defect::UnknownOperationsEcho, |graph| {
        let registry = OperationRegistry::standard();
        for run in tasks(graph).filter_map(|task| task.get_mut("run")) {
            let unknown = run["operation"].as_str().is_some_and(|name| registry.lookup(name).is_none());
            if unknown {
                *run = json!({"operation": "echo", "args": {}});
            }
        }
    }),
    (Defect::OperationsMayAsk, |graph| {
        let asks = |task: &&mut Map<String, Value>| {
            !is_model(task) && task.get("run").is_some_and(|run| run.get("model").is_some())
        };
        for task in tasks(graph).filter(asks) {
            task.insert("type".into(), json!("model"));
            task.entry("budget").or_insert_with(endless);
        }
    }),
    (Defect::ReplacesUnknownModels, |graph| {
        for run in tasks(graph).filter(|task| is_model(task)).filter_map(|task| task.get_mut("run")) {
            let known = |name: &str| MODELS.iter().any(|model| model.id == name || model.tier == name);
            if run["model"].as_str().is_some_and(|name| !known(name)) {
                run["model"] = json!("suite-small");
            }
        }
    }),
];

fn ids(graph: &mut Value) -> BTreeSet<String> {
    tasks(graph).filter_map(|task| text(task, "id")).collect()
}

/// The tasks that references in `value` name.
fn references(value: &Value, found: &mut Vec<Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Object(members) => {
            found.extend(members.get("$from").cloned());
            members.values().for_each(|member| references(member, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Drops each dependency that would close a cycle with those before it.
fn break_cycles(graph: &mut Value) {
    let mut kept: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for task in tasks(graph) {
        let Some(id) = text(task, "id") else { continue };
        let Some(dependencies) = task.get_mut("dependencies").and_then(Value::as_array_mut) else { continue };
        let mut dropped = Vec::new();
        dependencies.retain(|from| {
            let from = from.as_str().unwrap_or_default();
            let closes = from == id || leads_to(&kept, from, &id);
            if closes {
                dropped.push(from.to_owned());
            } else {
                kept.entry(id.clone()).or_default().push(from.to_owned());
            }
            !closes
        });
        task.values_mut().for_each(|value| forget(value, &dropped));
    }
}

/// Puts null in the place of references to these tasks.
fn forget(value: &mut Value, dropped: &[String]) {
    if value["$from"].as_str().is_some_and(|from| dropped.iter().any(|task| task == from)) {
        *value = Value::Null;
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| forget(item, dropped)),
        Value::Object(members) => members.values_mut().for_each(|member| forget(member, dropped)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether `from` needs `to`, directly or not. What is kept has no cycle, so that this ends.
fn leads_to(kept: &BTreeMap<String, Vec<String>>, from: &str, to: &str) -> bool {
    kept.get(from).is_some_and(|needs| needs.iter().any(|need| need == to || leads_to(kept, need, to)))
}
