//! The state machine.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use kora_ir::{
    CheckedGraph, FailurePolicy, Message, Priority, SkipWhen, Task, TaskIndex, UnresolvedReference,
    ValidatedOutput, Work,
};
use serde_json::Value;
use telemetry::{Breach, Budgeted, Event, Failure, FailureCategory, Fold, SkipReason};

use crate::escalation::{self, Choice};
use crate::fact::{AttemptOutcome, AttemptReport, Fact, FactRefused, Next};
use crate::ledger::{Admission, Ledger, RunCap};
use crate::outcome::{RunOutcome, Unfinished};
use crate::skip;
use crate::start::{Start, StartWork};
use crate::state::{Phase, Resolution, TaskState};
use crate::verdict::{self, Verdict};

/// One run of one graph.
///
/// A driver loops: start everything that [`next_start`](Self::next_start) gives, as far as its concurrency goes, and tell what
/// came of each. [`finish`](Self::finish) when [`is_finished`](Self::is_finished).
#[derive(Debug)]
pub struct Run {
    graph: CheckedGraph,
    // Invariant: one for each task, in canonical order.
    tasks: Vec<TaskState>,
    ledger: Ledger,
    /// What may start, most urgent first. Two queues, because a model waits for everything that needs none (S5).
    ready_free: BinaryHeap<Reverse<Turn>>,
    ready_model: BinaryHeap<Reverse<Turn>>,
    /// What waits for the run's budgets. Only the first of each can be the next to be admitted, since whoever comes
    /// later has at least as much committed before it.
    blocked_free: BTreeSet<TaskIndex>,
    blocked_model: BTreeSet<TaskIndex>,
    ready_free_count: usize,
    running_free: usize,
    running: usize,
    /// Every task before this one spends no more.
    spent_to: usize,
    /// Every task before this one is settled.
    settled_to: usize,
    /// Tasks after this one do not count (S10).
    cut: usize,
    stop: Option<Stop>,
    unwanted: Vec<TaskIndex>,
    /// Tasks to look at because something before them changed. Kept here to keep its memory.
    wave: Vec<TaskIndex>,
    fold: Fold,
    observed: Option<Vec<Event>>,
}

/// When a ready task's turn comes: by priority, then by canonical order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Turn {
    normal: bool,
    task: TaskIndex,
}

#[derive(Clone, Copy, Debug)]
enum Stop {
    Cancelled,
    Latency { elapsed_ms: u64 },
}

impl Run {
    /// A run of `graph` that has not started.
    pub fn new(graph: CheckedGraph) -> Self {
        let tasks: Vec<TaskState> = graph
            .tasks()
            .iter()
            .map(|task| TaskState::new(task.dependencies.len() + usize::from(task.resolves.is_some())))
            .collect();
        let wave =
            graph.iter().map(|(index, _)| index).filter(|i| tasks[i.as_usize()].pending == 0).collect();
        let mut run = Self {
            ledger: Ledger::new(&graph),
            fold: Fold::new(&graph),
            cut: tasks.len(),
            ready_free: BinaryHeap::new(),
            ready_model: BinaryHeap::new(),
            blocked_free: BTreeSet::new(),
            blocked_model: BTreeSet::new(),
            ready_free_count: 0,
            running_free: 0,
            running: 0,
            spent_to: 0,
            settled_to: 0,
            stop: None,
            unwanted: Vec::new(),
            observed: None,
            wave,
            tasks,
            graph,
        };
        run.advance(&run.graph.clone());
        run
    }

    /// Keeps events for [`drain_events`](Self::drain_events) from now on.
    #[must_use]
    pub fn observed(mut self) -> Self {
        self.observed = Some(Vec::new());
        self
    }

    /// The events since the last call, in order. None unless the run is [`observed`](Self::observed).
    pub fn drain_events(&mut self) -> impl Iterator<Item = Event> {
        self.observed.iter_mut().flat_map(|events| events.drain(..))
    }

    /// The graph that is run.
    pub fn graph(&self) -> &CheckedGraph {
        &self.graph
    }

