//! Graphs of KORA's Python runtime: what they become, and what they are refused for.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use kora_ir::{CheckedGraph, FailurePolicy, Limits, TaskType, ViolationCode};
use serde_json::{Value, json};

fn fixture(name: &str) -> String {
    let path = format!("{}/../../fixtures/v0_1/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

fn parse(document: &Value) -> Result<CheckedGraph, Vec<(ViolationCode, String)>> {
    CheckedGraph::parse(&document.to_string(), &Limits::default()).map_err(|refused| {
        refused.violations.into_iter().map(|violation| (violation.code, violation.pointer)).collect()
    })
}

fn demo() -> Value {
    serde_json::from_str(&fixture("direct-vs-kora")).unwrap()
}

// shows C10.2
#[test]
fn a_graph_of_the_python_runtime_becomes_one_of_task_ir_1_0() {
    for name in ["hello-kora", "retry-demo", "direct-vs-kora"] {
        let graph = CheckedGraph::parse(&fixture(name), &Limits::default()).unwrap();
        assert_eq!(graph.failure_policy(), FailurePolicy::FailFast);
        insta::assert_json_snapshot!(name, graph.to_document());
    }
}

// shows C10.2, C7.3
#[test]
fn retries_are_only_for_tasks_that_retry() {
    let retries = |name| {
        let graph = CheckedGraph::parse(&fixture(name), &Limits::default()).unwrap();
        graph.task(graph.root()).budget.max_retries()
    };
    assert_eq!(retries("hello-kora"), 0);
    assert_eq!(retries("retry-demo"), 1);
}

#[test]
fn a_declared_budget_is_completed_by_the_runtimes_defaults_and_not_by_the_graphs() {
    let mut document = demo();
    document["tasks"][1]["policy"] = json!({"budget": {"max_tokens": 7}});
    let graph = parse(&document).unwrap();
    let budget = graph.task(graph.root()).budget;
    assert_eq!((budget.max_tokens(), budget.max_time_ms(), budget.max_retries()), (7, 1500, 0));
}

#[test]
fn outputs_stay_open_and_rules_hold() {
    let graph = parse(&demo()).unwrap();
    let schema = &graph.task(graph.root()).schema;
    let answer = |more: Value| {
        let mut output = json!({"status": "ok", "task_id": "task_llm", "answer": "x"});
        output.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        schema.admit(output).is_ok()
    };
    assert!(answer(json!({"more": 1})));
    assert!(answer(json!({"confidence": 0.5})));
    assert!(answer(json!({"confidence": null})));
    assert!(answer(json!({"confidence": true})), "to Python, `True` is 1");
    assert!(!answer(json!({"confidence": 1.5})));
    assert!(!answer(json!({"confidence": "high"})));
    assert!(!answer(json!({"answer": {"summary": "s", "benefits": [], "more": 1}})), "declared closed");
    assert!(schema.admit(json!({"status": "ok"})).is_err());
    assert!(schema.admit(json!([])).is_err());
}

#[test]
fn a_handler_without_schema_may_say_anything() {
    let mut document = demo();
    document["tasks"][0]["verify"] = json!({"rules": [{"kind": "required", "paths": ["x"]}]});
    let graph = parse(&document).unwrap();
    let pre = graph.index_of("task_pre").unwrap();
    assert_eq!(graph.task(pre).task_type, TaskType::Deterministic);
    assert!(graph.task(pre).schema.admit(json!({"anything": 1})).is_ok());
}

// shows C10.2
#[test]
fn what_cannot_be_said_in_1_0_is_refused_where_it_stands() {
    let refused = |change: &dyn Fn(&mut Value), code: ViolationCode, pointer: &str| {
        let mut document = demo();
        change(&mut document);
        assert_eq!(parse(&document).unwrap_err(), [(code, pointer.to_owned())]);
    };
    let not_portable = ViolationCode::NotPortable;
    refused(
        &|graph| graph["tasks"][0]["run"]["spec"]["handler"] = json!("quality_gate"),
        not_portable,
        "/tasks/0/run/spec/handler",
    );
    refused(&|graph| graph["tasks"][0]["in"]["text"] = json!(5), not_portable, "/tasks/0/in/text");
    refused(
        &|graph| graph["tasks"][1]["policy"]["adaptive"] = json!({}),
        not_portable,
        "/tasks/1/policy/adaptive",
    );
    refused(
        &|graph| graph["tasks"][1]["run"]["spec"]["input"]["skip_if"]["equals"] = Value::Null,
        not_portable,
        "/tasks/1/run/spec/input/skip_if/equals",
    );
    refused(
        &|graph| graph["tasks"][1]["run"]["spec"]["input"]["a"] = json!({"$from": "task_pre"}),
        not_portable,
        "/tasks/1/run/spec/input/a/$from",
    );
    refused(
        &|graph| {
            graph["tasks"][1]["run"]["spec"]["output_schema"]["properties"]["answer"] =
                json!({"$ref": "http://x"})
        },
        ViolationCode::RemoteSchema,
        "/tasks/1/run/spec/output_schema/properties/answer/$ref",
    );
    refused(
        &|graph| graph["tasks"][1]["deps"] = json!(["task_pre", "task_pre", "x"]),
        ViolationCode::UnknownDependency,
        "/tasks/1/deps/2",
    );
    refused(&|graph| graph["root"] = json!("x"), ViolationCode::UnknownRoot, "/root");
    refused(
        &|graph| graph["tasks"][0]["policy"]["budget"] = json!({"max_time_ms": -1}),
        ViolationCode::InvalidBudget,
        "/tasks/0/policy/budget/max_time_ms",
    );
}

#[test]
fn unknown_fields_are_ignored_as_the_runtime_ignores_them() {
    let mut document = demo();
    document["colour"] = json!("green");
    document["tasks"][0]["colour"] = json!("green");
    assert!(parse(&document).is_ok());
}

#[test]
fn the_digest_is_that_of_the_document_as_written() {
    let mut document = demo();
    let before = *parse(&document).unwrap().digest();
    document["colour"] = json!("green");
    assert_ne!(*parse(&document).unwrap().digest(), before);
}
