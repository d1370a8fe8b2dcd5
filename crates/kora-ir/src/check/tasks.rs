//! The rules within one task, and the task that keeps them.

use std::sync::Arc;

use super::Checker;
use crate::read::{BudgetDraft, RunDraft, SkipDraft, TaskDraft, TemplateDraft};
use crate::reference::Form;
use crate::report::At;
use crate::{
    EscalationEdge, Limits, OperationUse, SkipCondition, SkipWhen, Task, TaskBudget, TaskId, TaskIndex,
    TaskType, Template, ViolationCode, Work,
};

impl Checker<'_, '_, '_> {
    /// Whether each task does what its type may do, within caps that its type has.
    pub(super) fn tasks(&mut self) {
        let draft = self.draft;
        for (place, task) in draft.tasks.iter().enumerate() {
            let Some(task_type) = task.task_type else { continue };
            let at = |field: &str| At::Pointer(format!("/tasks/{place}/{field}"));
            match (task_type, &task.run) {
                (TaskType::Model, Some(RunDraft::Operation(_) | RunDraft::OpenOperation(_))) => {
                    self.report.add(
                        ViolationCode::OperationNotAllowed,
                        at("run"),
                        "a model task that runs an operation",
                        String::from("make its type `deterministic`, or ask a model"),
                    )
                }
                (TaskType::Deterministic | TaskType::Aggregation, Some(RunDraft::Model(_))) => {
                    self.report.add(
                        ViolationCode::ModelNotAllowed,
                        at("run"),
                        format!("a task of type `{}` that asks a model (C11.2)", task_type.as_str()),
                        String::from("make its type `model`, or run an operation"),
                    );
                }
                (TaskType::Model, Some(RunDraft::Model(_)) | None)
                | (
                    TaskType::Deterministic | TaskType::Aggregation,
                    Some(RunDraft::Operation(_) | RunDraft::OpenOperation(_)) | None,
                ) => {}
            }
            if task_type.is_model() {
                self.model_budget(place, task);
                continue;
            }
            if task.budget.max_tokens.is_some_and(|tokens| tokens > 0) {
                self.report.add(
                    ViolationCode::TokensWithoutModel,
                    at("budget/max_tokens"),
                    format!("tokens for a task of type `{}`, which calls no model", task_type.as_str()),
                    String::from("leave `max_tokens` out"),
                );
            }
            if task.skip_when.is_some() {
                self.report.add(
                    ViolationCode::InvalidSkip,
                    at("skip_when"),
                    "only a model can be unnecessary: `skip_when` is for model tasks",
                    String::from("leave `skip_when` out"),
                );
            }
            if task_type == TaskType::Aggregation && task.dependencies.is_empty() {
                self.report.add(
                    ViolationCode::NothingToAggregate,
                    at("dependencies"),
                    "an aggregation task without dependencies",
                    String::from("declare what it combines, or make its type `deterministic`"),
                );
            }
        }
    }

    fn model_budget(&mut self, place: usize, task: &TaskDraft<'_>) {
        let (own, default) = (task.budget, self.draft.default_budget);
        if own.faulty || default.faulty {
            return;
        }
        let caps = [
            ("max_tokens", own.max_tokens.or(default.max_tokens).is_some()),
            ("max_time_ms", own.max_time_ms.or(default.max_time_ms).is_some()),
            ("max_retries", own.max_retries.or(default.max_retries).is_some()),
        ];
        for (cap, _) in caps.into_iter().filter(|(_, declared)| !declared) {
            self.report.add(
                ViolationCode::MissingBudget,
                At::Pointer(format!("/tasks/{place}/budget")),
                format!("a model task without `{cap}`"),
                format!("declare `{cap}` in its `budget` or in `defaults.budget` of the graph"),
            );
        }
    }
}

/// What is needed to finish a checked task.
pub(super) struct Finish<'a> {
    pub(super) rank_of: &'a dyn Fn(u32) -> TaskIndex,
    pub(super) dependencies: &'a [u32],
    pub(super) referenced: &'a [u32],
    pub(super) targets: &'a [u32],
    pub(super) resolves: Option<TaskIndex>,
    pub(super) default_budget: BudgetDraft,
    pub(super) limits: &'a Limits,
}

impl Finish<'_> {
    /// The task. `None` is not reached: a draft that lacks something was reported.
    pub(super) fn task(&self, id: TaskId, draft: TaskDraft<'_>) -> Option<Task> {
        let task_type = draft.task_type?;
        let schema = draft.schema?;
        let work = match draft.run? {
            RunDraft::Operation(operation) => Work::Operation(operation),
            RunDraft::OpenOperation(open) => {
                let (operation, args) = *open;
                Work::Operation(Arc::new(OperationUse { operation, args: self.template(args) }))
            }
            RunDraft::Model(call) => Work::Model(call),
        };
        let edges = draft.escalation.into_iter().zip(self.targets);
        Some(Task {
            id,
            task_type,
            dependencies: self.dependencies.iter().map(|&place| (self.rank_of)(place)).collect(),
            input: self.template(draft.input?),
            work,
            skip_when: draft.skip_when.map(|skip| Box::new(self.skip(*skip, &schema))),
            schema,
            budget: self.budget(task_type, draft.budget)?,
            routing: draft.routing,
            privacy: draft.privacy,
            escalation: edges
                .map(|(edge, &target)| EscalationEdge { on: edge.on, to: (self.rank_of)(target) })
                .collect(),
            resolves: self.resolves,
            metadata: draft.metadata,
            // Until all tasks are there to look at.
            sure: false,
        })
    }

    fn budget(&self, task_type: TaskType, own: BudgetDraft) -> Option<TaskBudget> {
        let default = self.default_budget;
        Some(if task_type.is_model() {
            TaskBudget {
                max_tokens: own.max_tokens.or(default.max_tokens)?,
                max_time_ms: own.max_time_ms.or(default.max_time_ms)?,
                max_retries: own.max_retries.or(default.max_retries)?,
            }
        } else {
            // KORA's default budget is one for model tasks.
            TaskBudget {
                max_tokens: 0,
                max_time_ms: own
                    .max_time_ms
                    .unwrap_or(self.limits.deterministic_time_ms.min(self.limits.max_time_ms)),
                max_retries: own.max_retries.unwrap_or(0),
            }
        })
    }

    fn skip(&self, draft: SkipDraft, schema: &Arc<crate::OutputSchema>) -> SkipWhen {
        let conditions = draft.any_of.into_iter().map(|condition| SkipCondition {
            from: self.referenced(condition.reference),
            pointer: condition.pointer,
            equals: condition.equals,
        });
        SkipWhen {
            any_of: conditions.collect(),
            output: self.template(draft.output),
            schema: draft.schema.unwrap_or_else(|| Arc::clone(schema)),
        }
    }

    fn template(&self, draft: TemplateDraft) -> Template {
        Template(match draft {
            TemplateDraft::Fixed(value) => Form::Fixed(value),
            TemplateDraft::Open { shape, references } => Form::Open {
                shape,
                from: references.map(|reference| self.referenced(reference as usize)).collect(),
            },
        })
    }

    fn referenced(&self, reference: usize) -> TaskIndex {
        (self.rank_of)(self.referenced.get(reference).copied().unwrap_or(super::NOBODY))
    }
}