    /// What may start now, if anything: call until `None`, or until as much runs as the driver has room for.
    ///
    /// No model is started while anything that needs none is ready or running (S5, C11.2).
    pub fn next_start(&mut self) -> Option<Start> {
        if self.stop.is_some() {
            return None;
        }
        while let Some(index) = self.take_turn() {
            match self.prepare(self.graph.task(index)) {
                Ok(work) => return Some(self.start(index, work)),
                Err(message) => {
                    let graph = self.graph.clone();
                    self.leave_ready(index);
                    let failure = failure(graph.task(index), FailureCategory::ValidationError, message, None);
                    self.fail(&graph, index, failure);
                    self.advance(&graph);
                }
            }
        }
        None
    }

    /// Starts one task out of turn: for whoever follows a run that another driver made.
    ///
    /// # Errors
    ///
    /// [`FactRefused`] if the task cannot have started now; the run is unchanged.
    pub fn start_task(&mut self, index: TaskIndex) -> Result<(), FactRefused> {
        let graph = self.graph.clone();
        let task = graph.tasks().get(index.as_usize()).ok_or(FactRefused::UnknownTask(index.as_usize()))?;
        if self.stop.is_some() || self.tasks[index.as_usize()].phase != Phase::Ready {
            return Err(FactRefused::NotReady { task: task.id.to_string() });
        }
        if task.task_type.is_model() && self.ready_free_count + self.running_free > 0 {
            return Err(FactRefused::ModelBeforeDeterministic { task: task.id.to_string() });
        }
        match self.prepare(task) {
            Ok(work) => {
                self.start(index, work);
                Ok(())
            }
            Err(_) => Err(FactRefused::NotReady { task: task.id.to_string() }),
        }
    }

    /// Tells how an attempt ended.
    ///
    /// # Errors
    ///
    /// [`FactRefused`] if that cannot be; the run is unchanged.
    pub fn report(&mut self, report: AttemptReport) -> Result<Next, FactRefused> {
        let graph = self.graph.clone();
        let index = report.task;
        let task = graph.tasks().get(index.as_usize()).ok_or(FactRefused::UnknownTask(index.as_usize()))?;
        let state = &mut self.tasks[index.as_usize()];
        if state.phase != Phase::Running {
            return Err(FactRefused::NotRunning { task: task.id.to_string() });
        }
        if state.attempts != report.attempt + 1 {
            let running = state.attempts.saturating_sub(1);
            return Err(FactRefused::WrongAttempt {
                task: task.id.to_string(),
                told: report.attempt,
                running,
            });
        }
        let usage = report.usage;
        if !task.task_type.is_model() && (usage.tokens_in > 0 || usage.tokens_out > 0) {
            let task_type = task.task_type.as_str();
            return Err(FactRefused::TokensWithoutModel { task: task.id.to_string(), task_type });
        }

        self.running -= 1;
        self.running_free -= usize::from(!task.task_type.is_model());
        state.spent.tokens = state.spent.tokens.saturating_add(usage.tokens_out);
        state.spent.time_us = state.spent.time_us.saturating_add(report.elapsed_us);
        let (spent, allowance) = (state.spent, state.allowance);
        self.emit(Event::AttemptEnded {
            task: index,
            attempt: report.attempt,
            elapsed_us: report.elapsed_us,
            tokens_in: usage.tokens_in,
            tokens_out: usage.tokens_out,
            estimated: usage.estimated,
        });
        if self.stop.is_some() || index.as_usize() > self.cut {
            self.tasks[index.as_usize()].phase = Phase::Stopped;
            return Ok(Next::Settled);
        }

        let broke_schema = matches!(report.outcome, AttemptOutcome::SchemaMismatch(_));
        let attempt = report.attempt;
        let verdict = verdict::judge(task, report, spent, allowance, |shared| {
            self.ledger.used_before(shared, index.as_usize())
        });
        self.tasks[index.as_usize()].schema_mismatch = broke_schema;
        if broke_schema {
            self.emit(Event::Validated { task: index, passed: false });
        }
        let next = match verdict {
            Verdict::Output(output) => {
                self.emit(Event::Validated { task: index, passed: true });
                self.emit(Event::Completed { task: index });
                self.tasks[index.as_usize()].output = Some(output);
                self.spend_no_more(&graph, index);
                Next::Settled
            }
            Verdict::Retry(because) => {
                self.tasks[index.as_usize()].phase = Phase::Waiting;
                self.emit(Event::Retrying { task: index, because: Box::new(because) });
                Next::Retry { attempt: attempt + 1, time_left_us: verdict::time_left_us(task, spent) }
            }
            Verdict::Failed(failure) => {
                self.fail(&graph, index, failure);
                Next::Settled
            }
        };
        self.advance(&graph);
        Ok(next)
    }

