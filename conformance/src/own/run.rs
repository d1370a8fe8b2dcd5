//! One run: task by task in canonical order, as naive as can be, so that it is plainly right.

use std::sync::Arc;

use kora_ir::{
    CheckedGraph, EscalationCondition, FailurePolicy, Filled, Message, SkipWhen, Task, TaskIndex, Template,
    UnresolvedReference, ValidatedOutput, Work as Declared,
};
use serde_json::Value;

use super::attempt::{Done, Job, Work, as_it_is, perform};
use super::budget::{self, Spent, Used};
use super::failure::{DEPENDENCY_FAILURE, EXECUTION_FAILURE, Failure, VALIDATION_ERROR};
use super::offer::Doer;
use super::record::Record;
use super::world::World;
use super::{Defect, distortions};
use crate::model::Asked;

/// A run under way.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) world: Arc<World>,
    /// `Err`: nobody does it, and why. Only one mutant starts a run like that.
    doers: Vec<Result<Doer, String>>,
    pub(super) tasks: Vec<TaskState>,
    used: Used,
    /// A task of a `fail_fast` graph failed: nothing after it counts (S10).
    cut: bool,
}

/// What is known of one task.
#[derive(Debug)]
pub(super) struct TaskState {
    pub(super) record: Record,
    /// Its own output.
    pub(super) output: Option<ValidatedOutput>,
    /// What dependents see of it.
    resolution: Resolution,
    /// Whether an edge woke it. Of interest for tasks that stand in for another.
    woken: bool,
    /// Whether it is known which edge it takes.
    settled: bool,
    /// What its schema refused last. Only mutants look at it.
    pub(super) refused: Option<Value>,
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
    pub(super) fn new(world: Arc<World>, doers: Vec<Result<Doer, String>>) -> Self {
        let state = |task: &Task| TaskState {
            record: Record::new(task),
            output: None,
            resolution: Resolution::Open,
            woken: false,
            settled: false,
            refused: None,
        };
        let tasks = world.graph.tasks().iter().map(state).collect();
        let spent_before = world.has(Defect::BudgetsLastForever).then(|| world.memory.look().used);
        Self { world, doers, tasks, used: spent_before.unwrap_or_default(), cut: false }
    }

    pub(super) fn has(&self, defect: Defect) -> bool {
        self.world.has(defect)
    }

    /// Runs all tasks, one after the other.
    pub(super) async fn one_by_one(mut self) -> Outcome {
        let graph = self.world.graph.clone();
        for (index, task) in graph.iter() {
            if task.skip_when.is_some() && self.has(Defect::AsksBeforeSkipping) {
                self.ask_beside(&graph, index).await;
            }
            if let Some(job) = self.look_at(&graph, index) {
                let done = perform(Arc::clone(&self.world), job).await;
                self.take_in(&graph, done);
            }
        }
        self.outcome(&graph)
    }

    /// Asks the model of a task, whatever for.
    async fn ask_beside(&self, graph: &CheckedGraph, index: TaskIndex) {
        let task = graph.task(index);
        if let Ok(Work::Model { model, messages }) = self.work(graph, task, index) {
            let prompt = messages.into_iter().map(|message| message.content).collect();
            let asked = Asked { model: model.id.to_owned(), max_tokens: Some(1), prompt };
            drop(self.world.client.call(asked).await);
        }
    }

