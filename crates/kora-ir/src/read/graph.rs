//! The graph's own fields.

use super::fields::fields;
use super::{BudgetDraft, GraphDraft, Kind, Read, Reader};
use crate::report::At;
use crate::{FailurePolicy, GraphBudgets, ViolationCode};

fields! { GraphField {
    KoraVersion = "kora_version",
    GraphId = "graph_id",
    Root = "root",
    Tasks = "tasks",
    Defaults = "defaults",
    FailurePolicy = "failure_policy",
    Budgets = "budgets",
    SchemaVersion = "schema_version",
    RequestId = "request_id",
    TenantId = "tenant_id",
    CreatedAt = "created_at",
}}

fields! { DefaultsField { Budget = "budget" } }

fields! { BudgetField { Tokens = "max_tokens", TimeMs = "max_time_ms", Retries = "max_retries" } }

fields! { BudgetsField {
    LlmCalls = "max_llm_calls",
    CpuUnits = "max_cpu_units",
    Tokens = "max_tokens",
    LatencyMs = "max_latency_ms",
}}

const POLICIES: [(&str, FailurePolicy); 2] =
    [("continue_on_error", FailurePolicy::ContinueOnError), ("fail_fast", FailurePolicy::FailFast)];

impl<'s> Reader<'s, '_> {
    /// Reads the whole document.
    ///
    /// # Errors
    ///
    /// [`Broken`](super::Broken) if the text stops being JSON; what was found before it is in the report.
    pub(crate) fn graph(&mut self) -> Read<GraphDraft<'s>> {
        let mut draft = GraphDraft::default();
        let Some(mut object) = self.object("a graph")? else {
            self.json.finish()?;
            return Ok(draft);
        };
        while let Some(field) = self.next_field(&mut object)? {
            match field {
                // Checked before anything else was read (C10.3).
                GraphField::KoraVersion => self.json.skip_next()?,
                GraphField::GraphId => draft.graph_id = self.id()?,
                GraphField::Root => draft.root = self.id()?,
                GraphField::Tasks => self.tasks(&mut draft)?,
                GraphField::Defaults => self.defaults(&mut draft)?,
                GraphField::FailurePolicy => draft.failure_policy = self.word(&POLICIES)?.unwrap_or_default(),
                GraphField::Budgets => draft.budgets = self.budgets()?,
                GraphField::SchemaVersion => draft.schema_version = self.schema_version()?,
                GraphField::RequestId => draft.request_id = self.owned_string()?,
                GraphField::TenantId => draft.tenant_id = self.owned_string()?,
                GraphField::CreatedAt => draft.created_at = self.owned_string()?,
            }
        }
        self.require(&object, &[GraphField::GraphId, GraphField::Root, GraphField::Tasks], "");
        self.json.finish()?;
        Ok(draft)
    }

    fn tasks(&mut self, draft: &mut GraphDraft<'s>) -> Read<()> {
        if self.json.peek()? != Kind::Array {
            return self.wrong_type("an array of tasks");
        }
        let offset = self.json.offset();
        let mut more = self.json.enter_array()?;
        if !more {
            self.report.add(
                ViolationCode::EmptyGraph,
                At::Offset(offset),
                "a graph without tasks",
                String::from("declare at least the root task"),
            );
        }
        while more {
            if draft.tasks.len() >= self.limits.max_tasks {
                let offset = self.next_offset()?;
                self.report.add(
                    ViolationCode::TooManyTasks,
                    At::Offset(offset),
                    format!("more than {} tasks", self.limits.max_tasks),
                    String::from("split the graph"),
                );
                while more {
                    self.json.skip_next()?;
                    more = self.json.next_element()?;
                }
                return Ok(());
            }
            if draft.tasks.len() == draft.tasks.capacity() {
                self.make_room(draft);
            }
            let task = self.task(&mut draft.dependencies)?;
            draft.tasks.push(task);
            more = self.json.next_element()?;
        }
        Ok(())
    }

    /// Makes room for all tasks that the document will have if it goes on as it began, and for what they refer to.
    /// Growing by doubling would leave as much behind as it needs.
    fn make_room(&mut self, draft: &mut GraphDraft<'s>) {
        let (read, whole) = (self.json.offset().max(1), self.json.len());
        // An eighth more than it seems, so that a document of small tasks after large ones is no walk of small steps.
        let to_come = |count: usize| count / 8 + 16 + count.saturating_mul(whole - read.min(whole)) / read;
        let max_edges = self.limits.max_edges;
        draft.tasks.reserve_exact(to_come(draft.tasks.len()).min(self.limits.max_tasks));
        draft.dependencies.reserve_exact(to_come(draft.dependencies.len()).min(max_edges));
        self.references.reserve_exact(to_come(self.references.len()).min(max_edges));
    }

    fn defaults(&mut self, draft: &mut GraphDraft<'s>) -> Read<()> {
        let Some(mut object) = self.object("`defaults`")? else { return Ok(()) };
        while let Some(field) = self.next_field(&mut object)? {
            match field {
                DefaultsField::Budget => draft.default_budget = self.budget()?,
            }
        }
        Ok(())
    }

    /// The caps of a task.
    pub(super) fn budget(&mut self) -> Read<BudgetDraft> {
        let mut draft = BudgetDraft::default();
        let Some(mut object) = self.object("a budget")? else {
            return Ok(BudgetDraft { faulty: true, ..draft });
        };
        let limits = self.limits;
        while let Some(field) = self.next_field(&mut object)? {
            let max = match field {
                BudgetField::Tokens => limits.max_tokens,
                BudgetField::TimeMs => limits.max_time_ms,
                BudgetField::Retries => u64::from(limits.max_retries),
            };
            let number = self.whole(max, ViolationCode::InvalidBudget)?;
            draft.faulty |= number.is_none();
            match field {
                BudgetField::Tokens => draft.max_tokens = number,
                BudgetField::TimeMs => draft.max_time_ms = number,
                BudgetField::Retries => {
                    draft.max_retries = number.and_then(|number| u32::try_from(number).ok());
                }
            }
        }
        Ok(draft)
    }

    fn budgets(&mut self) -> Read<GraphBudgets> {
        let mut budgets = GraphBudgets::default();
        let Some(mut object) = self.object("`budgets`")? else { return Ok(budgets) };
        while let Some(field) = self.next_field(&mut object)? {
            let number = self.whole(super::words::MAX_EXACT, ViolationCode::InvalidBudget)?;
            match field {
                BudgetsField::LlmCalls => budgets.max_llm_calls = number,
                BudgetsField::CpuUnits => budgets.max_cpu_units = number,
                BudgetsField::Tokens => budgets.max_tokens = number,
                BudgetsField::LatencyMs => budgets.max_latency_ms = number,
            }
        }
        Ok(budgets)
    }

    /// The version of the task schema, as a submission declares it: MAJOR 1.
    fn schema_version(&mut self) -> Read<Option<String>> {
        let offset = self.next_offset()?;
        let Some(text) = self.owned_string()? else { return Ok(None) };
        if text == "1" || text.starts_with("1.") {
            return Ok(Some(text));
        }
        self.report.add(
            ViolationCode::VersionMismatch,
            At::Offset(offset),
            format!("`schema_version` `{}` is not read here", super::fields::shorten(&text)),
            String::from("write \"1.0\""),
        );
        Ok(None)
    }
}