    /// Tells that the wait before a retry is over.
    ///
    /// # Errors
    ///
    /// [`FactRefused`] if the task is not waiting; the run is unchanged.
    pub fn resume(&mut self, index: TaskIndex, waited_us: u64) -> Result<Next, FactRefused> {
        let graph = self.graph.clone();
        let task = graph.tasks().get(index.as_usize()).ok_or(FactRefused::UnknownTask(index.as_usize()))?;
        let state = &mut self.tasks[index.as_usize()];
        if state.phase != Phase::Waiting {
            return Err(FactRefused::NotWaiting { task: task.id.to_string() });
        }
        state.spent.time_us = state.spent.time_us.saturating_add(waited_us);
        let time_left_us = verdict::time_left_us(task, state.spent);
        if self.stop.is_some() || index.as_usize() > self.cut {
            state.phase = Phase::Stopped;
            return Ok(Next::Settled);
        }
        if time_left_us == 0 {
            let breach = verdict::time_breach(task, state.spent);
            let message = format!("{} ms of {} ms used, waits included", breach.used, breach.declared);
            self.fail(&graph, index, failure(task, FailureCategory::Timeout, message, Some(breach)));
            self.advance(&graph);
            return Ok(Next::Settled);
        }
        let attempt = state.attempts;
        self.make_ready(task, index);
        Ok(Next::Retry { attempt, time_left_us })
    }

    /// Tells that the run's `max_latency_ms` is over. What has not settled fails with `BUDGET_BREACH` (C7.5).
    pub fn latency_exceeded(&mut self, elapsed_ms: u64) {
        self.stop(Stop::Latency { elapsed_ms });
    }

    /// Tells that nobody wants the run any more (S13).
    pub fn cancel(&mut self) {
        self.stop(Stop::Cancelled);
    }

    /// Takes in a fact of any kind.
    ///
    /// # Errors
    ///
    /// [`FactRefused`] if that cannot be; the run is unchanged.
    pub fn apply(&mut self, fact: Fact) -> Result<(), FactRefused> {
        match fact {
            Fact::Started { task } => self.start_task(task),
            Fact::Attempt(report) => self.report(report).map(drop),
            Fact::Resumed { task, waited_us } => self.resume(task, waited_us).map(drop),
            Fact::LatencyExceeded { elapsed_ms } => {
                self.latency_exceeded(elapsed_ms);
                Ok(())
            }
            Fact::Cancelled => {
                self.cancel();
                Ok(())
            }
        }
    }

    /// Running tasks that no longer count, each named once: the driver stops them, and reports what they had spent.
    pub fn take_unwanted(&mut self) -> Vec<TaskIndex> {
        std::mem::take(&mut self.unwanted)
    }

    /// Attempts under way.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Tasks that need no model and may start now.
    pub fn ready_operations(&self) -> usize {
        self.ready_free_count
    }

    /// Whether nothing is left to do.
    pub fn is_finished(&self) -> bool {
        self.running == 0
            && (self.stop.is_some() || self.settled_to > self.cut || self.settled_to == self.tasks.len())
    }

