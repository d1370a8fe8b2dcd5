//! Who does what: every task's operation or model, found and checked before anything runs (C3.7, C10.3).

use std::sync::Arc;

use backend_api::UnmetCapability;
use kora_ir::{CheckedGraph, ModelCall, OperationUse, OutputSchema, Task, TaskIndex, Work};
use models::{ModelId, Route, SchemaNote};
use operations::PreparedOperation;
use rustc_hash::FxHashMap;

use crate::{LocalConfig, TaskNote, attempt};

/// For each task of one graph, who does it.
#[derive(Debug)]
pub(crate) struct Plan {
    // Invariant: one for each task, in canonical order, each a place in `doers`.
    doer_of: Box<[u32]>,
    doers: Vec<Doer>,
}

/// A deterministic or aggregation task never holds a model here (I4).
#[derive(Debug)]
enum Doer {
    Operation(Arc<dyn PreparedOperation>),
    Model(Arc<Route>),
}

impl Plan {
    /// Finds everything that the graph needs, or says all that is missing.
    pub(crate) fn new(graph: &CheckedGraph, config: &LocalConfig) -> Result<Self, Vec<UnmetCapability>> {
        let mut plan = Planning::new(graph, config);
        let mut unmet = Vec::new();
        let mut doer_of = Vec::with_capacity(graph.tasks().len());
        for task in graph.tasks() {
            let doer = match &task.work {
                Work::Operation(operation) => plan.operation(task, operation),
                Work::Model(call) => plan.model(task, call),
            };
            match doer {
                Ok(doer) => doer_of.push(doer),
                Err(missing) => unmet.push(missing),
            }
        }
        if unmet.is_empty() { Ok(Self { doer_of: doer_of.into(), doers: plan.doers }) } else { Err(unmet) }
    }

    pub(crate) fn operation(&self, task: TaskIndex) -> Option<&dyn PreparedOperation> {
        match self.doer(task) {
            Doer::Operation(operation) => Some(&**operation),
            Doer::Model(_) => None,
        }
    }

    pub(crate) fn route(&self, task: TaskIndex) -> Option<Arc<Route>> {
        match self.doer(task) {
            Doer::Model(route) => Some(Arc::clone(route)),
            Doer::Operation(_) => None,
        }
    }

    fn doer(&self, task: TaskIndex) -> &Doer {
        &self.doers[self.doer_of[task.as_usize()] as usize]
    }
}

/// What the adapters cannot promise about the replies to this graph's tasks. Nothing of a task that would be refused.
pub(crate) fn notes(graph: &CheckedGraph, config: &LocalConfig) -> Vec<TaskNote> {
    let mut plan = Planning::new(graph, config);
    let mut notes = Vec::new();
    for task in graph.tasks() {
        let Work::Model(call) = &task.work else { continue };
        let Ok((route, found)) = plan.admitted(task, call) else { continue };
        notes.extend(found.iter().map(|note| TaskNote {
            task_id: task.id.clone(),
            model: route.model.clone(),
            note: note.clone(),
        }));
    }
    notes
}

/// What an adapter cannot promise about a schema, or why it does not take it.
type Admission = Result<Arc<[SchemaNote]>, String>;

/// A plan in the making.
struct Planning<'g> {
    graph: &'g CheckedGraph,
    config: &'g LocalConfig,
    doers: Vec<Doer>,
    /// What many tasks of the graph do is prepared once: the graph keeps it once as well, so its address tells.
    shared: FxHashMap<*const OperationUse, Result<u32, String>>,
    last: Option<(*const OperationUse, u32)>,
    /// What an adapter said of a schema, which the graph keeps once as well.
    admitted: FxHashMap<(*const OutputSchema, ModelId), Admission>,
}

impl<'g> Planning<'g> {
    fn new(graph: &'g CheckedGraph, config: &'g LocalConfig) -> Self {
        Self {
            graph,
            config,
            doers: Vec::new(),
            shared: FxHashMap::default(),
            last: None,
            admitted: FxHashMap::default(),
        }
    }

    fn operation(&mut self, task: &Task, operation: &Arc<OperationUse>) -> Result<u32, UnmetCapability> {
        let address = Arc::as_ptr(operation);
        match self.last {
            Some((last, doer)) if last == address => return Ok(doer),
            Some(_) | None => {}
        }
        let doer = match self.shared.get(&address) {
            Some(doer) => doer.clone(),
            None => {
                let args = operation.args.document(self.graph);
                let prepared = attempt::prepare(&self.config.operations, &operation.operation, &args);
                let doer = prepared.map(|operation| self.add(Doer::Operation(operation)));
                // What refers to other tasks is not shared.
                if operation.args.as_fixed().is_some() {
                    self.shared.insert(address, doer.clone());
                }
                doer
            }
        };
        let doer = doer.map_err(|error| beyond(task, "operations", &operation.operation, error))?;
        self.last = Some((address, doer));
        Ok(doer)
    }

    fn model(&mut self, task: &Task, call: &ModelCall) -> Result<u32, UnmetCapability> {
        let (route, _) = self.admitted(task, call)?;
        Ok(self.add(Doer::Model(Arc::new(route))))
    }

    /// Who answers, and what it cannot promise.
    fn admitted(
        &mut self,
        task: &Task,
        call: &ModelCall,
    ) -> Result<(Route, Arc<[SchemaNote]>), UnmetCapability> {
        let route = self.config.models.route(&call.model, task.privacy);
        let route = route.map_err(|error| beyond(task, "models", &call.model, error.to_string()))?;
        let route = fits_window(task, route)?;
        let pair = (Arc::as_ptr(&task.schema), route.model.clone());
        let admitted = self.admitted.entry(pair).or_insert_with(|| route.admit(&task.schema).map(Arc::from));
        let notes = admitted.clone().map_err(|missing| beyond(task, "models", &call.model, missing))?;
        Ok((route, notes))
    }

    fn add(&mut self, doer: Doer) -> u32 {
        self.doers.push(doer);
        // There are no more doers than tasks, and those are counted by `u32`.
        u32::try_from(self.doers.len() - 1).unwrap_or(u32::MAX)
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
