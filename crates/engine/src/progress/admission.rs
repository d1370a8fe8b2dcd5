//! Who may start, and whose turn it is (S5, S6).

use std::collections::BTreeSet;

use kora_ir::{CheckedGraph, Priority, Task, TaskIndex};
use telemetry::{Breach, Budgeted, FailureCategory};

use super::{Progress, Ready, failure};
use crate::ledger::{Admission, RunCap};
use crate::state::Phase;

impl Progress {
    /// Asks the run's budgets whether the task may start.
    pub(super) fn admit(&mut self, graph: &CheckedGraph, index: TaskIndex) {
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
                // Now, and not when its turn comes: who fails must not depend on who else is running.
                match self.check_inputs(graph, task) {
                    Ok(()) => self.make_ready(graph, task, index),
                    Err(message) => {
                        let failure = failure(task, FailureCategory::ValidationError, message, None);
                        self.fail(graph, index, failure);
                    }
                }
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

    pub(super) fn blocked_mut(&mut self, task: &Task) -> &mut BTreeSet<TaskIndex> {
        if task.task_type.is_model() { &mut self.blocked_model } else { &mut self.blocked_free }
    }

    pub(super) fn admit_blocked(&mut self, graph: &CheckedGraph) {
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

    pub(super) fn leave_ready(&mut self, task: &Task) {
        self.ready_free_count -= usize::from(!task.task_type.is_model());
    }

    pub(super) fn make_ready(&mut self, graph: &CheckedGraph, task: &Task, index: TaskIndex) {
        self.tasks[index.as_usize()].phase = Phase::Ready;
        self.ready_free_count += usize::from(!task.task_type.is_model());
        let ready = if task.task_type.is_model() { &mut self.ready_model } else { &mut self.ready_free };
        let set = match task.routing.priority {
            Priority::High => &mut ready.high,
            Priority::Normal => &mut ready.normal,
        };
        set.insert(graph, index);
    }

    /// The task whose turn it is. What has been started out of turn, or no longer counts, lost its turn.
    pub(super) fn take_turn(&mut self, graph: &CheckedGraph) -> Option<TaskIndex> {
        loop {
            let index = match self.ready_free.pop_first(graph) {
                Some(index) => index,
                None if self.running_free == 0 => self.ready_model.pop_first(graph)?,
                None => return None,
            };
            if self.tasks[index.as_usize()].phase == Phase::Ready {
                return Some(index);
            }
        }
    }
}

impl Ready {
    fn pop_first(&mut self, graph: &CheckedGraph) -> Option<TaskIndex> {
        self.high.pop_first(graph).or_else(|| self.normal.pop_first(graph))
    }
}