    /// The outcome of a run that took `total_latency_ms` milliseconds.
    ///
    /// # Errors
    ///
    /// [`Unfinished`] if something is still to be done.
    pub fn finish(mut self, total_latency_ms: u64) -> Result<RunOutcome, Unfinished> {
        if !self.is_finished() {
            return Err(Unfinished {
                running: self.running,
                settled: self.settled_to,
                tasks: self.tasks.len(),
            });
        }
        let graph = self.graph.clone();
        for (index, task) in graph.iter() {
            let rank = index.as_usize();
            if rank > self.cut {
                self.discard(index, SkipReason::FailFast);
            } else if self.tasks[rank].phase != Phase::Settled {
                match self.stop {
                    Some(Stop::Latency { elapsed_ms }) => self.fail_late(task, index, elapsed_ms),
                    Some(Stop::Cancelled) | None => self.discard(index, SkipReason::Cancelled),
                }
            }
        }
        Ok(RunOutcome::new(graph, self.tasks, self.fold.finish(total_latency_ms)))
    }

    /// The task whose turn it is. What has been started out of turn, or no longer counts, lost its turn.
    fn take_turn(&mut self) -> Option<TaskIndex> {
        loop {
            let Reverse(turn) = match self.ready_free.pop() {
                Some(turn) => turn,
                None if self.running_free == 0 => self.ready_model.pop()?,
                None => return None,
            };
            if self.tasks[turn.task.as_usize()].phase == Phase::Ready {
                return Some(turn.task);
            }
        }
    }

    fn start(&mut self, index: TaskIndex, work: StartWork) -> Start {
        let model = matches!(work, StartWork::Model { .. });
        self.leave_ready(index);
        self.running += 1;
        self.running_free += usize::from(!model);
        let state = &mut self.tasks[index.as_usize()];
        state.phase = Phase::Running;
        let attempt = state.attempts;
        state.attempts += 1;
        let tokens_left = if model { state.allowance.tokens.saturating_sub(state.spent.tokens) } else { 0 };
        let time_left_us = verdict::time_left_us(self.graph.task(index), state.spent);
        self.emit(Event::AttemptStarted { task: index, attempt });
        Start { task: index, attempt, work, tokens_left, time_left_us }
    }

    /// Resolves everything that the task refers to.
    fn prepare(&self, task: &Task) -> Result<StartWork, String> {
        let output_of = |from| self.output_for(task, from);
        let input =
            task.input.resolve(output_of).map_err(|error| unresolved(&self.graph, "input", &error))?;
        match &task.work {
            Work::Operation(operation) => {
                let args = operation
                    .args
                    .resolve(output_of)
                    .map_err(|error| unresolved(&self.graph, "args", &error))?;
                Ok(StartWork::Operation { input, args })
            }
            Work::Model(call) => {
                let fill = |message: &Message<kora_ir::PromptTemplate>| {
                    let content = message.content.fill(&input).map_err(|error| error.to_string())?;
                    Ok(Message { role: message.role, content })
                };
                let messages = call.messages.iter().map(fill).collect::<Result<_, String>>()?;
                Ok(StartWork::Model { messages })
            }
        }
    }

    /// What `task` sees of a dependency: what resolved it; and of the task that it stands in for, the output itself.
    fn output_for(&self, task: &Task, from: TaskIndex) -> Option<&ValidatedOutput> {
        let dependency = &self.tasks[from.as_usize()];
        if task.resolves == Some(from) {
            return dependency.output.as_ref();
        }
        match dependency.resolution {
            Resolution::By(by) => self.tasks[by.as_usize()].output.as_ref(),
            Resolution::Open | Resolution::Failed => None,
        }
    }

    /// Works off everything that follows from what has just changed.
    fn advance(&mut self, graph: &CheckedGraph) {
        loop {
            while let Some(index) = self.wave.pop() {
                self.look_at(graph, index);
            }
            self.move_marks(graph);
            self.admit_blocked(graph);
            if self.wave.is_empty() {
                return;
            }
        }
    }

