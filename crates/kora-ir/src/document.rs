//! A checked graph as a document again: Task IR 1.0, every default written out, tasks in canonical order.

use serde_json::{Map, Value, json};

use crate::{
    CheckedGraph, EscalationCondition, EscalationEdge, FailurePolicy, GraphBudgets, ModelCall, Priority,
    Privacy, SkipWhen, Task, TaskIndex, Template, Work,
};

impl CheckedGraph {
    /// The graph as a normalised document of Task IR 1.0: reading it gives an equal graph.
    ///
    /// Its digest is its own: [`CheckedGraph::digest`] is that of the document as KORA wrote it.
    pub fn to_document(&self) -> Value {
        let mut document = Map::new();
        let mut put = |name: &str, value: Value| document.insert(name.to_owned(), value);
        put("kora_version", json!("1.0.0"));
        put("graph_id", json!(self.graph_id()));
        let submission = [
            ("schema_version", self.schema_version()),
            ("request_id", self.request_id()),
            ("tenant_id", self.tenant_id()),
            ("created_at", self.created_at()),
        ];
        for (name, text) in submission {
            if let Some(text) = text {
                put(name, json!(text));
            }
        }
        put("root", json!(self.task(self.root()).id));
        put("failure_policy", json!(policy(self.failure_policy())));
        put("budgets", Value::Object(budgets(self.budgets())));
        put("tasks", self.tasks().iter().map(|task| self.task_document(task)).collect());
        Value::Object(document)
    }

    fn task_document(&self, task: &Task) -> Value {
        let mut document = Map::new();
        let mut put = |name: &str, value: Value| document.insert(name.to_owned(), value);
        put("version", json!("1.0"));
        put("id", json!(task.id));
        put("type", json!(task.task_type));
        put("dependencies", task.dependencies.iter().map(|&dependency| self.id(dependency)).collect());
        put("input", self.template(&task.input));
        put("run", self.work(&task.work));
        put("schema", task.schema.document().clone());
        put("budget", budget(task));
        let mut routing =
            Map::from_iter([(String::from("priority"), json!(priority(task.routing.priority)))]);
        put_text(&mut routing, "preferred_backend", task.routing.preferred_backend.as_deref());
        put("routing", Value::Object(routing));
        put("constraints", json!({"privacy": privacy(task.privacy)}));
        if let Some(notes) = &task.metadata {
            let mut metadata = Map::new();
            put_text(&mut metadata, "created_at", notes.created_at.as_deref());
            put_text(&mut metadata, "trace_id", notes.trace_id.as_deref());
            put("metadata", Value::Object(metadata));
        }
        if let Some(skip_when) = &task.skip_when {
            put("skip_when", self.skip_when(skip_when));
        }
        if !task.escalation.is_empty() {
            put("escalation", task.escalation.iter().map(|edge| self.edge(edge)).collect());
        }
        Value::Object(document)
    }

    fn id(&self, index: TaskIndex) -> Value {
        json!(self.task(index).id)
    }

    fn work(&self, work: &Work) -> Value {
        match work {
            Work::Operation(operation) => {
                json!({"operation": &*operation.operation, "args": self.template(&operation.args)})
            }
            Work::Model(call) => {
                let ModelCall { model, messages, parameters } = &**call;
                let messages: Vec<Value> = messages
                    .iter()
                    .map(|message| json!({"role": message.role, "content": message.content.source()}))
                    .collect();
                let mut run = Map::new();
                run.insert(String::from("model"), json!(&**model));
                run.insert(String::from("messages"), Value::Array(messages));
                let mut sampling = Map::new();
                sampling.extend(parameters.seed.map(|seed| (String::from("seed"), json!(seed))));
                sampling
                    .extend(parameters.temperature.map(|heat| (String::from("temperature"), json!(heat))));
                sampling.extend(parameters.top_p.map(|top_p| (String::from("top_p"), json!(top_p))));
                if !sampling.is_empty() {
                    run.insert(String::from("parameters"), Value::Object(sampling));
                }
                Value::Object(run)
            }
        }
    }

    fn skip_when(&self, skip_when: &SkipWhen) -> Value {
        let any_of: Vec<Value> = skip_when
            .any_of
            .iter()
            .map(|condition| {
                json!({
                    "$from": self.id(condition.from),
                    "pointer": condition.pointer,
                    "equals": condition.equals,
                })
            })
            .collect();
        json!({
            "any_of": any_of,
            "output": self.template(&skip_when.output),
            "schema": skip_when.schema.document(),
        })
    }

    fn edge(&self, edge: &EscalationEdge) -> Value {
        let to = self.id(edge.to);
        match &edge.on {
            EscalationCondition::Failure => json!({"on": "failure", "to": to}),
            EscalationCondition::SchemaMismatch => json!({"on": "schema_mismatch", "to": to}),
            EscalationCondition::ConfidenceBelowThreshold { pointer, threshold } => json!({
                "on": "confidence_below_threshold",
                "pointer": pointer,
                "threshold": threshold,
                "to": to,
            }),
            EscalationCondition::BudgetRemaining { min_tokens } => {
                json!({"on": "budget_remaining", "min_tokens": min_tokens, "to": to})
            }
        }
    }

    fn template(&self, template: &Template) -> Value {
        Value::clone(&template.document(self))
    }
}

fn put_text(document: &mut Map<String, Value>, name: &str, text: Option<&str>) {
    document.extend(text.map(|text| (name.to_owned(), json!(text))));
}

fn budget(task: &Task) -> Value {
    let (time, retries) = (task.budget.max_time_ms(), task.budget.max_retries());
    if task.task_type.is_model() {
        json!({"max_tokens": task.budget.max_tokens(), "max_time_ms": time, "max_retries": retries})
    } else {
        json!({"max_time_ms": time, "max_retries": retries})
    }
}

fn budgets(budgets: &GraphBudgets) -> Map<String, Value> {
    let declared = [
        ("max_llm_calls", budgets.max_llm_calls()),
        ("max_cpu_units", budgets.max_cpu_units()),
        ("max_tokens", budgets.max_tokens()),
        ("max_latency_ms", budgets.max_latency_ms()),
    ];
    declared.into_iter().filter_map(|(name, cap)| cap.map(|cap| (name.to_owned(), json!(cap)))).collect()
}

fn policy(policy: FailurePolicy) -> &'static str {
    match policy {
        FailurePolicy::ContinueOnError => "continue_on_error",
        FailurePolicy::FailFast => "fail_fast",
    }
}

fn priority(priority: Priority) -> &'static str {
    match priority {
        Priority::Normal => "normal",
        Priority::High => "high",
    }
}

fn privacy(privacy: Privacy) -> &'static str {
    match privacy {
        Privacy::LocalOnly => "local_only",
        Privacy::AllowRemote => "allow_remote",
    }
}
