//! The seam between orchestrator and workers: the worker protocol's documents, and who answers them.
//!
//! Workers pull. They claim work of one pool, say from time to time that they are at it, and report what came of it; what
//! they do not keep alive is given to another. A worker holds one work unit's content and nothing else of its graph.

use std::fmt::Debug;

use async_trait::async_trait;
use kora_ir::Role;
use krako_contract::{NodeId, SessionId, WorkUnitId, WorkUnitKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

/// Names one claim of one attempt. Never given twice.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct LeaseId(pub(crate) String);

/// What a node of one pool offers to do.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "what a node can run")]
pub struct Offer {
    /// Operations, of a `cpu` node.
    #[serde(default)]
    pub operations: Vec<String>,
    /// Models, of an `llm_pod` node: ids and tiers, as tasks may name them.
    #[serde(default)]
    pub models: Vec<krako_contract::PodModel>,
}

/// Asks for work.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "who asks, for what, how long")]
pub struct Claim {
    /// Who.
    pub node_id: NodeId,
    /// The pool. A node is of one only (C11.2).
    pub pool: WorkUnitKind,
    /// What it can run.
    pub offer: Offer,
    /// Orders at most.
    pub slots: u32,
    /// Orders that it works at besides. What is done and waits to be heard is none of them.
    #[serde(default)]
    pub works_at: u32,
    /// Milliseconds to wait for the first.
    pub wait_ms: u64,
}

/// One attempt to run, with everything that it needs and nothing else.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "a worker needs all of it")]
pub struct WorkOrder {
    /// The claim.
    pub lease: LeaseId,
    /// Milliseconds without a heartbeat after which the claim is over.
    pub lease_ms: u64,
    /// For diagnostics only.
    pub execution_session_id: SessionId,
    /// For diagnostics only.
    pub work_unit_id: WorkUnitId,
    /// Counted from 0.
    pub attempt_index: u32,
    /// Generated tokens at most (C7.2).
    pub tokens_left: u64,
    /// Microseconds at most, from the moment when the work begins (C7.4).
    pub time_left_us: u64,
    /// The schema of the output, as the graph has it.
    pub schema: Value,
    /// What to do.
    pub work: OrderWork,
}

/// What to do. An operation comes without a model, and a model without an operation (I4).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "one for each pool")]
pub enum OrderWork {
    /// Run an operation.
    Cpu {
        /// Its name.
        operation: String,
        /// Its arguments, as written: what is prepared. `$from` stands for what is not known before.
        prepare_args: Value,
        /// Its arguments with every reference filled. Absent if they are as written.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        args: Option<Value>,
        /// Its input, every reference filled.
        input: Value,
    },
    /// Ask a model.
    LlmPod {
        /// The declared model or tier: the ceiling (C11.3).
        model: String,
        /// The conversation, every placeholder filled.
        messages: Vec<OrderedMessage>,
        /// Seed of the sampler.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seed: Option<u64>,
        /// Temperature.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        temperature: Option<f64>,
        /// Nucleus sampling.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        top_p: Option<f64>,
    },
}

/// One message of a conversation.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "who says what")]
pub struct OrderedMessage {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// Says that a node is still at some work.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "who is at what")]
pub struct Heartbeat {
    /// Who.
    pub node_id: NodeId,
    /// What it is at.
    pub leases: Vec<LeaseProgress>,
}

/// How far one claim is: what is known to be spent if nothing more is ever heard of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "what was spent")]
pub struct LeaseProgress {
    /// The claim.
    pub lease: LeaseId,
    /// Tokens generated so far.
    #[serde(default)]
    pub tokens_out: u64,
    /// Microseconds since the work began.
    #[serde(default)]
    pub elapsed_us: u64,
}

/// What a node is told when it says that it is alive.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "what to stop")]
pub struct HeartbeatAnswer {
    /// Claims that nobody wants any more, or that were given to another: stop, and report what was spent on those that
    /// are still held.
    pub stop: Vec<LeaseId>,
}

/// What came of an order.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "what came of it and what it spent")]
pub struct OrderReport {
    /// Who. What another claimed is not reported by this node.
    pub node_id: NodeId,
    /// The claim.
    pub lease: LeaseId,
    /// Microseconds from start to end.
    pub elapsed_us: u64,
    /// Prompt tokens.
    #[serde(default)]
    pub tokens_in: u64,
    /// Generated tokens.
    #[serde(default)]
    pub tokens_out: u64,
    /// Whether a count was not stated and is the highest it can have been.
    #[serde(default)]
    pub tokens_estimated: bool,
    /// How it ended.
    pub outcome: OrderOutcome,
    /// Milliseconds after which another attempt may go better, if the model's side said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// How an order ended. What a schema refused is not here (I2).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "ended", rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "the engine has a rule for each")]
pub enum OrderOutcome {
    /// With an output that the schema admitted. It is admitted again where it arrives.
    Output {
        /// The output.
        output: Value,
    },
    /// With an output that it refused.
    SchemaMismatch {
        /// Which parts of the schema were broken.
        faults: Vec<String>,
    },
    /// The operation or the model failed.
    Failed {
        /// For people; holds no content (I9).
        message: String,
        /// Whether another attempt may go better (S8).
        transient: bool,
    },
    /// Its time was over.
    TimedOut,
    /// Its tokens were over.
    TokensExhausted,
    /// It was not wanted any more.
    Cancelled,
}

/// Where workers get work: the orchestrator itself, or one in another process.
#[async_trait]
pub trait NodeDesk: Debug + Send + Sync + 'static {
    /// Work for a node, if any comes while it waits. What is given is leased from this moment.
    ///
    /// # Errors
    ///
    /// [`NodeError`].
    ///
    /// # Cancel safety
    ///
    /// What was given and did not arrive is given to another when its lease is over.
    async fn claim(&self, claim: Claim) -> Result<Vec<WorkOrder>, NodeError>;

    /// Keeps claims alive.
    ///
    /// # Errors
    ///
    /// [`NodeError`].
    async fn heartbeat(&self, heartbeat: Heartbeat) -> Result<HeartbeatAnswer, NodeError>;

    /// Tells what came of an order. Durable before this returns. A second report of one claim changes nothing.
    ///
    /// # Errors
    ///
    /// [`NodeError::LeaseOver`] if the work was given to another, or was never this node's: the report is not counted.
    /// [`NodeError::Refused`] for what cannot be true: the claim stands.
    async fn report(&self, report: OrderReport) -> Result<(), NodeError>;
}

/// Why a worker was not served.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a worker does something else for each")]
pub enum NodeError {
    /// The claim is over: drop the work.
    #[error("the claim is over: the work was given to another or is not wanted any more")]
    LeaseOver,
    /// The document cannot be true.
    #[error("refused: {0}")]
    Refused(String),
    /// Nobody answers: try again.
    #[error("the orchestrator does not answer: {0}")]
    Unavailable(String),
}
