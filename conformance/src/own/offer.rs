//! What the suite's own backends offer, and what they refuse because it is more than that (C3.6, C3.7).

use std::sync::Arc;

use backend_api::RefusalDocument;
use kora_ir::{CheckedGraph, Task, TaskType, Work};
use operations::{OperationRegistry, PreparedOperation};
use serde_json::{Value, json};

use super::{Behaviour, Defect, Quirk};
use crate::model::{MODELS, SuiteModel};

/// What a backend has to work with.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    does: Behaviour,
    pub(super) operations: OperationRegistry,
    /// The operations of those that are offered; `None`: all.
    few: Option<&'static [&'static str]>,
    pub(super) models: Vec<SuiteModel>,
    pub(super) task_types: Vec<TaskType>,
    pub(super) max_concurrency: u32,
}

/// Who does a task. Whoever computes holds no model (C11.2).
#[derive(Clone, Debug)]
pub(super) enum Doer {
    Operation(Arc<dyn PreparedOperation>),
    Model(SuiteModel),
}

impl Offer {
    /// What a backend of this behaviour offers.
    pub(super) fn of(does: Behaviour) -> Self {
        let operations_only = does.is(Quirk::OnlyOperations);
        let all = TaskType::ALL;
        let lanes = |quirk, lanes| does.is(quirk).then_some(lanes);
        Self {
            does,
            operations: OperationRegistry::standard(),
            few: does.is(Quirk::FewOperations).then_some(&["constant", "echo"]),
            models: if operations_only { Vec::new() } else { MODELS.to_vec() },
            task_types: if operations_only { vec![TaskType::Deterministic] } else { all.to_vec() },
            max_concurrency: lanes(Quirk::FourLanes, 4).or(lanes(Quirk::SixtyFourLanes, 64)).unwrap_or(1),
        }
    }

    /// The capability descriptor.
    pub(super) fn descriptor(&self) -> Value {
        let models = self.models.iter().map(|model| {
            json!({
                "model_id": model.id,
                "tier": model.tier,
                "adapter": "suite",
                "context_tokens": model.context_tokens,
            })
        });
        json!({
            "max_model_size": null,
            "max_concurrency": self.max_concurrency,
            "supported_task_types": self.task_types,
            "supported_context_window": self.models.iter().map(|model| model.context_tokens).max(),
            "distributed": false,
            "models": models.collect::<Vec<_>>(),
            "operations": self.names(),
            "extensions": [],
        })
    }

    fn names(&self) -> Vec<&str> {
        self.operations.names().filter(|name| self.few.is_none_or(|few| few.contains(name))).collect()
    }

    /// Who does each task, and who does not know it.
    pub(super) fn doers_one_by_one(&self, graph: &CheckedGraph) -> Vec<Result<Doer, String>> {
        let said = |missing: Value| missing["offered"].as_str().unwrap_or_default().to_owned();
        graph.tasks().iter().map(|task| self.doer(graph, task).map_err(said)).collect()
    }

    /// Who does each task, or a refusal that says all that is missing.
    pub(super) fn doers(&self, graph: &CheckedGraph) -> Result<Vec<Doer>, RefusalDocument> {
        let (mut doers, mut unmet) = (Vec::new(), Vec::new());
        for task in graph.tasks() {
            match self.doer(graph, task) {
                Ok(doer) => doers.push(doer),
                Err(missing) => unmet.push(missing),
            }
        }
        if unmet.is_empty() {
            return Ok(doers);
        }
        let said: Vec<&str> = unmet.iter().filter_map(|missing| missing["offered"].as_str()).collect();
        Err(RefusalDocument {
            error_type: String::from("VALIDATION_ERROR"),
            message: format!("beyond this backend's capabilities: {}", said.join("; ")),
            details: Some(json!({"unmet": unmet})),
        })
    }

    fn doer(&self, graph: &CheckedGraph, task: &Task) -> Result<Doer, Value> {
        let missing = |capability: &str, needed: &str, offered: String| json!({"task_id": task.id, "capability": capability, "needed": needed, "offered": offered});
        if !self.task_types.contains(&task.task_type) {
            let word = task.task_type.as_str();
            return Err(missing("supported_task_types", word, format!("no tasks of type `{word}`")));
        }
        match &task.work {
            Work::Operation(operation) => {
                let name = &*operation.operation;
                if !self.names().contains(&name) {
                    return Err(missing("operations", name, format!("no operation `{name}`")));
                }
                let prepared = self.operations.prepare(name, &operation.args.document(graph));
                prepared.map(Doer::Operation).map_err(|error| missing("operations", name, error.to_string()))
            }
            Work::Model(call) => {
                let named = |model: &&SuiteModel| model.id == &*call.model || model.tier == &*call.model;
                let Some(model) = self.models.iter().find(named) else {
                    return Err(missing("models", &call.model, format!("no model or tier `{}`", call.model)));
                };
                let too_much = task.budget.max_tokens() > model.context_tokens;
                if too_much && !self.does.has(Defect::IgnoresTheWindow) {
                    let offered = format!("a window of {} tokens", model.context_tokens);
                    return Err(missing("supported_context_window", "a longer reply", offered));
                }
                Ok(Doer::Model(*model))
            }
        }
    }
}
