//! How far a run has come, and what each fact makes of that.

mod admission;
mod inputs;
mod settling;

use std::collections::BTreeSet;

use kora_ir::{CheckedGraph, Task, TaskIndex};
use telemetry::{Breach, Event, Failure, FailureCategory, Fold, SkipReason};

use crate::fact::{AttemptOutcome, AttemptReport, FactRefused, Next};
use crate::ledger::Ledger;
use crate::outcome::Unfinished;
use crate::ready::ReadySet;
use crate::start::{Start, StartWork};
use crate::state::{Phase, TaskState};
use crate::verdict::{self, Verdict};

/// What changes in a run. The graph, which does not, is handed to every function.
#[derive(Debug)]
pub(crate) struct Progress {
    // Invariant: one for each task, in canonical order.
    pub(crate) tasks: Vec<TaskState>,
    ledger: Ledger,
    /// What may start. Apart, because a model waits for everything that needs none (S5).
    ready_free: Ready,
    ready_model: Ready,
    /// What waits for the run's budgets. Only the first of each can be the next to be admitted, since whoever comes
    /// later has at least as much committed before it.
    blocked_free: BTreeSet<TaskIndex>,
    blocked_model: BTreeSet<TaskIndex>,
    pub(crate) ready_free_count: usize,
    running_free: usize,
    pub(crate) running: usize,
    /// Every task before this one spends no more.
    spent_to: usize,
    /// Every task before this one is settled.
    settled_to: usize,
    /// Tasks after this one do not count (S10).
    cut: usize,
    /// Whether any task was resolved without an output: until then no dependency needs to be looked at.
    any_failed: bool,
    stop: Option<Stop>,
    pub(crate) unwanted: Vec<TaskIndex>,
    /// Tasks to look at because something before them changed. Kept here to keep its memory.
    wave: Vec<TaskIndex>,
    pub(crate) fold: Fold,
    pub(crate) observed: Option<Vec<Event>>,
    /// What happened before anything had started, for whoever observes the run. Mostly nothing.
    pub(crate) before_start: Vec<Event>,
    closed: bool,
}

/// What is ready, by priority, then in canonical order.
#[derive(Debug, Default)]
struct Ready {
    high: ReadySet,
    normal: ReadySet,
}

#[derive(Clone, Copy, Debug)]
enum Stop {
    Cancelled,
    Latency { declared: u64, elapsed_ms: u64 },
}

impl Progress {
    pub(crate) fn new(graph: &CheckedGraph) -> Self {
        let mut tasks = vec![TaskState::BLANK; graph.waits().len()];
        tasks.iter_mut().zip(graph.waits()).for_each(|(task, &waits)| task.pending = waits);
        let wave = graph.names().indices().filter(|i| graph.waits()[i.as_usize()] == 0).collect();
        let mut progress = Self {
            ledger: Ledger::new(graph),
            fold: Fold::new(graph),
            cut: tasks.len(),
            ready_free: Ready::default(),
            ready_model: Ready::default(),
            blocked_free: BTreeSet::new(),
            blocked_model: BTreeSet::new(),
            ready_free_count: 0,
            running_free: 0,
            running: 0,
            spent_to: 0,
            settled_to: 0,
            any_failed: false,
            stop: None,
            unwanted: Vec::new(),
            observed: Some(Vec::new()),
            before_start: Vec::new(),
            closed: false,
            wave,
            tasks,
        };
        progress.advance(graph);
        progress.before_start = progress.observed.take().unwrap_or_default();
        progress
    }

    /// See [`Run::next_start`](crate::Run::next_start).
    pub(crate) fn next_start(&mut self, graph: &CheckedGraph) -> Option<Start> {
        if self.stop.is_some() {
            return None;
        }
        while let Some(index) = self.take_turn(graph) {
            let task = graph.task(index);
            match self.prepare(graph, task) {
                Ok(work) => return Some(self.start(task, index, work)),
                // Outputs do not change, so what was checked when the task became ready still holds, but for a prompt
                // that a bug would let through: that is a failure as well, and no panic.
                Err(message) => {
                    self.leave_ready(task);
                    let failure = failure(task, FailureCategory::ValidationError, message, None);
                    self.fail(graph, index, failure);
                    self.advance(graph);
                }
            }
        }
        None
    }

