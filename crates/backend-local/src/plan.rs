//! Who does what: every task's operation or model, found and checked before anything runs (C3.7, C10.3).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use backend_api::UnmetCapability;
use kora_ir::{CheckedGraph, Task, TaskIndex, Work, write_canonical};
use models::Route;
use operations::PreparedOperation;
use rustc_hash::FxHashMap;
use serde_json::Value;

use crate::LocalConfig;

/// For each task of one graph, who does it.
#[derive(Debug)]
pub(crate) struct Plan {
    // Invariant: one for each task, in canonical order.
    doers: Box<[Doer]>,
}

/// A deterministic or aggregation task never holds a model here (I4).
#[derive(Clone, Debug)]
enum Doer {
    Operation(Arc<dyn PreparedOperation>),
    Model(Arc<Route>),
}

impl Plan {
    /// Finds everything that the graph needs, or says all that is missing.
    pub(crate) fn new(graph: &CheckedGraph, config: &LocalConfig) -> Result<Self, Vec<UnmetCapability>> {
        // Most tasks of a large graph do the same with other inputs: that is prepared once.
        let mut prepared: FxHashMap<Box<[u8]>, Result<Doer, String>> = FxHashMap::default();
        let mut key = Vec::new();
        let mut unmet = Vec::new();
        let mut doers = Vec::with_capacity(graph.tasks().len());
        for task in graph.tasks() {
            let doer = match &task.work {
                Work::Operation(operation) => {
                    let args = operation.args.document(graph);
                    key.clear();
                    key.extend_from_slice(operation.operation.as_bytes());
                    // No name holds a line break, so no name and arguments read like others.
                    key.push(b'\n');
                    write_canonical(&args, &mut key);
                    let doer = match prepared.get(&key[..]) {
                        Some(doer) => doer.clone(),
                        None => {
                            let doer = prepare(config, &operation.operation, &args);
                            prepared.insert(key.as_slice().into(), doer.clone());
                            doer
                        }
                    };
                    doer.map_err(|error| beyond(task, "operations", &operation.operation, error))
                }
                Work::Model(call) => config
                    .models
                    .route(&call.model, task.privacy)
                    .map_err(|error| beyond(task, "models", &call.model, error.to_string()))
                    .and_then(|route| fits_window(task, route))
                    .map(|route| Doer::Model(Arc::new(route))),
            };
            match doer {
                Ok(doer) => doers.push(doer),
                Err(missing) => unmet.push(missing),
            }
        }
        if unmet.is_empty() { Ok(Self { doers: doers.into() }) } else { Err(unmet) }
    }

    pub(crate) fn operation(&self, task: TaskIndex) -> Option<Arc<dyn PreparedOperation>> {
        match &self.doers[task.as_usize()] {
            Doer::Operation(operation) => Some(Arc::clone(operation)),
            Doer::Model(_) => None,
        }
    }

    pub(crate) fn route(&self, task: TaskIndex) -> Option<Arc<Route>> {
        match &self.doers[task.as_usize()] {
            Doer::Model(route) => Some(Arc::clone(route)),
            Doer::Operation(_) => None,
        }
    }
}

/// Prepares an operation. It may be anybody's, so a panic of it is an operation that cannot be had, and no more.
fn prepare(config: &LocalConfig, name: &str, args: &Value) -> Result<Doer, String> {
    match catch_unwind(AssertUnwindSafe(|| config.operations.prepare(name, args))) {
        Ok(operation) => operation.map(Doer::Operation).map_err(|error| error.to_string()),
        Err(_) => Err(String::from("the operation panicked while it was prepared")),
    }
}

fn beyond(task: &Task, capability: &'static str, needed: &str, offered: String) -> UnmetCapability {
    UnmetCapability { task_id: task.id.to_string(), capability, needed: format!("`{needed}`"), offered }
}

/// A reply of `max_tokens` must fit the model's window; the prompt beside it is counted by the model's side.
fn fits_window(task: &Task, route: Route) -> Result<Route, UnmetCapability> {
    match route.context_tokens {
        Some(window) if task.budget.max_tokens() > window => Err(UnmetCapability {
            task_id: task.id.to_string(),
            capability: "supported_context_window",
            needed: format!("room for {} generated tokens", task.budget.max_tokens()),
            offered: format!("a window of {window} tokens of model `{}`", route.model),
        }),
        Some(_) | None => Ok(route),
    }
}