    /// Looks at a task on which nothing is pending any more.
    fn look_at(&mut self, graph: &CheckedGraph, index: TaskIndex) {
        if self.stop.is_some() || index.as_usize() > self.cut {
            return;
        }
        let task = graph.task(index);
        let failed = |&&from: &&TaskIndex| {
            task.resolves != Some(from) && self.tasks[from.as_usize()].resolution == Resolution::Failed
        };
        if let Some(&from) = task.dependencies.iter().find(failed) {
            let message = format!("dependency `{}` has no output", graph.task(from).id);
            self.fail(graph, index, failure(task, FailureCategory::DependencyFailure, message, None));
            return;
        }
        match &task.skip_when {
            Some(skip) if skip::holds(skip, |from| self.output_for(task, from)) => {
                self.skip(graph, index, skip)
            }
            Some(_) | None => self.admit(graph, index),
        }
    }

    fn skip(&mut self, graph: &CheckedGraph, index: TaskIndex, skip: &SkipWhen) {
        let task = graph.task(index);
        let output = skip
            .output
            .resolve(|from| self.output_for(task, from))
            .map_err(|error| unresolved(graph, "skip_when.output", &error))
            .and_then(|output| {
                skip.schema.admit(Value::clone(&output)).map_err(|mismatch| {
                    self.emit(Event::Validated { task: index, passed: false });
                    format!("the declared output of `skip_when` breaks the schema: {mismatch}")
                })
            });
        match output {
            Ok(output) => {
                self.emit(Event::Validated { task: index, passed: true });
                self.emit(Event::Skipped { task: index, reason: SkipReason::Condition });
                self.tasks[index.as_usize()].output = Some(output);
                self.ledger.settle(index.as_usize(), 0, 0);
                // A task that was not run has nothing to escalate for.
                self.settle(graph, index, None);
            }
            Err(message) => {
                self.fail(graph, index, failure(task, FailureCategory::ValidationError, message, None));
            }
        }
    }

    /// Asks the run's budgets whether the task may start.
    fn admit(&mut self, graph: &CheckedGraph, index: TaskIndex) {
        let rank = index.as_usize();
        let task = graph.task(index);
        match self.ledger.admit(rank, task, self.spent_to >= rank) {
            Admission::Granted(allowance) if task.task_type.is_model() && allowance.tokens == 0 => {
                let breach = Breach { cap: Budgeted::TaskTokens, declared: 0, used: 0 };
                let message = String::from("`max_tokens` is 0, so the model cannot answer");
                self.fail(graph, index, failure(task, FailureCategory::BudgetBreach, message, Some(breach)));
            }
            Admission::Granted(allowance) => {
                self.tasks[rank].allowance = allowance;
                self.make_ready(task, index);
            }
            Admission::Wait => {
                self.tasks[rank].phase = Phase::Blocked;
                self.blocked_mut(task).insert(index);
            }
            Admission::Exhausted(RunCap { cap, declared, used }) => {
                let breach = Breach { cap, declared, used };
                let message = format!("{used} of {declared} of {} were used before it", cap.as_str());
                self.fail(graph, index, failure(task, FailureCategory::BudgetBreach, message, Some(breach)));
            }
        }
    }

    fn leave_ready(&mut self, index: TaskIndex) {
        self.ready_free_count -= usize::from(!self.graph.task(index).task_type.is_model());
    }

    fn make_ready(&mut self, task: &Task, index: TaskIndex) {
        self.tasks[index.as_usize()].phase = Phase::Ready;
        self.ready_free_count += usize::from(!task.task_type.is_model());
        let turn = Reverse(Turn { normal: task.routing.priority == Priority::Normal, task: index });
        if task.task_type.is_model() { self.ready_model.push(turn) } else { self.ready_free.push(turn) }
    }

    fn blocked_mut(&mut self, task: &Task) -> &mut BTreeSet<TaskIndex> {
        if task.task_type.is_model() { &mut self.blocked_model } else { &mut self.blocked_free }
    }

