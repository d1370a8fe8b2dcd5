//! What the nodes offer together, as one machine would: graphs are admitted by the very rules of LocalBackend (C3.7).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use backend_api::{BackendCapabilities, ExecutionBackend, Refusal};
use backend_local::{LocalBackend, LocalConfig};
use kora_ir::{CheckedGraph, OutputSchema};
use krako_contract::WorkUnitKind;
use models::{
    AdapterDescriptor, AdapterError, AdapterErrorKind, AdapterHealth, Locality, ModelAdapter, ModelId,
    ModelRequest, ModelRouter, RawReply, SchemaNote, ServedModel, TokenSink,
};
use operations::{Example, Operation, OperationError, OperationRegistry, PreparedOperation};
use serde_json::Value;

use crate::{Claim, NodeError, Offer, OrchestratorConfig};

/// What the nodes offer together.
#[derive(Debug)]
pub(super) struct Offered {
    /// Nodes of each pool.
    pub(super) cpu_nodes: usize,
    pub(super) llm_pods: usize,
    planner: LocalBackend,
}

impl Offered {
    pub(super) fn nothing(config: &OrchestratorConfig) -> Self {
        let planner = planner(BTreeSet::new(), ModelRouter::default(), 0, config);
        Self { cpu_nodes: 0, llm_pods: 0, planner }
    }

    /// The union. The error says what two nodes say differently.
    pub(super) fn of<'n>(
        nodes: impl Iterator<Item = (WorkUnitKind, &'n Offer, u32)>,
        config: &OrchestratorConfig,
    ) -> Result<Self, String> {
        let (mut cpu_nodes, mut llm_pods, mut capacity) = (0, 0, 0_u32);
        let mut operations = BTreeSet::new();
        let mut adapters: BTreeMap<&str, BTreeMap<&str, ServedModel>> = BTreeMap::new();
        for (pool, offer, slots) in nodes {
            capacity = capacity.saturating_add(slots);
            match pool {
                WorkUnitKind::Cpu => cpu_nodes += 1,
                WorkUnitKind::LlmPod => llm_pods += 1,
            }
            operations.extend(offer.operations.iter().map(String::as_str));
            for model in &offer.models {
                let served = ServedModel {
                    id: ModelId::from(model.model_id.as_str()),
                    tier: model.tier.as_ref().map(|tier| tier.as_str().to_owned()),
                    context_tokens: model.context_tokens,
                    parameters: model.parameters,
                };
                let known = adapters.entry(model.adapter.as_str()).or_default();
                let before = known.entry(model.model_id.as_str()).or_insert_with(|| served.clone());
                if *before != served {
                    return Err(format!(
                        "two nodes say different things of model `{}` of adapter `{}`; configure them alike, or give one \
                         another name",
                        served.id,
                        model.adapter.as_str()
                    ));
                }
            }
        }
        let adapters = adapters.into_iter().map(|(name, models)| {
            Arc::new(Elsewhere { name: name.to_owned(), models: models.into_values().collect() }) as _
        });
        let models = ModelRouter::new(adapters.collect()).map_err(|error| error.to_string())?;
        let planner = planner(operations, models, capacity, config);
        Ok(Self { cpu_nodes, llm_pods, planner })
    }

    /// Whether the nodes can run the graph.
    pub(super) fn admit(&self, graph: &CheckedGraph) -> Result<(), Refusal> {
        self.planner.admit(graph)
    }

    /// As one backend (C3.6).
    pub(super) fn capabilities(&self) -> BackendCapabilities {
        BackendCapabilities { distributed: true, ..self.planner.capability_descriptor() }
    }
}

/// A backend of this machine with everything that the nodes have, which admits graphs and runs none.
fn planner(
    offered: BTreeSet<&str>,
    models: ModelRouter,
    capacity: u32,
    config: &OrchestratorConfig,
) -> LocalBackend {
    let mut operations = OperationRegistry::empty(config.operations.limits().clone());
    for name in offered {
        if let Some(known) = config.operations.lookup(name) {
            // Names are a set, so none comes twice.
            let _ = operations.register(Known(Arc::clone(known)));
        }
    }
    LocalBackend::new(LocalConfig { max_concurrency: capacity, operations, models, backoff: config.backoff })
}

/// What a node offers as a set of names, if it is what nodes of its pool can have.
pub(super) fn names(claim: &Claim, max: usize) -> Result<BTreeSet<String>, NodeError> {
    let Offer { operations, models } = &claim.offer;
    let refused = |why: String| Err(NodeError::Refused(why));
    if operations.len() + models.len() > max {
        return refused(format!("{} names are offered, and {max} may be", operations.len() + models.len()));
    }
    match claim.pool {
        // A node that could do both could bypass what needs no model (C11.2).
        WorkUnitKind::Cpu if !models.is_empty() => {
            refused(String::from("a node of the `cpu` pool offers no models (C11.2)"))
        }
        WorkUnitKind::LlmPod if !operations.is_empty() => {
            refused(String::from("a node of the `llm_pod` pool offers no operations (C11.2)"))
        }
        WorkUnitKind::Cpu => Ok(operations.iter().cloned().collect()),
        WorkUnitKind::LlmPod => Ok(models
            .iter()
            .flat_map(|model| std::iter::once(&model.model_id).chain(&model.tier))
            .map(|name| name.as_str().to_owned())
            .collect()),
    }
}

/// An operation of this program that nodes run.
#[derive(Debug)]
struct Known(Arc<dyn Operation>);

impl Operation for Known {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn summary(&self) -> &str {
        self.0.summary()
    }

    fn args_schema(&self) -> &Value {
        self.0.args_schema()
    }

    fn example(&self) -> &Example {
        self.0.example()
    }

    fn prepare(&self, args: &Value) -> Result<Arc<dyn PreparedOperation>, OperationError> {
        self.0.prepare(args)
    }
}

/// An adapter of other machines, as far as planning needs it. What it thinks of a schema, the pod says when it is asked.
#[derive(Debug)]
struct Elsewhere {
    name: String,
    models: Vec<ServedModel>,
}

#[async_trait]
impl ModelAdapter for Elsewhere {
    fn descriptor(&self) -> AdapterDescriptor {
        // An LLM pod is remote by definition: `local_only` never gets there (C11.3).
        AdapterDescriptor {
            name: self.name.clone(),
            locality: Locality::Remote,
            models: self.models.clone(),
            concurrent_calls: None,
        }
    }

    fn admit(&self, _: &ModelId, _: &OutputSchema) -> Result<Vec<SchemaNote>, AdapterError> {
        Ok(Vec::new())
    }

    async fn health(&self) -> AdapterHealth {
        AdapterHealth::Healthy
    }

    async fn prepare(&self, _: &ModelId) -> Result<(), AdapterError> {
        Ok(())
    }

    async fn generate(&self, _: &ModelRequest, _: &mut TokenSink) -> Result<RawReply, AdapterError> {
        Err(AdapterError::new(AdapterErrorKind::Internal, "this model is asked by its pod"))
    }
}