    /// See [`Run::start_task`](crate::Run::start_task).
    pub(crate) fn start_task(&mut self, graph: &CheckedGraph, index: TaskIndex) -> Result<(), FactRefused> {
        let task = graph.tasks().get(index.as_usize()).ok_or(FactRefused::UnknownTask(index.as_usize()))?;
        if self.stop.is_some() || self.tasks[index.as_usize()].phase != Phase::Ready {
            return Err(FactRefused::NotReady { task: task.id.to_string() });
        }
        if task.task_type.is_model() && self.ready_free_count + self.running_free > 0 {
            return Err(FactRefused::ModelBeforeDeterministic { task: task.id.to_string() });
        }
        match self.prepare(graph, task) {
            Ok(work) => {
                self.start(task, index, work);
                Ok(())
            }
            Err(_) => Err(FactRefused::NotReady { task: task.id.to_string() }),
        }
    }

    /// See [`Run::under_way`](crate::Run::under_way).
    pub(crate) fn under_way(&self, graph: &CheckedGraph, index: TaskIndex) -> Option<Start> {
        let task = graph.tasks().get(index.as_usize())?;
        let state = &self.tasks[index.as_usize()];
        if state.phase != Phase::Running {
            return None;
        }
        // Outputs do not change, so what was prepared once can be prepared again.
        let work = self.prepare(graph, task).ok()?;
        Some(self.may_spend(task, index, work))
    }

