//! A node of the `llm_pod` pool: asks models, exactly those that are declared (C11.3).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backend_local::attempt::{self, Asked};
use kora_ir::{Message, ModelParameters, OutputSchema, Privacy, TaskId};
use krako_contract::{NodeId, PodModel, Remark, WorkUnitKind};
use models::{ModelRequest, ModelRouter, Route};
use serde_json::Value;
use tokio::sync::watch;

use super::claiming::{Hands, Node};
use super::cpu::compile;
use super::held::{Progress, stopped};
use super::kept::Kept;
use super::reporting::{ended, failed};
use crate::{NodeConfig, NodeDesk, NodeError, Offer, OrderReport, OrderWork, WorkOrder};

/// A node of the `llm_pod` pool.
#[derive(Debug)]
pub struct PodNode {
    id: NodeId,
    desk: Arc<dyn NodeDesk>,
    models: ModelRouter,
    slots: u32,
    config: NodeConfig,
}

impl PodNode {
    /// A node that asks these models, with at most `slots` calls at once.
    pub fn new(id: NodeId, desk: Arc<dyn NodeDesk>, models: ModelRouter, slots: u32) -> Self {
        Self { id, desk, models, slots: slots.max(1), config: NodeConfig::default() }
    }

    /// The same with other bounds.
    #[must_use]
    pub fn with(self, config: NodeConfig) -> Self {
        Self { config, ..self }
    }

    /// Claims and runs work until `stop` resolves and what is held is reported, or [`NodeConfig::drain`] is over.
    ///
    /// # Errors
    ///
    /// [`NodeError::Refused`] says why it can get no work.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is the death of the node: calls are dropped, nothing is reported, and what it held is given to
    /// another when its lease is over.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) -> Result<(), NodeError> {
        let hands = PodHands {
            schemas: Kept::new(self.config.max_prepared),
            models: self.models,
            config: self.config.clone(),
        };
        let node = Node {
            id: self.id,
            desk: self.desk,
            hands: Arc::new(hands),
            slots: self.slots,
            config: self.config,
        };
        node.run(stop).await
    }
}

#[derive(Debug)]
struct PodHands {
    models: ModelRouter,
    schemas: Kept<Arc<OutputSchema>>,
    config: NodeConfig,
}

#[async_trait]
impl Hands for PodHands {
    fn pool(&self) -> WorkUnitKind {
        WorkUnitKind::LlmPod
    }

    fn offer(&self) -> Offer {
        let models = self.models.offered().map(|(adapter, model)| PodModel {
            model_id: Remark::new(model.id.as_str()),
            tier: model.tier.as_deref().map(Remark::new),
            adapter: Remark::new(&adapter.name),
            context_tokens: model.context_tokens,
            parameters: model.parameters,
        });
        Offer { operations: Vec::new(), models: models.collect() }
    }

    async fn run(
        &self,
        node_id: &NodeId,
        order: WorkOrder,
        progress: Arc<Progress>,
        unwanted: watch::Receiver<bool>,
    ) -> OrderReport {
        let lease = order.lease.clone();
        let (route, request) = match self.prepare(order) {
            Ok(prepared) => prepared,
            Err(message) => return failed(node_id, lease, message),
        };
        let unwanted = Box::pin(stopped(unwanted));
        let asked = attempt::ask(&route, request, unwanted, &progress.spending).await;
        let Asked { outcome, usage, elapsed, retry_after } = asked;
        ended(node_id, lease, outcome, elapsed, usage, retry_after)
    }
}

impl PodHands {
    fn prepare(&self, order: WorkOrder) -> Result<(Route, ModelRequest), String> {
        let OrderWork::LlmPod { model, messages, seed, temperature, top_p } = order.work else {
            return Err(String::from("an `llm_pod` node was given work of another pool"));
        };
        // What may not leave the machine of its caller does not come here: it was refused when it was submitted.
        let privacy = Privacy::AllowRemote;
        let route = self.models.route(&model, privacy).map_err(|error| error.to_string())?;
        let schema: &Value = &order.schema;
        let schema = self.schemas.take(&format!("{} {schema}", route.model), || {
            let schema = compile(schema, &self.config)?;
            route.admit(&schema).map(|_| schema)
        })?;
        let task_id = TaskId::alone(order.work_unit_id.as_str(), &self.config.limits)
            .ok_or_else(|| String::from("the id of this work unit is longer than this node takes"))?;
        let mut parameters = ModelParameters::default();
        (parameters.seed, parameters.temperature, parameters.top_p) = (seed, temperature, top_p);
        let messages = messages
            .into_iter()
            .map(|message| Message { role: message.role, content: message.content })
            .collect();
        let request = ModelRequest {
            model: route.model.clone(),
            messages,
            schema,
            max_output_tokens: order.tokens_left,
            deadline: Duration::from_micros(order.time_left_us),
            parameters,
            privacy,
            task_id,
            attempt: order.attempt_index,
        };
        Ok((route, request))
    }
}
