//! Tasks side by side, in another order than the canonical one: what odd backends do, and what some mutants do wrong.

use std::collections::BTreeSet;
use std::sync::Arc;

use kora_ir::{CheckedGraph, FailurePolicy, TaskIndex};
use tokio::task::JoinSet;

use super::Defect;
use super::attempt::perform;
use super::run::{Outcome, Run};

/// How many tasks at a time, and whose turn it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lanes {
    pub(super) count: usize,
    pub(super) backwards: bool,
}

impl Run {
    /// Runs tasks side by side, whoever needs no model first (C11.2).
    ///
    /// Where tasks compete for what the run has, or where a failure ends it, the canonical order decides: then they run
    /// one by one.
    pub(super) async fn side_by_side(mut self, lanes: Lanes) -> Outcome {
        let graph = self.world.graph.clone();
        if competes(&graph) && !self.has(Defect::FirstComeFirstServed) {
            return self.one_by_one().await;
        }
        let mut waiting: BTreeSet<TaskIndex> = graph.iter().map(|(index, _)| index).collect();
        let mut under_way = JoinSet::new();
        let mut operations = 0;
        loop {
            while under_way.len() < lanes.count
                && let Some(index) = self.next(&graph, &waiting, lanes, operations)
            {
                waiting.remove(&index);
                if let Some(job) = self.look_at(&graph, index) {
                    operations += usize::from(!graph.task(index).task_type.is_model());
                    under_way.spawn(perform(Arc::clone(&self.world), job));
                }
            }
            match under_way.join_next().await {
                Some(Ok(done)) => {
                    operations -= usize::from(!graph.task(done.index).task_type.is_model());
                    self.take_in(&graph, done);
                }
                // A task of ours that panics is a bug, and no reason to go on.
                Some(Err(error)) => unreachable!("a task ended without an end: {error}"),
                None if waiting.is_empty() => return self.outcome(&graph),
                None => unreachable!("nothing runs and nothing may start: {waiting:?}"),
            }
        }
    }

    /// The task whose turn it is: no model while an operation could start or runs.
    fn next(
        &self,
        graph: &CheckedGraph,
        waiting: &BTreeSet<TaskIndex>,
        lanes: Lanes,
        operations: usize,
    ) -> Option<TaskIndex> {
        let ready = |model: bool| {
            let mut ready = waiting.iter().copied().filter(move |&index| {
                graph.task(index).task_type.is_model() == model && self.is_ready(graph, index)
            });
            if lanes.backwards { ready.next_back() } else { ready.next() }
        };
        ready(false).or_else(|| if operations == 0 { ready(true) } else { None })
    }
}

/// Whether it matters for the outcome who comes first.
fn competes(graph: &CheckedGraph) -> bool {
    let budgets = graph.budgets();
    let shared = [budgets.max_tokens(), budgets.max_llm_calls(), budgets.max_cpu_units()];
    shared.iter().any(Option::is_some) || graph.failure_policy() == FailurePolicy::FailFast
}