    /// See [`Run::waiting`](crate::Run::waiting).
    pub(crate) fn waiting<'r>(
        &'r self,
        graph: &'r CheckedGraph,
    ) -> impl Iterator<Item = (TaskIndex, Next)> + 'r {
        let counts = if self.stop.is_some() { 0 } else { self.cut.saturating_add(1) };
        graph.iter().take(counts).filter_map(|(index, task)| {
            let state = &self.tasks[index.as_usize()];
            let time_left_us = verdict::time_left_us(task, state.spent);
            (state.phase == Phase::Waiting)
                .then_some((index, Next::Retry { attempt: state.attempts, time_left_us }))
        })
    }

    /// See [`Run::report`](crate::Run::report).
    pub(crate) fn report(
        &mut self,
        graph: &CheckedGraph,
        report: AttemptReport,
    ) -> Result<Next, FactRefused> {
        let index = report.task;
        let task = graph.tasks().get(index.as_usize()).ok_or(FactRefused::UnknownTask(index.as_usize()))?;
        let state = &mut self.tasks[index.as_usize()];
        if state.phase != Phase::Running {
            return Err(FactRefused::NotRunning { task: task.id.to_string() });
        }
        if report.attempt.checked_add(1) != Some(state.attempts) {
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
                self.spend_no_more(graph, index);
                Next::Settled
            }
            Verdict::Retry(because) => {
                self.tasks[index.as_usize()].phase = Phase::Waiting;
                self.emit(Event::Retrying { task: index, because: Box::new(because) });
                Next::Retry { attempt: attempt + 1, time_left_us: verdict::time_left_us(task, spent) }
            }
            Verdict::Failed(failure) => {
                self.fail(graph, index, failure);
                Next::Settled
            }
        };
        self.advance(graph);
        Ok(next)
    }

    /// See [`Run::resume`](crate::Run::resume).
    pub(crate) fn resume(
        &mut self,
        graph: &CheckedGraph,
        index: TaskIndex,
        waited_us: u64,
    ) -> Result<Next, FactRefused> {
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
            self.fail(graph, index, failure(task, FailureCategory::Timeout, message, Some(breach)));
            self.advance(graph);
            return Ok(Next::Settled);
        }
        let attempt = state.attempts;
        self.make_ready(graph, task, index);
        Ok(Next::Retry { attempt, time_left_us })
    }

    /// See [`Run::latency_exceeded`](crate::Run::latency_exceeded).
    pub(crate) fn latency_exceeded(
        &mut self,
        graph: &CheckedGraph,
        elapsed_ms: u64,
    ) -> Result<(), FactRefused> {
        match graph.budgets().max_latency_ms() {
            Some(declared) if elapsed_ms >= declared => {
                self.stop(graph, Stop::Latency { declared, elapsed_ms });
                Ok(())
            }
            declared => Err(FactRefused::LatencyNotExceeded { declared, told: elapsed_ms }),
        }
    }

    /// See [`Run::cancel`](crate::Run::cancel).
    pub(crate) fn cancel(&mut self, graph: &CheckedGraph) {
        self.stop(graph, Stop::Cancelled);
    }

    /// See [`Run::is_finished`](crate::Run::is_finished).
    pub(crate) fn is_finished(&self) -> bool {
        self.running == 0
            && (self.stop.is_some() || self.settled_to > self.cut || self.settled_to == self.tasks.len())
    }

    /// See [`Run::close`](crate::Run::close).
    pub(crate) fn close(&mut self, graph: &CheckedGraph) -> Result<(), Unfinished> {
        if !self.is_finished() {
            return Err(Unfinished {
                running: self.running,
                settled: self.settled_to,
                tasks: self.tasks.len(),
            });
        }
        if std::mem::replace(&mut self.closed, true) {
            return Ok(());
        }
        for (index, task) in graph.iter() {
            let rank = index.as_usize();
            match (self.tasks[rank].phase, self.stop) {
                _ if rank > self.cut => self.discard(index, SkipReason::FailFast),
                // It did its own work; only which edge it takes will never be known.
                (Phase::Settled | Phase::Deciding, _) => {}
                (_, Some(Stop::Latency { declared, elapsed_ms })) => {
                    self.fail_late(task, index, declared, elapsed_ms);
                }
                (_, Some(Stop::Cancelled) | None) => self.discard(index, SkipReason::Cancelled),
            }
        }
        Ok(())
    }

    fn start(&mut self, task: &Task, index: TaskIndex, work: StartWork) -> Start {
        let model = matches!(work, StartWork::Model { .. });
        self.leave_ready(task);
        self.running += 1;
        self.running_free += usize::from(!model);
        let state = &mut self.tasks[index.as_usize()];
        state.phase = Phase::Running;
        state.attempts += 1;
        let start = self.may_spend(task, index, work);
        self.emit(Event::AttemptStarted { task: index, attempt: start.attempt });
        start
    }

    /// The attempt that a task is at, and what is left to it.
    fn may_spend(&self, task: &Task, index: TaskIndex, work: StartWork) -> Start {
        let state = &self.tasks[index.as_usize()];
        let model = matches!(work, StartWork::Model { .. });
        let tokens_left = if model { state.allowance.tokens.saturating_sub(state.spent.tokens) } else { 0 };
        let time_left_us = verdict::time_left_us(task, state.spent);
        Start { task: index, attempt: state.attempts.saturating_sub(1), work, tokens_left, time_left_us }
    }

    /// Works off everything that follows from what has just changed.
    fn advance(&mut self, graph: &CheckedGraph) {
        loop {
            let mut next = 0;
            while let Some(&index) = self.wave.get(next) {
                next += 1;
                self.look_at(graph, index);
            }
            self.wave.clear();
            let moved = self.move_marks(graph);
            // Only what has moved a mark can make room, and admitting may move one again.
            if moved {
                self.admit_blocked(graph);
            } else if self.wave.is_empty() {
                return;
            }
        }
    }

    fn fail(&mut self, graph: &CheckedGraph, index: TaskIndex, failure: Failure) {
        self.tasks[index.as_usize()].failed = Some(failure.error_type);
        self.emit(Event::Failed { task: index, failure: Box::new(failure) });
        self.spend_no_more(graph, index);
    }

    // Inlined, so that where an event is made its kind need not be found out again.
    #[inline(always)]
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
