//! A document as read: the right shapes, none of the rules between them checked yet.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use crate::shape::Shape;
use crate::{
    FailurePolicy, GraphBudgets, ModelCall, OperationUse, OutputSchema, Privacy, Routing, TaskMetadata,
    TaskType,
};

/// The graph's own fields, and its tasks in the order written.
#[derive(Debug, Default)]
pub(crate) struct GraphDraft<'s> {
    pub(crate) graph_id: Option<Cow<'s, str>>,
    pub(crate) root: Option<Cow<'s, str>>,
    pub(crate) default_budget: BudgetDraft,
    pub(crate) failure_policy: FailurePolicy,
    pub(crate) budgets: GraphBudgets,
    pub(crate) schema_version: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) tenant_id: Option<String>,
    pub(crate) created_at: Option<String>,
    pub(crate) tasks: Vec<TaskDraft<'s>>,
    /// The dependencies of all tasks, one after the other.
    pub(crate) dependencies: Vec<Cow<'s, str>>,
}

/// A task. `None` is a field that is missing, or that was reported.
#[derive(Debug, Default)]
pub(crate) struct TaskDraft<'s> {
    pub(crate) id: Option<Cow<'s, str>>,
    pub(crate) task_type: Option<TaskType>,
    /// Into [`GraphDraft::dependencies`].
    pub(crate) dependencies: Range<u32>,
    pub(crate) input: Option<TemplateDraft>,
    pub(crate) run: Option<RunDraft>,
    pub(crate) schema: Option<Arc<OutputSchema>>,
    pub(crate) budget: BudgetDraft,
    pub(crate) routing: Routing,
    pub(crate) privacy: Privacy,
    pub(crate) metadata: Option<Box<TaskMetadata>>,
    pub(crate) skip_when: Option<Box<SkipDraft>>,
    pub(crate) escalation: Vec<EdgeDraft<'s>>,
    /// Into [`Reader::references`](super::Reader::references): those of input, args and `skip_when`.
    pub(crate) references: Range<u32>,
}

/// Caps as declared.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BudgetDraft {
    pub(crate) max_tokens: Option<u64>,
    pub(crate) max_time_ms: Option<u64>,
    pub(crate) max_retries: Option<u32>,
    /// A cap was declared and reported: its absence must not be reported too.
    pub(crate) faulty: bool,
}

/// What a task does, in the words of whichever type was written.
#[derive(Debug)]
pub(crate) enum RunDraft {
    /// With arguments that refer to nothing.
    Operation(Arc<OperationUse>),
    /// With arguments that do.
    OpenOperation(Box<(Arc<str>, TemplateDraft)>),
    Model(Box<ModelCall>),
}

/// A payload; its references are numbers into those of the document.
#[derive(Debug)]
pub(crate) enum TemplateDraft {
    Fixed(Arc<Value>),
    Open { shape: Arc<Shape>, references: Range<u32> },
}

/// `skip_when`; its dependencies are numbers into the references.
#[derive(Debug)]
pub(crate) struct SkipDraft {
    pub(crate) any_of: Vec<ConditionDraft>,
    pub(crate) output: TemplateDraft,
    pub(crate) schema: Option<Arc<OutputSchema>>,
}

/// One condition of `skip_when`.
#[derive(Debug)]
pub(crate) struct ConditionDraft {
    /// Into the references.
    pub(crate) reference: usize,
    pub(crate) pointer: String,
    pub(crate) equals: Value,
}

/// An escalation edge.
#[derive(Debug)]
pub(crate) struct EdgeDraft<'s> {
    pub(crate) on: crate::EscalationCondition,
    pub(crate) to: Cow<'s, str>,
    pub(crate) offset: usize,
}

/// `{"$from": …}` in a payload.
#[derive(Debug)]
pub(crate) struct ReferenceDraft<'s> {
    pub(crate) from: Cow<'s, str>,
    pub(crate) offset: usize,
}
