//! Versions, contexts and the compatibility mapping, read wrongly.

use serde_json::{Value, json};

use super::{Edit, tasks};
use crate::own::Defect;

pub(super) const EDITS: &[(Defect, Edit)] = &[
    (Defect::AnyGraphVersion, any_graph_version),
    (Defect::AnyTaskVersion, |graph| {
        for task in tasks(graph) {
            task.insert("version".into(), json!("1.0"));
        }
    }),
    (Defect::GuessesHandlers, |graph| {
        each_spec(graph, |spec| {
            let known = ["echo", "classify_simple", "flaky_once"].map(Value::from);
            if spec.get("handler").is_some_and(|handler| !known.contains(handler)) {
                spec["handler"] = json!("echo");
            }
        });
    }),
    (Defect::RetriesInIr01, |graph| {
        for policy in tasks(graph).filter_map(|task| task.get_mut("policy")) {
            policy["on_fail"] = json!("retry");
        }
    }),
    (Defect::SkipIfIgnored, |graph| {
        each_spec(graph, |spec| {
            if let Some(input) = spec.get_mut("input").and_then(Value::as_object_mut) {
                input.shift_remove("skip_if");
            }
        });
    }),
];

pub(super) const CONTEXT_EDITS: &[(Defect, Edit)] = &[
    (Defect::AnyInterfaceVersion, |context| context["interface_version"] = Value::Null),
    (Defect::AnyMode, |context| context["backend_mode"] = json!("local")),
    (Defect::UnknownModeIsLocal, |context| {
        if context["backend_mode"] != "krako" {
            context["backend_mode"] = json!("local");
        }
    }),
    (Defect::NoRunId, |context| {
        if context.get("run_id").is_none() {
            context["run_id"] = json!("none");
        }
    }),
];

fn any_graph_version(graph: &mut Value) {
    // What calls itself 0.1 is of another format.
    if graph.get("version").is_none() {
        graph["kora_version"] = json!("1.0.0");
    }
}

fn each_spec(graph: &mut Value, edit: fn(&mut Value)) {
    let runs = tasks(graph).filter_map(|task| task.get_mut("run"));
    runs.filter_map(|run| run.get_mut("spec")).for_each(edit);
}
