//! Graphs on a fabric mean what they mean here, by the same command.

use std::process::Output;

use serde_json::{Value, json};

use crate::stage::{Stage, code, err, fixtures, graphs, json_of};
use crate::words;

const MODEL: &str = "smollm2-135m-instruct";

// shows C1.2, C1.3, C2.6, C5.3, C6.1
#[test]
fn every_golden_graph_means_the_same_on_a_fabric_and_here() {
    let stage = Stage::new();
    stage.write("script.json", &script().to_string());
    let fabric = stage.up(&["--scripted-model", "script.json"]);
    for name in graphs("golden") {
        stage.write("graph.json", &remote(&format!("golden/{name}")));
        let here = stage.run(&["run", "graph.json", "--json", "--scripted-model", "script.json"]);
        same(&name, &fabric.on(&["run", "graph.json", "--json"]), &here);
    }
    assert_eq!(fabric.part.interrupted().0, Some(0));
}

// shows C1.2, C1.3, C2.6, C4.2, C6.1
#[test]
fn every_graph_for_the_embedded_model_means_the_same_on_a_fabric_and_here() {
    let stage = Stage::new();
    let weights = model_store::testing::default_model();
    let models = json!({"embedded": [{"models": [{"id": MODEL, "weights": {"path": weights}}]}]});
    stage.write("models.json", &models.to_string());
    let fabric = stage.up(&["--config", "models.json"]);
    for name in graphs("embedded") {
        stage.write("graph.json", &remote(&format!("embedded/{name}")));
        let here = stage.run(&["run", "graph.json", "--json", "--config", "models.json"]);
        same(&name, &fabric.on(&["run", "graph.json", "--json"]), &here);
    }
    assert_eq!(fabric.part.interrupted().0, Some(0));
}

// shows C11.3, C2.6
#[test]
fn a_model_task_that_may_not_leave_this_machine_is_not_sent() {
    let stage = Stage::new();
    stage.write("script.json", &script().to_string());
    let fabric = stage.up(&["--scripted-model", "script.json"]);
    let graph = fixtures().join("golden/support-triage-with-model.json");
    let refused = fabric.on(&["run", graph.to_str().unwrap()]);
    assert_eq!(code(&refused), 22, "{}", err(&refused));
    words::read("local_only", &err(&refused));
    let sessions = json_of(&stage.run(&["fabric", "replay", "--json"]));
    assert_eq!(sessions, json!({"sessions": []}), "nothing of it was recorded");
}

/// A graph whose model tasks may be answered elsewhere: a fabric refuses others.
pub(crate) fn remote(name: &str) -> String {
    let graph = std::fs::read_to_string(fixtures().join(format!("{name}.json"))).unwrap();
    graph.replace("\"local_only\"", "\"allow_remote\"")
}

/// One stand-in for all golden graphs: no two of them call a task of a model alike.
pub(crate) fn script() -> Value {
    let mut all: Option<Value> = None;
    for name in graphs("golden") {
        let Ok(text) = std::fs::read(fixtures().join(format!("golden/{name}.script.json"))) else { continue };
        let script: Value = serde_json::from_slice(&text).unwrap();
        let Some(all) = &mut all else {
            all = Some(script);
            continue;
        };
        assert_eq!(all["models"], script["models"], "{name}");
        for (task, steps) in script["tasks"].as_object().unwrap() {
            let before = all["tasks"].as_object_mut().unwrap().insert(task.clone(), steps.clone());
            assert_eq!(before, None, "another graph has a `{task}` as well: {name}");
        }
    }
    all.unwrap()
}

pub(crate) fn same(name: &str, there: &Output, here: &Output) {
    assert_eq!(code(there), code(here), "{name}: {}{}", err(there), err(here));
    let (there, here) = (json_of(there), json_of(here));
    for (pointer, must_be) in [
        ("/status", true),
        ("/final_output", false),
        ("/failure/error_type", false),
        ("/execution_metadata/graph_digest", true),
        ("/execution_metadata/semantic_digest", true),
        ("/telemetry_bundle/summary/total_tokens", true),
        ("/telemetry_bundle/summary/model_invocation_count", true),
        ("/telemetry_bundle/summary/deterministic_task_count", true),
    ] {
        assert_eq!(
            there.pointer(pointer),
            here.pointer(pointer),
            "{name}, {pointer}: there (left), here (right)"
        );
        assert!(
            !must_be || here.pointer(pointer).is_some_and(|value| !value.is_null()),
            "{name}: no {pointer}"
        );
    }
    let (backends, session) = (
        [&there, &here].map(|result| &result["execution_metadata"]["backend"]),
        &there["telemetry_bundle"]["execution_session_id"],
    );
    assert_eq!((backends, session.is_string()), ([&json!("krako"), &json!("local")], true), "{name}");
}