    /// What is to be done about a task now that everything before it is known; `None` if there is nothing to be run.
    pub(super) fn look_at(&mut self, graph: &CheckedGraph, index: TaskIndex) -> Option<Job> {
        let task = graph.task(index);
        let id = task.id.as_str();
        if self.cut {
            self.record(index).skip("fail_fast");
            return None;
        }
        if task.resolves.is_some() && !self.state(index).woken && !self.has(Defect::TargetsAlwaysRun) {
            self.record(index).skip("dormant");
            self.tasks[index.as_usize()].settled = true;
            return None;
        }
        // It never started, and nothing follows from it any more.
        if let Some(breach) = self.world.late() {
            let failure = self.world.breach(id, breach);
            self.record(index).fail(failure);
            return None;
        }
        let without_output =
            |&&from: &&TaskIndex| task.resolves != Some(from) && self.output_for(task, from).is_none();
        if let Some(&from) = task.dependencies.iter().find(without_output)
            && !self.overlooks_failures(task)
        {
            let message = format!("dependency `{}` has no output", graph.task(from).id);
            self.fail(graph, index, Failure::new(DEPENDENCY_FAILURE, id, message));
            return None;
        }
        if let Some(skip) = task.skip_when.as_ref().filter(|skip| self.holds(task, skip)) {
            self.skip(graph, index, skip);
            return None;
        }
        if let Some(breach) = budget::exhausted(&self.world.caps, task, &self.used, &Spent::default()) {
            self.fail(graph, index, self.world.breach(id, breach));
            return None;
        }
        match self.work(graph, task, index) {
            Ok(work) => {
                let record = self.state(index).record.clone();
                Some(Job { index, record, work, before: self.used })
            }
            Err(message) => {
                let unplanned = self.doers[index.as_usize()].is_err();
                let execution = unplanned || self.has(Defect::InputFailureIsExecutionFailure);
                let category = if execution { EXECUTION_FAILURE } else { VALIDATION_ERROR };
                self.fail(graph, index, Failure::new(category, id, message));
                None
            }
        }
    }

    /// Whether a mutant runs the task although a dependency has no output.
    fn overlooks_failures(&self, task: &Task) -> bool {
        let any_output = task.dependencies.iter().any(|&from| self.output_for(task, from).is_some());
        self.has(Defect::RunsDependentsOfFailures)
            || any_output && self.has(Defect::OneOutputSuffices)
            || task.skip_when.is_some() && self.has(Defect::SkipsAfterFailures)
    }

    /// What a task that was run came to.
    pub(super) fn take_in(&mut self, graph: &CheckedGraph, done: Done) {
        let Done { index, record, spent, output, broke_schema, refused, .. } = done;
        self.used.add(graph.task(index), &spent, self.world.does);
        let output = distortions::output(self, graph, index, output, &spent, refused.as_ref());
        let state = &mut self.tasks[index.as_usize()];
        state.record = record;
        state.output = output;
        state.refused = refused;
        // After the run's own time nothing is decided any more.
        let late = self.world.late().is_some() && self.state(index).output.is_none();
        if !late {
            self.settle(graph, index, broke_schema);
        }
    }

    /// Takes the first edge that holds; without one, the task is resolved by what it came to itself.
    fn settle(&mut self, graph: &CheckedGraph, index: TaskIndex, broke_schema: bool) {
        let task = graph.task(index);
        self.tasks[index.as_usize()].settled = true;
        let mut holding = task.escalation.iter().filter(|edge| {
            self.calls_for(graph, index, &edge.on, broke_schema) && !self.overlooks(graph, task, edge.to)
        });
        let taken = if self.has(Defect::TakesTheLastEdge) { holding.next_back() } else { holding.next() };
        if let Some(edge) = taken {
            self.record(index).escalated_to = Some(graph.task(edge.to).id.to_string());
            self.tasks[edge.to.as_usize()].woken = true;
            if self.has(Defect::DependentsSeeTheSource) {
                self.resolve(graph, index);
            }
        } else {
            self.resolve(graph, index);
        }
    }

