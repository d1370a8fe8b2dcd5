//! A panic is the failure of one attempt and of nothing else.

use serde_json::json;

use crate::support::{World, budget, closure, failed, graph, model, operation};

// shows C9.1
#[tokio::test]
async fn a_panic_of_an_operation_or_an_adapter_fails_its_task_only() {
    let boom = closure("boom", |_| std::panic::panic_any("of a test"));
    let world = World::new(2, &json!({ "otherwise": { "act": "panic" } }), vec![boom]);
    let tasks = [
        operation("a", &[], "boom", &json!({})),
        model("b", &[], &budget(9, 1_000, 0)),
        operation("c", &[], "echo", &json!({})),
        operation("d", &["a"], "echo", &json!({})),
    ];
    let result = world.run(&graph(&tasks, &json!({}))).await;
    let categories = ["a", "b", "c", "d"].map(|id| failed(&result, id));
    assert_eq!(categories, ["EXECUTION_FAILURE", "EXECUTION_FAILURE", "none", "DEPENDENCY_FAILURE"]);
    assert_eq!(result.failure.as_ref().map(|failure| failure.task_id.as_str()), Some("a"));
    let again = world.run(&graph(&tasks[2..3], &json!({}))).await;
    assert_eq!(again.failure, None, "the backend is as good as before");
}

// shows C11.1
#[tokio::test(start_paused = true)]
async fn what_the_schema_refuses_reaches_nobody() {
    let script = json!({ "otherwise": { "act": { "reply": { "secret": "leak", "n": "seven" } } } });
    let world = World::new(2, &script, vec![]);
    let schema = json!({ "type": "object", "properties": { "n": { "type": "integer" } }, "required": ["n"] });
    let mut model = model("m", &[], &budget(90, 1_000, 1));
    model["schema"] = schema;
    let mut reader = operation("reader", &["m"], "echo", &json!({}));
    reader["input"] = json!({ "from": { "$from": "m" } });
    let result = world.run(&graph(&[model, reader], &json!({}))).await;
    assert_eq!(result.final_output, None);
    let text = serde_json::to_string(&result).unwrap();
    assert!(!text.contains("leak") && !text.contains("seven"), "{text}");
}
