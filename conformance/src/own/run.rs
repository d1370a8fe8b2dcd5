//! One run: task by task in canonical order, as naive as can be, so that it is plainly right.

use std::sync::Arc;

use kora_ir::{
    CheckedGraph, EscalationCondition, FailurePolicy, Message, SkipWhen, Task, TaskIndex,
    UnresolvedReference, ValidatedOutput, Work as Declared,
};
use serde_json::Value;

use super::attempt::{Done, Job, Work, perform};
use super::budget::{self, Spent, Used};
use super::failure::{DEPENDENCY_FAILURE, Failure, VALIDATION_ERROR};
use super::offer::Doer;
use super::record::Record;
use super::world::World;

/// A run under way.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) world: Arc<World>,
    doers: Vec<Doer>,
    tasks: Vec<TaskState>,
    used: Used,
    /// A task of a `fail_fast` graph failed: nothing after it counts (S10).
    cut: bool,
}

/// What is known of one task.
#[derive(Debug)]
struct TaskState {
    record: Record,
    /// Its own output.
    output: Option<ValidatedOutput>,
    /// What dependents see of it.
    resolution: Resolution,
    /// Whether an edge woke it. Of interest for tasks that stand in for another.
    woken: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Resolution {
    Open,
    /// The output of this task: itself, or the one that stands in for it.
    By(TaskIndex),
    Failed,
}

/// What came of a run.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) final_output: Option<Value>,
    pub(super) failure: Option<Failure>,
    pub(super) records: Vec<Record>,
}

impl Run {
    pub(super) fn new(world: Arc<World>, doers: Vec<Doer>) -> Self {
        let state = |task: &Task| TaskState {
            record: Record::new(task),
            output: None,
            resolution: Resolution::Open,
            woken: false,
        };
        let tasks = world.graph.tasks().iter().map(state).collect();
        Self { world, doers, tasks, used: Used::default(), cut: false }
    }

    /// Runs all tasks, one after the other.
    pub(super) async fn one_by_one(mut self) -> Outcome {
        let graph = self.world.graph.clone();
        for (index, _) in graph.iter() {
            if let Some(job) = self.look_at(&graph, index) {
                let done = perform(Arc::clone(&self.world), job).await;
                self.take_in(&graph, done);
            }
        }
        self.outcome(&graph)
    }

    /// What is to be done about a task now that everything before it is known; `None` if there is nothing to be run.
    fn look_at(&mut self, graph: &CheckedGraph, index: TaskIndex) -> Option<Job> {
        let task = graph.task(index);
        let id = task.id.as_str();
        if self.cut {
            self.record(index).skip("fail_fast");
            return None;
        }
        if task.resolves.is_some() && !self.state(index).woken {
            self.record(index).skip("dormant");
            return None;
        }
        // It never started, and nothing follows from it any more.
        if let Some(breach) = self.world.late() {
            self.record(index).fail(Failure::breach(id, breach));
            return None;
        }
        let without_output =
            |&&from: &&TaskIndex| task.resolves != Some(from) && self.output_for(task, from).is_none();
        if let Some(&from) = task.dependencies.iter().find(without_output) {
            let message = format!("dependency `{}` has no output", graph.task(from).id);
            self.fail(graph, index, Failure::new(DEPENDENCY_FAILURE, id, message));
            return None;
        }
        if let Some(skip) = task.skip_when.as_ref().filter(|skip| self.holds(task, skip)) {
            self.skip(graph, index, skip);
            return None;
        }
        if let Some(breach) = budget::exhausted(graph, task, &self.used, &Spent::default()) {
            self.fail(graph, index, Failure::breach(id, breach));
            return None;
        }
        match self.work(graph, task, index) {
            Ok(work) => {
                let record = self.state(index).record.clone();
                Some(Job { index, record, work, before: self.used })
            }
            Err(message) => {
                self.fail(graph, index, Failure::new(VALIDATION_ERROR, id, message));
                None
            }
        }
    }

    /// What a task that was run came to.
    fn take_in(&mut self, graph: &CheckedGraph, done: Done) {
        let Done { index, record, spent, output, broke_schema } = done;
        self.used.add(graph.task(index), &spent);
        let state = &mut self.tasks[index.as_usize()];
        state.record = record;
        state.output = output;
        // After the run's own time nothing is decided any more.
        let late = self.world.late().is_some() && self.state(index).output.is_none();
        if !late {
            self.settle(graph, index, broke_schema);
        }
    }

    /// Takes the first edge that holds; without one, the task is resolved by what it came to itself.
    fn settle(&mut self, graph: &CheckedGraph, index: TaskIndex, broke_schema: bool) {
        let task = graph.task(index);
        let taken = task.escalation.iter().find(|edge| self.calls_for(graph, index, &edge.on, broke_schema));
        if let Some(edge) = taken {
            self.record(index).escalated_to = Some(graph.task(edge.to).id.to_string());
            self.tasks[edge.to.as_usize()].woken = true;
        } else {
            self.resolve(graph, index);
        }
    }

    fn calls_for(
        &self,
        graph: &CheckedGraph,
        index: TaskIndex,
        condition: &EscalationCondition,
        broke_schema: bool,
    ) -> bool {
        let state = self.state(index);
        let failed = state.record.failure.as_ref().map(|failure| failure.category);
        match condition {
            EscalationCondition::Failure => failed.is_some(),
            EscalationCondition::SchemaMismatch => broke_schema && failed == Some(VALIDATION_ERROR),
            EscalationCondition::ConfidenceBelowThreshold { pointer, threshold } => {
                let stated =
                    state.output.as_ref().and_then(|output| output.value().pointer(pointer)?.as_f64());
                stated.is_some_and(|confidence| confidence < *threshold)
            }
            EscalationCondition::BudgetRemaining { min_tokens } => {
                let max = graph.budgets().max_tokens();
                max.is_none_or(|max| max.saturating_sub(self.used.tokens) >= *min_tokens)
            }
        }
    }