    /// Whether a mutant does not see this edge.
    fn overlooks(&self, graph: &CheckedGraph, task: &Task, to: TaskIndex) -> bool {
        self.has(Defect::NeverEscalates)
            || self.has(Defect::OnlyModelsStandIn) && !graph.task(to).task_type.is_model()
            || self.has(Defect::ChainsEndEarly) && task.resolves.is_some()
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
        if self.has(Defect::TakesEveryEdge) {
            return true;
        }
        match condition {
            EscalationCondition::Failure => failed.is_some(),
            EscalationCondition::SchemaMismatch if self.has(Defect::FailureIsMismatch) => failed.is_some(),
            EscalationCondition::SchemaMismatch => broke_schema && failed == Some(VALIDATION_ERROR),
            EscalationCondition::ConfidenceBelowThreshold { pointer, threshold } => {
                let output = state.output.as_ref();
                let stated = output.and_then(|output| output.value().pointer(pointer)?.as_f64());
                let unstated = self.has(Defect::UnstatedIsLow) && output.is_some();
                stated.or(unstated.then_some(0.0)).is_some_and(|confidence| {
                    confidence < *threshold || self.has(Defect::ThresholdIsLow) && confidence <= *threshold
                })
            }
            EscalationCondition::BudgetRemaining { min_tokens } => {
                let more = u64::from(self.has(Defect::WantsMoreThanTheMinimum));
                let max = graph.budgets().max_tokens();
                max.is_none_or(|max| max.saturating_sub(self.used.tokens) >= min_tokens + more)
                    || self.has(Defect::IgnoresWhatIsLeft)
            }
        }
    }

    /// Tells what dependents see of a task, and of every task that it stands in for.
    fn resolve(&mut self, graph: &CheckedGraph, index: TaskIndex) {
        let resolution = match &self.state(index).output {
            Some(_) => Resolution::By(index),
            None => {
                let fail_fast = graph.failure_policy() == FailurePolicy::FailFast;
                self.cut = (fail_fast || self.has(Defect::StopsAtTheFirstFailure))
                    && !self.has(Defect::IgnoresFailFast);
                Resolution::Failed
            }
        };
        let mut resolved = Some(index);
        while let Some(index) = resolved {
            self.tasks[index.as_usize()].resolution = resolution;
            resolved = graph.task(index).resolves.filter(|_| !self.has(Defect::DependentsSeeTheSource));
        }
    }

    fn fail(&mut self, graph: &CheckedGraph, index: TaskIndex, failure: Failure) {
        self.record(index).fail(failure);
        self.settle(graph, index, false);
    }

    /// Whether any condition under which the task is unnecessary holds. A pointer to nothing equals nothing.
    fn holds(&self, task: &Task, skip: &SkipWhen) -> bool {
        let mut conditions = skip.any_of.iter().map(|condition| {
            let output = self.output_for(task, condition.from);
            match output.and_then(|output| output.value().pointer(&condition.pointer)) {
                Some(found) if self.has(Defect::NumbersAreSpelt) => *found == condition.equals,
                Some(found) => equal(found, &condition.equals),
                None => self.has(Defect::NothingEqualsAnything),
            }
        });
        let holds = if self.has(Defect::SkipsIfAllHold) {
            conditions.all(|holds| holds)
        } else {
            conditions.any(|holds| holds)
        };
        (holds || self.has(Defect::AlwaysSkips) || self.overlooks_failures(task) && self.any_failed(task))
            && !self.has(Defect::NeverSkips)
    }

    fn any_failed(&self, task: &Task) -> bool {
        self.has(Defect::SkipsAfterFailures)
            && task.dependencies.iter().any(|&from| self.output_for(task, from).is_none())
    }

    /// Puts the declared output in the place of a task that is unnecessary. It escalates nothing.
    fn skip(&mut self, graph: &CheckedGraph, index: TaskIndex, skip: &SkipWhen) {
        let task = graph.task(index);
        let built = skip.output.resolve(|from| self.output_for(task, from));
        let built = built.map_err(|error| unresolved(graph, "skip_when.output", &error));
        let admitted = built.and_then(|output| {
            let output = output.into_value();
            let admitted = if self.has(Defect::SkipsWithNull) {
                Ok(as_it_is(Value::Null))
            } else if self.has(Defect::SkippedOutputIsTrusted) {
                Ok(as_it_is(output))
            } else {
                skip.schema.admit(output)
            };
            self.record(index).validated(admitted.is_ok());
            admitted.map_err(|mismatch| format!("the declared output breaks the schema: {mismatch}"))
        });
        match admitted {
            Ok(output) => {
                let state = &mut self.tasks[index.as_usize()];
                state.output = Some(output);
                state.record.complete();
                state.record.skip("condition");
                state.settled = true;
                let edge = task.escalation.first().filter(|_| self.has(Defect::SkippedTasksEscalate));
                match edge {
                    Some(edge) => self.tasks[edge.to.as_usize()].woken = true,
                    None => self.resolve(graph, index),
                }
            }
            Err(message) => {
                self.fail(graph, index, Failure::new(VALIDATION_ERROR, task.id.as_str(), message));
            }
        }
    }

