//! A task as checked: what it does, with what, within which caps (Task IR 1.0).

use std::sync::Arc;

use serde::Serialize;

use crate::{
    EscalationEdge, Message, OutputSchema, PromptTemplate, SkipWhen, TaskBudget, TaskId, TaskIndex, Template,
};

/// One task of a [`CheckedGraph`](crate::CheckedGraph).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Task {
    /// As KORA wrote it.
    pub id: TaskId,
    /// Decides who may run it (C11.2).
    pub task_type: TaskType,
    /// Upstream tasks, in the order declared. All earlier in canonical order.
    pub dependencies: Box<[TaskIndex]>,
    /// The payload; may refer to dependencies and to nothing else (S2).
    pub input: Template,
    /// What the task does.
    pub work: Work,
    /// What admits its output (C2.4). Shared by all tasks with an equal schema.
    pub schema: Arc<OutputSchema>,
    /// Its caps, defaults already applied.
    pub budget: TaskBudget,
    /// Hints, which never override a cap or a constraint.
    pub routing: Routing,
    /// Where its content may go.
    pub privacy: Privacy,
    /// When the task is unnecessary.
    pub skip_when: Option<Box<SkipWhen>>,
    /// What stands in for it, and when. The first edge that holds is taken.
    pub escalation: Box<[EscalationEdge]>,
    /// The task that this one stands in for. Such a task is dormant until an edge wakes it.
    pub resolves: Option<TaskIndex>,
    /// What KORA notes about it, if anything. Nothing is decided by it.
    pub metadata: Option<Box<TaskMetadata>>,
    // Invariant: proved from the schemas of everything that its payloads refer to.
    pub(crate) sure: bool,
}

impl Task {
    /// Whether its payloads can be filled whatever its dependencies answer: their schemas promise all that it refers to,
    /// and it is never too much. Then there is nothing to [`check`](Template::check).
    pub fn is_sure(&self) -> bool {
        self.sure
    }
}

/// Notes of KORA's on a task.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TaskMetadata {
    /// When KORA constructed it, as written.
    pub created_at: Option<String>,
    /// KORA's trace of its construction.
    pub trace_id: Option<String>,
}

/// The three kinds of task.
#[expect(clippy::exhaustive_enums, reason = "Task IR 1.0 closes the set")]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskType {
    /// Pure and bounded; never a model.
    Deterministic,
    /// Answered by a model, within a budget.
    Model,
    /// Combines validated outputs; deterministic, never a model.
    Aggregation,
}

impl TaskType {
    /// Every member, in the order declared.
    pub const ALL: [Self; 3] = [Self::Deterministic, Self::Model, Self::Aggregation];

    /// Whether the task invokes a model. Everything else is deterministic work (C11.2).
    pub fn is_model(self) -> bool {
        match self {
            Self::Model => true,
            Self::Deterministic | Self::Aggregation => false,
        }
    }

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deterministic => "deterministic",
            Self::Model => "model",
            Self::Aggregation => "aggregation",
        }
    }
}

/// What a task does.
#[expect(clippy::exhaustive_enums, reason = "a task either computes or asks a model")]
#[derive(Clone, Debug)]
pub enum Work {
    /// Of deterministic and aggregation tasks. Shared by all that do the same with arguments that refer to nothing.
    Operation(Arc<OperationUse>),
    /// Of model tasks.
    Model(Box<ModelCall>),
}

/// A named operation and its arguments.
#[derive(Clone, Debug)]
pub struct OperationUse {
    /// Looked up in the backend's registry.
    pub operation: Arc<str>,
    /// May refer to dependencies, as `input` may.
    pub args: Template,
}

/// What is asked of which model at most.
#[derive(Clone, Debug)]
pub struct ModelCall {
    /// Model id or tier: the ceiling, beyond which nothing is ever used (C11.3).
    pub model: Arc<str>,
    /// The conversation, with places to fill from `input`.
    pub messages: Box<[Message<PromptTemplate>]>,
    /// How to sample.
    pub parameters: ModelParameters,
}

/// Sampling, as declared. `None` leaves the adapter's documented default: greedy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ModelParameters {
    /// Seed of the sampler.
    pub seed: Option<u64>,
    /// 0 is greedy; at most 2.
    pub temperature: Option<f64>,
    /// Nucleus sampling, above 0 and at most 1.
    pub top_p: Option<f64>,
}

/// Hints about where and how soon. They change no result.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Routing {
    /// A backend's name.
    pub preferred_backend: Option<Box<str>>,
    /// How soon.
    pub priority: Priority,
}

/// How soon a task should run among equals.
#[expect(clippy::exhaustive_enums, reason = "Task IR 1.0 closes the set")]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// The default.
    #[default]
    Normal,
    /// Before `normal`.
    High,
}

/// Where a task's content may go: a hard constraint.
#[expect(clippy::exhaustive_enums, reason = "Task IR 1.0 closes the set")]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Privacy {
    /// Never to a remote model or an LLM pod.
    LocalOnly,
    /// Anywhere that the backend reaches. The default.
    #[default]
    AllowRemote,
}
