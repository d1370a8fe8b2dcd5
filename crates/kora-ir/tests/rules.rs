//! Sound graphs with every feature, and what a newer version may bring.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use kora_ir::{
    CheckedGraph, EscalationCondition, FailurePolicy, Limits, Priority, Privacy, TaskType, ViolationCode,
    WarningCode, Work,
};
use serde_json::{Value, json};

fn everything() -> Value {
    json!({
        "kora_version": "1.0.0",
        "graph_id": "everything",
        "schema_version": "1.0",
        "request_id": "r-1",
        "tenant_id": "t-1",
        "created_at": "2026-01-01T00:00:00Z",
        "root": "sum",
        "failure_policy": "fail_fast",
        "budgets": {"max_llm_calls": 3, "max_cpu_units": 9, "max_tokens": 100, "max_latency_ms": 1000},
        "defaults": {"budget": {"max_tokens": 10, "max_time_ms": 100, "max_retries": 2}},
        "tasks": [
            {
                "version": "1.0", "id": "first", "type": "deterministic", "dependencies": [],
                "input": {"text": "t"}, "run": {"operation": "echo"}, "schema": {"type": "object", "properties": {"text": {}}},
                "budget": {"max_time_ms": 7}, "routing": {"priority": "high", "preferred_backend": "local"},
                "metadata": {"created_at": "2026-01-01T00:00:00Z", "trace_id": "x"},
            },
            {
                "version": "1.0", "id": "ask", "type": "model", "dependencies": ["first"],
                "input": {"text": {"$from": "first", "pointer": "/text"}},
                "run": {
                    "model": "hub/small@1",
                    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "{{/text}}"}],
                    "parameters": {"seed": 1, "temperature": 0, "top_p": 1},
                },
                "schema": {"type": "object", "properties": {"confidence": {"type": "number"}}},
                "budget": {"max_tokens": 5}, "constraints": {"privacy": "local_only"},
                "skip_when": {"any_of": [{"$from": "first", "pointer": "/text", "equals": ""}], "output": {"confidence": 1}},
                "escalation": [
                    {"on": "confidence_below_threshold", "threshold": 0.5, "to": "stronger"},
                    {"on": "schema_mismatch", "to": "fallback"},
                    {"on": "budget_remaining", "min_tokens": 5, "to": "fallback"},
                    {"on": "failure", "to": "fallback"},
                ],
            },
            {
                "version": "1.0", "id": "stronger", "type": "model", "dependencies": ["ask"],
                "input": {"draft": {"$from": "ask"}}, "run": {"model": "large", "prompt": "{{/draft}}"},
                "schema": {"type": "object", "properties": {"confidence": {"type": "number"}}},
                "escalation": [{"on": "failure", "to": "last"}],
            },
            {
                "version": "1.0", "id": "fallback", "type": "deterministic", "dependencies": ["first"],
                "input": {}, "run": {"operation": "echo"}, "schema": {},
            },
            {
                "version": "1.0", "id": "last", "type": "deterministic", "dependencies": [],
                "input": {}, "run": {"operation": "echo"}, "schema": true,
            },
            {
                "version": "1.0", "id": "sum", "type": "aggregation", "dependencies": ["ask", "first"],
                "input": {"all": [{"$from": "ask"}, {"$from": "first"}, {"fixed": [1]}]},
                "run": {"operation": "merge", "args": {}}, "schema": {"type": "object"},
            },
        ],
    })
}

fn check(document: &Value) -> CheckedGraph {
    CheckedGraph::from_value(document, &Limits::default()).unwrap()
}