    /// What the task does, every reference resolved and every placeholder filled.
    fn work(&self, graph: &CheckedGraph, task: &Task, index: TaskIndex) -> Result<Work, String> {
        let nothing = as_it_is(Value::Null);
        let lenient = self.overlooks_failures(task);
        let output_of = |from| self.output_for(task, from).or(lenient.then_some(&nothing));
        let resolve = |template: &Template, place| match template.resolve(output_of) {
            Err(_) if lenient || self.has(Defect::MissingInputIsNull) => {
                Ok(Arc::new(distortions::filled(&template.document(graph), |id| {
                    graph.index_of(id).and_then(output_of)
                })))
            }
            resolved => resolved.map(Filled::into_shared).map_err(|error| unresolved(graph, place, &error)),
        };
        let input = resolve(&task.input, "input")?;
        match (&task.work, self.doers[index.as_usize()].as_ref().map_err(Clone::clone)?) {
            (Declared::Operation(declared), Doer::Operation(operation)) => {
                let args = resolve(&declared.args, "args")?;
                Ok(Work::Operation { operation: Arc::clone(operation), input, args })
            }
            (Declared::Model(call), Doer::Model(model)) => {
                let filled = call.messages.iter().map(|message| {
                    let content = message.content.fill(&input).map_err(|error| error.to_string())?;
                    let content = distortions::prompt(self, content, &input);
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

    pub(super) fn resolved_output(&self, index: TaskIndex) -> Option<&ValidatedOutput> {
        match self.state(index).resolution {
            Resolution::By(by) => self.state(by).output.as_ref(),
            Resolution::Open | Resolution::Failed => None,
        }
    }

    pub(super) fn outcome(self, graph: &CheckedGraph) -> Outcome {
        let final_output = self.resolved_output(graph.root()).map(|output| output.value().clone());
        // The first that failed and that nothing stood in for. Whoever failed for it comes after it.
        let mut causes = graph.iter().filter_map(|(index, task)| {
            let failure = self.state(index).record.failure.as_ref()?;
            let target = self.has(Defect::TargetsFailureIsTheRuns)
                && self.state(index).record.escalated_to.is_some()
                && task.resolves.is_none();
            let resolved = self.resolved_output(index).is_some() && !self.has(Defect::FailedAlthoughResolved);
            (!resolved && !target).then(|| failure.clone())
        });
        let failure = if self.has(Defect::LastFailureIsTheRuns) { causes.last() } else { causes.next() };
        let outcome = Outcome { final_output, failure, records: Vec::new() };
        let mut outcome = distortions::outcome(&self, graph, outcome);
        if self.has(Defect::BudgetsLastForever) {
            self.world.memory.look().used = self.used;
        }
        outcome.records = self.tasks.into_iter().map(|state| state.record).collect();
        outcome
    }

    /// Whether everything that the task waits for is known.
    pub(super) fn is_ready(&self, graph: &CheckedGraph, index: TaskIndex) -> bool {
        let task = graph.task(index);
        if self.world.late().is_some() || self.cut {
            return true;
        }
        let woken = match task.resolves {
            Some(source) if !self.state(source).settled => return false,
            Some(_) if !self.state(index).woken && !self.has(Defect::TargetsAlwaysRun) => return true,
            Some(_) | None => true,
        };
        let open = |&from: &TaskIndex| {
            task.resolves != Some(from) && self.state(from).resolution == Resolution::Open
        };
        woken && !task.dependencies.iter().any(open)
    }

    pub(super) fn state(&self, index: TaskIndex) -> &TaskState {
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
