//! Every graph of `fixtures/embedded`, run by the built command with the real model: it answers right, and means the
//! same again, however many tasks run at once.
//!
//! `KORA_BLESS=1` writes the expectations anew; look at what changed.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what cannot be set up is a failed test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};

const MODEL: &str = "smollm2-135m-instruct";

/// One test for each, below.
const GRAPHS: [&str; 6] = [
    "payment-reminder",
    "support-mail",
    "survey-comments",
    "table-booking",
    "travel-receipts",
    "two-languages",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/embedded")
}

// shows C4.2, C6.1
#[test]
fn a_payment_reminder_is_read_right_and_again_the_same() {
    is_answered_right("payment-reminder");
}

// shows C4.2, C6.1, C11.2
#[test]
fn a_support_mail_is_read_right_and_again_the_same() {
    let meaning = is_answered_right("support-mail");
    assert_eq!(meaning["tasks"]["order"], "skipped", "what a rule has found needs no model");
}

// shows C4.2, C6.1, C11.2
#[test]
fn survey_comments_are_read_right_and_again_the_same() {
    let meaning = is_answered_right("survey-comments");
    assert_eq!(meaning["model_invocation_count"], meaning["final_output"]["asked_a_model"]);
}

// shows C4.2, C6.1
#[test]
fn a_table_booking_is_read_right_and_again_the_same() {
    is_answered_right("table-booking");
}

// shows C4.2, C6.1
#[test]
fn travel_receipts_are_read_right_and_again_the_same() {
    is_answered_right("travel-receipts");
}

// shows C4.2, C6.1
#[test]
fn mail_in_two_languages_is_sorted_right_and_again_the_same() {
    is_answered_right("two-languages");
}

#[test]
fn every_graph_for_the_embedded_model_has_its_test() {
    let files = std::fs::read_dir(folder()).unwrap();
    let mut names: Vec<String> = files
        .filter_map(|file| file.unwrap().file_name().to_str()?.strip_suffix(".json").map(str::to_owned))
        .filter(|name| !name.ends_with(".expected"))
        .collect();
    names.sort();
    assert_eq!(names, GRAPHS);
}

/// A schema that no grammar can end would let a small model go on until its tokens are used up.
#[test]
fn no_schema_of_them_leaves_the_model_a_way_to_be_endless() {
    let graphs = GRAPHS.map(|name| folder().join(format!("{name}.json")).to_str().unwrap().to_owned());
    let mut args = vec!["check", "--json"];
    args.extend(graphs.iter().map(String::as_str));
    let checked = kora_backend(&args);
    let checked = checked["graphs"].as_array().unwrap();
    assert_eq!(checked.len(), GRAPHS.len());
    for graph in checked {
        assert_eq!((&graph["valid"], &graph["notes"]), (&json!(true), &json!([])), "{graph:#}");
    }
}

/// Runs it one task at a time and eight at a time; what that means is what stands beside it.
fn is_answered_right(name: &str) -> Value {
    let graph = folder().join(format!("{name}.json"));
    let run = |max_concurrency| {
        let graph = graph.to_str().unwrap();
        meaning(&kora_backend(&["run", "--json", "--max-concurrency", max_concurrency, graph]))
    };
    let found = run("1");
    assert_eq!(run("8"), found, "eight at a time (left), one at a time (right)");
    let path = graph.with_extension("expected.json");
    if std::env::var_os("KORA_BLESS").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(&found).unwrap() + "\n").unwrap();
    }
    let expected = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run with KORA_BLESS=1 and review it", path.display()));
    let expected: Value = serde_json::from_str(&expected).unwrap();
    assert_eq!(found, expected, "found (left), expected (right)\n{found:#}");
    found
}

/// What the command prints as JSON, with the model's weights from where this machine has them.
fn kora_backend(args: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("models.json");
    let weights = model_store::testing::default_model();
    let models = json!({"embedded": [{"models": [{"id": MODEL, "weights": {"path": weights}}]}]});
    std::fs::write(&config, models.to_string()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_kora-backend"))
        .args(args)
        .args(["--config", config.to_str().unwrap()])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        let said = String::from_utf8_lossy(&output.stderr);
        panic!("{args:?} printed no JSON ({error}), ended with {}, and said: {said}", output.status)
    })
}

/// What a run means, and who answered. Tokens are not in it: how many there are is the tokenizer's affair.
fn meaning(result: &Value) -> Value {
    let bundle = &result["telemetry_bundle"];
    let records = bundle["tasks"].as_array().unwrap_or_else(|| panic!("no run: {result:#}"));
    let status_of =
        |record: &Value| (record["task_id"].as_str().unwrap().to_owned(), record["status"].clone());
    let tasks: Map<String, Value> = records.iter().map(status_of).collect();
    json!({
        "model": MODEL,
        "status": result["status"],
        "failure": result["failure"],
        "final_output": result["final_output"],
        "tasks": tasks,
        "model_invocation_count": bundle["summary"]["model_invocation_count"],
        "graph_digest": result["execution_metadata"]["graph_digest"],
        "semantic_digest": result["execution_metadata"]["semantic_digest"],
    })
}