// shows C3.2, C7.2, C7.3, C7.4, C11.3
#[test]
fn everything_declared_is_kept() {
    let graph = check(&everything());
    let ids: Vec<&str> = graph.tasks().iter().map(|task| task.id.as_str()).collect();
    // `fallback` and `stronger` may stand in for `ask`, and `last` for `stronger`: all come before `sum`.
    assert_eq!(ids, ["first", "ask", "fallback", "stronger", "last", "sum"]);
    assert_eq!(
        (graph.request_id(), graph.tenant_id(), graph.schema_version(), graph.created_at()),
        (Some("r-1"), Some("t-1"), Some("1.0"), Some("2026-01-01T00:00:00Z"))
    );
    assert_eq!(graph.failure_policy(), FailurePolicy::FailFast);
    assert_eq!(graph.budgets().max_cpu_units(), Some(9));
    let first = graph.task(graph.index_of("first").unwrap());
    assert_eq!(
        (first.budget.max_time_ms(), first.budget.max_tokens(), first.budget.max_retries()),
        (7, 0, 0)
    );
    let trace_id = first.metadata.as_ref().and_then(|metadata| metadata.trace_id.as_deref());
    assert_eq!((first.routing.priority, trace_id), (Priority::High, Some("x")));
    let ask = graph.task(graph.index_of("ask").unwrap());
    assert_eq!((ask.budget.max_tokens(), ask.budget.max_time_ms(), ask.budget.max_retries()), (5, 100, 2));
    assert_eq!((ask.privacy, ask.task_type), (Privacy::LocalOnly, TaskType::Model));
    let Work::Model(call) = &ask.work else { unreachable!("a model task") };
    assert_eq!((&*call.model, call.messages.len(), call.parameters.seed), ("hub/small@1", 2, Some(1)));
    assert_eq!(
        ask.escalation[0].on,
        EscalationCondition::ConfidenceBelowThreshold { pointer: "/confidence".into(), threshold: 0.5 }
    );
    let stronger = graph.index_of("stronger").unwrap();
    assert_eq!((ask.escalation[0].to, graph.task(stronger).resolves), (stronger, graph.index_of("ask")));
    assert_eq!(check(&graph.to_document()).to_document(), graph.to_document());
}

#[test]
fn references_are_filled_from_admitted_outputs() {
    let graph = check(&everything());
    let (first, ask) = (graph.index_of("first").unwrap(), graph.index_of("ask").unwrap());
    let outputs = [
        (first, graph.task(first).schema.admit(json!({"text": "t"})).unwrap()),
        (ask, graph.task(ask).schema.admit(json!({"confidence": 1})).unwrap()),
    ];
    let output_of = |index| outputs.iter().find(|(of, _)| *of == index).map(|(_, output)| output);
    let input = graph.task(graph.root()).input.resolve(output_of).unwrap();
    assert_eq!(*input, json!({"all": [{"confidence": 1}, {"text": "t"}, {"fixed": [1]}]}));
}

// shows C10.3
#[test]
fn a_newer_minor_version_may_have_fields_unknown_here() {
    let mut document = everything();
    document["colour"] = json!("green");
    document["tasks"][0]["colour"] = json!("green");
    let refused = CheckedGraph::from_value(&document, &Limits::default()).unwrap_err();
    assert!(refused.violations.iter().all(|violation| violation.code == ViolationCode::UnknownField));
    document["kora_version"] = json!("1.3.0");
    document["tasks"][0]["version"] = json!("1.3");
    check(&document);
    document["kora_version"] = json!("2.3.0");
    assert!(CheckedGraph::from_value(&document, &Limits::default()).unwrap_err().is_version_mismatch());
}

#[test]
fn what_is_hardly_meant_is_warned_of() {
    assert_eq!(check(&everything()).warnings(), []);
    let mut document = everything();
    document["tasks"][1]["run"]["messages"][1]["content"] = json!("What?");
    document["tasks"][3]["schema"] = json!({"additionalItems": false, "requird": [], "format": "date"});
    document["tasks"][5]["dependencies"] = json!(["first"]);
    document["tasks"][5]["input"] = json!({});
    document["tasks"].as_array_mut().unwrap().push(json!({
        "version": "1.0", "id": "alone", "type": "model", "dependencies": [], "input": {"a": 1},
        "run": {"model": "m", "prompt": "{{/b}}"}, "schema": {},
    }));
    let graph = CheckedGraph::parse(&document.to_string(), &Limits::default()).unwrap();
    let warnings: Vec<(WarningCode, &str, &str)> = graph
        .warnings()
        .iter()
        .map(|warning| (warning.code, warning.pointer.as_str(), warning.message.as_str()))
        .collect();
    insta::assert_debug_snapshot!(warnings);
    assert!(graph.warnings().iter().all(|warning| warning.span.is_some()));
}

// shows C10.3
#[test]
fn the_version_is_found_wherever_it_stands() {
    let document = everything();
    let mut fields: Vec<_> = document.as_object().unwrap().clone().into_iter().collect();
    fields.reverse();
    let reversed = Value::Object(fields.into_iter().collect());
    assert_eq!(check(&reversed).digest(), check(&document).digest());
}

// The published vector of RFC 8785 is in the canonical writer's own tests; this one fixes the whole path.
#[test]
fn the_digest_is_sha_256_over_canonical_json() {
    let text = r#"{ "version":"0.1", "root":"a", "graph_id":"g", "defaults":{},
        "tasks":[{"id":"a","type":"x","run":{"kind":"det","spec":{"handler":"echo"}},"in":{"message":1.50}}] }"#;
    let graph = CheckedGraph::parse(text, &Limits::default()).unwrap();
    insta::assert_snapshot!(graph.digest());
}
