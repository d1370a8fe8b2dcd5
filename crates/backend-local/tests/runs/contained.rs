//! A panic is the failure of one attempt and of nothing else.

use std::sync::Arc;

use backend_api::ExecutionBackend;
use backend_local::{LocalBackend, LocalConfig};
use operations::{Example, Operation, OperationError, OperationRegistry, PreparedOperation};
use serde_json::{Value, json};

use crate::support::{World, budget, closure, context, failed, graph, model, operation};

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

/// An operation that panics before it was ever run.
#[derive(Debug)]
struct Unprepared(Example);

impl Operation for Unprepared {
    fn name(&self) -> &str {
        "unprepared"
    }

    fn summary(&self) -> &str {
        "Of a test."
    }

    fn args_schema(&self) -> &Value {
        &Value::Bool(true)
    }

    fn example(&self) -> &Example {
        &self.0
    }

    fn prepare(&self, _args: &Value) -> Result<Arc<dyn PreparedOperation>, OperationError> {
        unreachable!("of a test")
    }
}

// shows C3.7
#[tokio::test]
async fn an_operation_that_panics_while_it_is_prepared_is_refused_and_hangs_nothing() {
    let example = Example { args: json!({}), input: json!({}), output: json!({}) };
    let mut operations = OperationRegistry::standard();
    operations.register(Unprepared(example)).unwrap();
    let backend = LocalBackend::new(LocalConfig { operations, ..LocalConfig::default() });
    let graph = graph(&[operation("a", &[], "unprepared", &json!({}))], &json!({}));
    let refusal = backend.execute_taskgraph(&graph, &context()).await.unwrap_err();
    assert!(refusal.to_string().contains("panicked while it was prepared"), "{refusal}");
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