    fn admit_blocked(&mut self, graph: &CheckedGraph) {
        for model in [false, true] {
            loop {
                let blocked = if model { &mut self.blocked_model } else { &mut self.blocked_free };
                let Some(first) = blocked.pop_first() else { break };
                self.admit(graph, first);
                if self.tasks[first.as_usize()].phase == Phase::Blocked {
                    break;
                }
            }
        }
    }

    fn fail(&mut self, graph: &CheckedGraph, index: TaskIndex, failure: Failure) {
        self.tasks[index.as_usize()].failed = Some(failure.error_type);
        self.emit(Event::Failed { task: index, failure: Box::new(failure) });
        self.spend_no_more(graph, index);
    }

    /// Makes a task's spending final and, as soon as that can be known, takes the edge that it calls for.
    fn spend_no_more(&mut self, graph: &CheckedGraph, index: TaskIndex) {
        let state = &mut self.tasks[index.as_usize()];
        state.phase = Phase::Deciding;
        self.ledger.settle(index.as_usize(), state.spent.tokens, u64::from(state.attempts));
        self.decide(graph, index);
    }

    fn decide(&mut self, graph: &CheckedGraph, index: TaskIndex) {
        let rank = index.as_usize();
        let edges = &graph.task(index).escalation;
        if edges.is_empty() {
            return self.settle(graph, index, None);
        }
        let state = &self.tasks[rank];
        let settled = escalation::Settled {
            output: state.output.as_ref(),
            failed: state.failed,
            schema_mismatch: state.schema_mismatch && state.failed == Some(FailureCategory::ValidationError),
        };
        let tokens_left = match self.ledger.tokens_left_after(rank) {
            None => Some(u64::MAX),
            Some(left) => (self.spent_to >= rank).then_some(left),
        };
        match escalation::choose(edges, settled, tokens_left) {
            Choice::Stay => self.settle(graph, index, None),
            Choice::Take(to) => self.settle(graph, index, Some(to)),
            // `move_marks` comes back to it.
            Choice::Undecided => {}
        }
    }

    fn settle(&mut self, graph: &CheckedGraph, index: TaskIndex, taken: Option<TaskIndex>) {
        self.tasks[index.as_usize()].phase = Phase::Settled;
        for edge in &graph.task(index).escalation {
            if Some(edge.to) != taken {
                self.leave_dormant(graph, edge.to);
            }
        }
        match taken {
            Some(to) => {
                self.emit(Event::Escalated { task: index, to });
                self.wake(graph, index, to);
            }
            None => self.resolve(graph, index),
        }
    }

    fn wake(&mut self, graph: &CheckedGraph, source: TaskIndex, target: TaskIndex) {
        let reads_source = graph.task(target).dependencies.contains(&source);
        let state = &mut self.tasks[target.as_usize()];
        state.pending -= 1 + u32::from(reads_source);
        if state.pending == 0 {
            self.wave.push(target);
        }
    }

    /// Settles a target that no edge woke, and with it whatever could only have stood in for it.
    fn leave_dormant(&mut self, graph: &CheckedGraph, target: TaskIndex) {
        let mut targets = vec![target];
        while let Some(target) = targets.pop() {
            let state = &mut self.tasks[target.as_usize()];
            // Several edges may name one target.
            if state.phase == Phase::Settled {
                continue;
            }
            state.phase = Phase::Settled;
            self.ledger.settle(target.as_usize(), 0, 0);
            self.emit(Event::Skipped { task: target, reason: SkipReason::Dormant });
            targets.extend(graph.task(target).escalation.iter().map(|edge| edge.to));
        }
    }

    /// Tells dependents what became of a task: its own, and those of every task that it stands in for.
    fn resolve(&mut self, graph: &CheckedGraph, index: TaskIndex) {
        let resolution = if self.tasks[index.as_usize()].output.is_some() {
            Resolution::By(index)
        } else {
            self.cut_after(graph, index);
            Resolution::Failed
        };
        let mut resolved = Some(index);
        while let Some(index) = resolved {
            self.tasks[index.as_usize()].resolution = resolution;
            for &dependent in graph.dependents(index) {
                // A task that stands in for this one has read its output already.
                if graph.task(dependent).resolves == Some(index) {
                    continue;
                }
                let state = &mut self.tasks[dependent.as_usize()];
                state.pending -= 1;
                if state.pending == 0 {
                    self.wave.push(dependent);
                }
            }
            resolved = graph.task(index).resolves;
        }
    }