    /// Tells what dependents see of a task, and of every task that it stands in for.
    fn resolve(&mut self, graph: &CheckedGraph, index: TaskIndex) {
        let resolution = match &self.state(index).output {
            Some(_) => Resolution::By(index),
            None => {
                self.cut = graph.failure_policy() == FailurePolicy::FailFast;
                Resolution::Failed
            }
        };
        let mut resolved = Some(index);
        while let Some(index) = resolved {
            self.tasks[index.as_usize()].resolution = resolution;
            resolved = graph.task(index).resolves;
        }
    }

    fn fail(&mut self, graph: &CheckedGraph, index: TaskIndex, failure: Failure) {
        self.record(index).fail(failure);
        self.settle(graph, index, false);
    }

    /// Whether any condition under which the task is unnecessary holds. A pointer to nothing equals nothing.
    fn holds(&self, task: &Task, skip: &SkipWhen) -> bool {
        skip.any_of.iter().any(|condition| {
            let output = self.output_for(task, condition.from);
            let found = output.and_then(|output| output.value().pointer(&condition.pointer));
            found.is_some_and(|found| equal(found, &condition.equals))
        })
    }

    /// Puts the declared output in the place of a task that is unnecessary. It escalates nothing.
    fn skip(&mut self, graph: &CheckedGraph, index: TaskIndex, skip: &SkipWhen) {
        let task = graph.task(index);
        let built = skip.output.resolve(|from| self.output_for(task, from));
        let built = built.map_err(|error| unresolved(graph, "skip_when.output", &error));
        let admitted = built.and_then(|output| {
            let admitted = skip.schema.admit(Value::clone(&output));
            self.record(index).validated(admitted.is_ok());
            admitted.map_err(|mismatch| format!("the declared output breaks the schema: {mismatch}"))
        });
        match admitted {
            Ok(output) => {
                let state = &mut self.tasks[index.as_usize()];
                state.output = Some(output);
                state.record.complete();
                state.record.skip("condition");
                self.resolve(graph, index);
            }
            Err(message) => {
                self.fail(graph, index, Failure::new(VALIDATION_ERROR, task.id.as_str(), message));
            }
        }
    }

    /// What the task does, every reference resolved and every placeholder filled.
    fn work(&self, graph: &CheckedGraph, task: &Task, index: TaskIndex) -> Result<Work, String> {
        let output_of = |from| self.output_for(task, from);
        let input = task.input.resolve(output_of).map_err(|error| unresolved(graph, "input", &error))?;
        match (&task.work, &self.doers[index.as_usize()]) {
            (Declared::Operation(declared), Doer::Operation(operation)) => {
                let args = declared.args.resolve(output_of);
                let args = args.map_err(|error| unresolved(graph, "args", &error))?;
                Ok(Work::Operation { operation: Arc::clone(operation), input, args })
            }
            (Declared::Model(call), Doer::Model(model)) => {
                let filled = call.messages.iter().map(|message| {
                    let content = message.content.fill(&input).map_err(|error| error.to_string())?;
                    Ok(Message { role: message.role, content })
                });
                Ok(Work::Model { model: *model, messages: filled.collect::<Result<_, String>>()? })
            }
            (Declared::Operation(_), Doer::Model(_)) | (Declared::Model(_), Doer::Operation(_)) => {
                Err(String::from("planned as something else than it is"))
            }
        }
    }

    /// What `task` sees of a dependency: what resolved it; and of the task that it stands in for, the output itself.
    fn output_for(&self, task: &Task, from: TaskIndex) -> Option<&ValidatedOutput> {
        if task.resolves == Some(from) {
            return self.state(from).output.as_ref();
        }
        self.resolved_output(from)
    }

    fn resolved_output(&self, index: TaskIndex) -> Option<&ValidatedOutput> {
        match self.state(index).resolution {
            Resolution::By(by) => self.state(by).output.as_ref(),
            Resolution::Open | Resolution::Failed => None,
        }
    }

    fn outcome(self, graph: &CheckedGraph) -> Outcome {
        let final_output = self.resolved_output(graph.root()).map(|output| output.value().clone());
        // The first that failed and that nothing stood in for. Whoever failed for it comes after it.
        let root_cause = graph.iter().find_map(|(index, _)| {
            let failure = self.state(index).record.failure.as_ref()?;
            self.resolved_output(index).is_none().then(|| failure.clone())
        });
        let records = self.tasks.into_iter().map(|state| state.record).collect();
        Outcome { final_output, failure: root_cause, records }
    }

    fn state(&self, index: TaskIndex) -> &TaskState {
        &self.tasks[index.as_usize()]
    }

    fn record(&mut self, index: TaskIndex) -> &mut Record {
        &mut self.tasks[index.as_usize()].record
    }
}

fn unresolved(graph: &CheckedGraph, place: &str, error: &UnresolvedReference) -> String {
    format!("`{place}` refers to `{}`, but {error}", graph.task(error.from).id)
}

/// Equality of JSON values: numbers by value, objects without regard to order.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| equal(a, b)))
        }
        (a, b) => a == b,
    }
}
