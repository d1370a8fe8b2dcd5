//! `[fabric]` of a configuration, as the guide has it: what is said there is what a fabric does.

use serde_json::{Value, json};

use crate::golden::remote;
use crate::guide::blocks;
use crate::stage::{Stage, code, err, json_of, text};

/// Whatever a line of usage costs by the prices of the guide, in dollars.
fn cost(line: &Value) -> f64 {
    let count = |field: &str| line[field].as_f64().unwrap();
    count("tokens_in") * 3e-6 + count("tokens_out") * 15e-6 + count("units") * 0.02e-3
}

// shows C8.3, I8
#[test]
fn a_fabric_asks_the_prices_and_keeps_the_bounds_that_it_is_given() {
    let stage = Stage::new();
    let [_, section] = blocks("toml")[..] else { panic!("other blocks than this test knows") };
    stage.write("fabric.toml", &format!("{section}\nmax_graph_bytes = 20000\n"));
    let fabric = stage.up(&["--config", "fabric.toml"]);

    // Nothing that a caller is not told, and the same again from the log with the same prices.
    stage.write("graph.json", &remote("golden/support-triage"));
    let ran = json_of(&fabric.on(&["run", "graph.json", "--json"]));
    let session = text(&ran["telemetry_bundle"], "execution_session_id");
    let again = |config: &[&str]| {
        json_of(&stage.run(&[&["fabric", "replay", session.as_str(), "--json"], config].concat()))
    };
    let replayed = again(&["--config", "fabric.toml"]);
    let lines = replayed["ledger"].as_array().unwrap();
    let expected: f64 = lines.iter().map(cost).sum();
    let asked = replayed["report"]["billing"]["estimated_cost_usd"].as_f64().unwrap();
    assert!(expected > 0.0 && (asked - expected).abs() < 2e-6, "{asked} for {lines:?}");
    assert_eq!(replayed["report"]["telemetry"]["region"], "eu-west", "{replayed:#}");
    assert_eq!(ran["telemetry_bundle"]["region"], "eu-west", "{ran:#}");
    assert_eq!(again(&[])["report"]["billing"]["estimated_cost_usd"], json!(0.0), "a log knows no prices");

    let mut graph: Value = serde_json::from_str(&stage.read("graph.json")).unwrap();
    graph["tasks"][0]["metadata"] = json!({"note": "x".repeat(30_000)});
    stage.write("graph.json", &graph.to_string());
    let refused = fabric.on(&["run", "graph.json"]);
    assert_eq!(code(&refused), 20, "{}", err(&refused));
    assert!(err(&refused).contains("20000"), "{}", err(&refused));
}

#[test]
fn settings_that_cannot_be_are_said_before_anything_starts() {
    let stage = Stage::new();
    for (section, fault) in [
        ("max_sessions = 0", "nonzero"),
        ("prices = { million_tokens_in = -3 }", "number of dollars"),
        ("max_session = 1", "unknown field `max_session`"),
    ] {
        stage.write("fabric.toml", &format!("[fabric]\n{section}\n"));
        for part in [&["up"][..], &["orchestrator"], &["replay"]] {
            let output = stage.run(&[&["fabric"], part, &["--config", "fabric.toml"]].concat());
            let told = err(&output);
            assert_eq!(code(&output), 2, "{part:?}: {told}");
            assert!(told.contains(fault) && told.contains("fabric.toml"), "{part:?}: {told}");
        }
        assert!(!stage.path("krako-fabric/log").exists());
    }
}