    /// In a `fail_fast` graph nothing after a failure counts (S10).
    fn cut_after(&mut self, graph: &CheckedGraph, index: TaskIndex) {
        match graph.failure_policy() {
            FailurePolicy::FailFast if index.as_usize() < self.cut => {
                self.cut = index.as_usize();
                self.disown();
            }
            FailurePolicy::FailFast | FailurePolicy::ContinueOnError => {}
        }
    }

    fn stop(&mut self, stop: Stop) {
        if self.stop.is_none() {
            self.stop = Some(stop);
            self.disown();
        }
    }

    /// Takes everything that no longer counts out of the queues, and names what of it is under way.
    fn disown(&mut self) {
        let from = if self.stop.is_some() { 0 } else { self.cut + 1 };
        let graph = self.graph.clone();
        for (index, _) in graph.iter().skip(from) {
            match self.tasks[index.as_usize()].phase {
                Phase::Ready => {
                    self.leave_ready(index);
                    self.tasks[index.as_usize()].phase = Phase::Stopped;
                }
                Phase::Running => self.unwanted.push(index),
                Phase::Pending
                | Phase::Blocked
                | Phase::Waiting
                | Phase::Deciding
                | Phase::Settled
                | Phase::Stopped => {}
            }
        }
    }

    fn move_marks(&mut self, graph: &CheckedGraph) {
        while self.tasks.get(self.spent_to).is_some_and(|state| state.phase.spends_no_more()) {
            let passed = self.spent_to;
            self.spent_to += 1;
            if self.tasks[passed].phase == Phase::Deciding
                && let Some(index) = graph.index_at(passed)
            {
                self.decide(graph, index);
            }
        }
        while self.tasks.get(self.settled_to).is_some_and(|state| state.phase == Phase::Settled) {
            self.settled_to += 1;
        }
    }

    fn discard(&mut self, index: TaskIndex, reason: SkipReason) {
        let state = &mut self.tasks[index.as_usize()];
        state.output = None;
        state.failed = None;
        state.resolution = Resolution::Failed;
        self.emit(Event::Skipped { task: index, reason });
    }

    fn fail_late(&mut self, task: &Task, index: TaskIndex, elapsed_ms: u64) {
        // Whether it would have been woken is not known, and it never started.
        if task.resolves.is_some() && self.tasks[index.as_usize()].attempts == 0 {
            return self.emit(Event::Skipped { task: index, reason: SkipReason::Dormant });
        }
        let declared = self.graph.budgets().max_latency_ms().unwrap_or(0);
        let breach = Breach { cap: Budgeted::GraphLatency, declared, used: elapsed_ms };
        let message = format!("the run had used {elapsed_ms} ms of {declared} ms");
        let state = &mut self.tasks[index.as_usize()];
        state.output = None;
        state.resolution = Resolution::Failed;
        if state.failed.replace(FailureCategory::BudgetBreach).is_none() {
            let failure = failure(task, FailureCategory::BudgetBreach, message, Some(breach));
            self.emit(Event::Failed { task: index, failure: Box::new(failure) });
        }
    }

    fn emit(&mut self, event: Event) {
        self.fold.apply(&event);
        if let Some(events) = &mut self.observed {
            events.push(event);
        }
    }
}

fn failure(task: &Task, error_type: FailureCategory, message: String, breach: Option<Breach>) -> Failure {
    Failure { error_type, task_id: task.id.clone(), message, breach, retries_exhausted: false }
}

fn unresolved(graph: &CheckedGraph, place: &str, error: &UnresolvedReference) -> String {
    format!("`{place}`: the output of `{}` has nothing at `{}`", graph.task(error.from).id, error.pointer)
}
