//! One attempt on its way to a node.

use std::sync::Arc;

use engine::{Arguments, Start, StartWork};
use kora_ir::{CheckedGraph, Priority, Task, TaskIndex, Work};
use krako_contract::{NodeId, SessionId, TenantId, WorkUnitId, WorkUnitKind};
use tokio::time::Instant;

use super::post::Post;
use crate::{LeaseId, OrderWork, OrderedMessage, WorkOrder};

/// One attempt that a node may take. Holds one unit's content, and nothing else of its graph.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) tenant: TenantId,
    pub(super) session: SessionId,
    pub(super) task: TaskIndex,
    pub(super) unit: WorkUnitId,
    pub(super) attempt: u32,
    pub(super) high: bool,
    pub(super) tokens_left: u64,
    pub(super) time_left_us: u64,
    pub(super) queued: Instant,
    /// Where what comes of it is told.
    pub(super) post: Arc<Post>,
    pub(super) body: Arc<Body>,
}

/// What an attempt is, however often it is given.
#[derive(Debug)]
pub(super) struct Body {
    schema: serde_json::Value,
    work: OrderWork,
}

impl Body {
    /// Of an attempt that the engine starts. `None` if the engine asks for what the task is not: a bug of ours.
    pub(super) fn new(graph: &CheckedGraph, start: Start) -> Option<Self> {
        let task = graph.task(start.task);
        let work = match (start.work, &task.work) {
            (StartWork::Operation { input, args }, Work::Operation(operation)) => {
                let args = match args {
                    Arguments::AsWritten => None,
                    Arguments::Filled(args) => Some(*args),
                };
                OrderWork::Cpu {
                    operation: operation.operation.to_string(),
                    prepare_args: Arc::unwrap_or_clone(operation.args.document(graph)),
                    args,
                    input: input.into_value(),
                }
            }
            (StartWork::Model { messages }, Work::Model(call)) => OrderWork::LlmPod {
                model: call.model.to_string(),
                messages: messages
                    .into_iter()
                    .map(|message| OrderedMessage { role: message.role, content: message.content })
                    .collect(),
                seed: call.parameters.seed,
                temperature: call.parameters.temperature,
                top_p: call.parameters.top_p,
            },
            (StartWork::Operation { .. }, Work::Model(_)) | (StartWork::Model { .. }, Work::Operation(_)) => {
                return None;
            }
        };
        Some(Self { schema: task.schema.document().clone(), work })
    }

    pub(super) fn pool(&self) -> WorkUnitKind {
        match self.work {
            OrderWork::Cpu { .. } => WorkUnitKind::Cpu,
            OrderWork::LlmPod { .. } => WorkUnitKind::LlmPod,
        }
    }
}

impl Order {
    /// The operation or model that a node must offer.
    pub(super) fn needs(&self) -> &str {
        match &self.body.work {
            OrderWork::Cpu { operation, .. } => operation,
            OrderWork::LlmPod { model, .. } => model,
        }
    }

    /// As a node gets it.
    pub(super) fn leased(&self, lease: LeaseId, lease_ms: u64) -> WorkOrder {
        WorkOrder {
            lease,
            lease_ms,
            execution_session_id: self.session.clone(),
            work_unit_id: self.unit.clone(),
            attempt_index: self.attempt,
            tokens_left: self.tokens_left,
            time_left_us: self.time_left_us,
            schema: self.body.schema.clone(),
            work: self.body.work.clone(),
        }
    }
}

/// Whether a task is to run before others.
pub(super) fn is_urgent(task: &Task) -> bool {
    match task.routing.priority {
        Priority::High => true,
        Priority::Normal => false,
    }
}

/// A claim of one order.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) order: Arc<Order>,
    pub(super) node: NodeId,
    pub(super) since: Instant,
    /// Without a heartbeat before, it is over.
    pub(super) until: Instant,
    /// Whatever is heard, it is over.
    pub(super) at_most_until: Instant,
    pub(super) tokens_out: u64,
    pub(super) elapsed_us: u64,
    /// Nobody wants it any more.
    pub(super) unwanted: bool,
    /// Whoever reports it waits for this; it is held as long as the report is not durable.
    pub(super) reported: Option<tokio::sync::watch::Receiver<Option<bool>>>,
}
