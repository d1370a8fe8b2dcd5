//! What follows when a task is done: which edge it takes, who sees its output, what no longer counts.

use kora_ir::{CheckedGraph, FailurePolicy, Task, TaskIndex};
use telemetry::{Breach, Budgeted, Event, FailureCategory, SkipReason};

use super::{Progress, Stop, failure};
use crate::escalation::{self, Choice};
use crate::state::{Phase, Resolution};

impl Progress {
    /// Makes a task's spending final and, as soon as that can be known, takes the edge that it calls for.
    pub(super) fn spend_no_more(&mut self, graph: &CheckedGraph, index: TaskIndex) {
        let state = &mut self.tasks[index.as_usize()];
        state.phase = Phase::Deciding;
        self.ledger.settle(index.as_usize(), state.spent.tokens, u64::from(state.attempts));
        self.decide(graph, index);
    }

    pub(super) fn decide(&mut self, graph: &CheckedGraph, index: TaskIndex) {
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

    pub(super) fn settle(&mut self, graph: &CheckedGraph, index: TaskIndex, taken: Option<TaskIndex>) {
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

    pub(super) fn wake(&mut self, graph: &CheckedGraph, source: TaskIndex, target: TaskIndex) {
        let reads_source = graph.task(target).dependencies.contains(&source);
        let state = &mut self.tasks[target.as_usize()];
        state.pending -= 1 + u32::from(reads_source);
        if state.pending == 0 {
            self.wave.push(target);
        }
    }

    /// Settles a target that no edge woke, and with it whatever could only have stood in for it.
    pub(super) fn leave_dormant(&mut self, graph: &CheckedGraph, target: TaskIndex) {
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
    pub(super) fn resolve(&mut self, graph: &CheckedGraph, index: TaskIndex) {
        let resolution = if self.tasks[index.as_usize()].output.is_some() {
            Resolution::By(index)
        } else {
            self.any_failed = true;
            self.cut_after(graph, index);
            Resolution::Failed
        };
        let mut resolved = Some(index);
        while let Some(index) = resolved {
            self.tasks[index.as_usize()].resolution = resolution;
            let task = graph.task(index);
            let has_targets = !task.escalation.is_empty();
            for &dependent in graph.dependents(index) {
                // A task that stands in for this one has read its output already.
                if has_targets && graph.task(dependent).resolves == Some(index) {
                    continue;
                }
                let state = &mut self.tasks[dependent.as_usize()];
                state.pending -= 1;
                if state.pending == 0 {
                    self.wave.push(dependent);
                }
            }
            resolved = task.resolves;
        }
    }

    /// In a `fail_fast` graph nothing after a failure counts (S10).
    pub(super) fn cut_after(&mut self, graph: &CheckedGraph, index: TaskIndex) {
        match graph.failure_policy() {
            FailurePolicy::FailFast if index.as_usize() < self.cut => {
                let counted_to = std::mem::replace(&mut self.cut, index.as_usize());
                self.disown(graph, index.as_usize() + 1, counted_to);
            }
            FailurePolicy::FailFast | FailurePolicy::ContinueOnError => {}
        }
    }

    pub(super) fn stop(&mut self, graph: &CheckedGraph, stop: Stop) {
        if self.stop.is_none() {
            self.stop = Some(stop);
            self.disown(graph, 0, self.cut);
        }
    }

    /// Takes everything from one rank to another out of the queues, and names what of it is under way.
    fn disown(&mut self, graph: &CheckedGraph, from: usize, to: usize) {
        for (index, task) in graph.iter().skip(from).take((to + 1).saturating_sub(from)) {
            let phase = self.tasks[index.as_usize()].phase;
            match phase {
                Phase::Ready => self.leave_ready(task),
                Phase::Blocked => drop(self.blocked_mut(task).remove(&index)),
                Phase::Running => self.unwanted.push(index),
                Phase::Pending | Phase::Waiting | Phase::Deciding | Phase::Settled | Phase::Stopped => {}
            }
            if matches!(phase, Phase::Ready | Phase::Blocked) {
                self.tasks[index.as_usize()].phase = Phase::Stopped;
            }
        }
    }

    /// Moves the marks on, and says whether there was anything to move.
    pub(super) fn move_marks(&mut self, graph: &CheckedGraph) -> bool {
        let (spent_to, settled_to) = (self.spent_to, self.settled_to);
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
        (self.spent_to, self.settled_to) != (spent_to, settled_to)
    }

    pub(super) fn discard(&mut self, index: TaskIndex, reason: SkipReason) {
        let state = &mut self.tasks[index.as_usize()];
        state.output = None;
        state.failed = None;
        state.resolution = Resolution::Failed;
        self.emit(Event::Skipped { task: index, reason });
    }

    pub(super) fn fail_late(&mut self, task: &Task, index: TaskIndex, declared: u64, elapsed_ms: u64) {
        // Whether it would have been woken is not known, and it never started.
        if task.resolves.is_some() && self.tasks[index.as_usize()].attempts == 0 {
            return self.emit(Event::Skipped { task: index, reason: SkipReason::Dormant });
        }
        let breach = Breach { cap: Budgeted::GraphLatency, declared, used: elapsed_ms };
        let message = format!("the run had used {elapsed_ms} ms of {declared} ms");
        self.tasks[index.as_usize()].failed = Some(FailureCategory::BudgetBreach);
        let failure = failure(task, FailureCategory::BudgetBreach, message, Some(breach));
        self.emit(Event::Failed { task: index, failure: Box::new(failure) });
    }
}
