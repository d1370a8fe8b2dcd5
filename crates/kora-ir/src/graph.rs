//! The TaskGraph, checked once and immutable after (C3.2, I1).

use std::sync::Arc;

use serde::Serialize;

use crate::{GraphBudgets, GraphDigest, InvalidGraph, Limits, Task, TaskIndex};

/// A TaskGraph that passed every check. Cloning is cheap; nothing can change it.
#[derive(Clone, Debug)]
pub struct CheckedGraph(Arc<Graph>);

#[derive(Debug)]
pub(crate) struct Graph {
    pub(crate) graph_id: String,
    pub(crate) digest: GraphDigest,
    pub(crate) root: TaskIndex,
    pub(crate) failure_policy: FailurePolicy,
    pub(crate) budgets: GraphBudgets,
    // Invariant: in canonical order, so that an index is a rank (S4).
    pub(crate) tasks: Box<[Task]>,
    // Invariant: `dependents[dependents_of[i]..dependents_of[i + 1]]` are those of task `i`, ascending, without repeats.
    pub(crate) dependents_of: Box<[u32]>,
    pub(crate) dependents: Box<[TaskIndex]>,
    // Invariant: sorted by id, for lookup.
    pub(crate) by_id: Box<[TaskIndex]>,
}

impl CheckedGraph {
    /// Reads and checks a graph of Task IR 1.x, or of KORA's 0.1 through its compatibility mapping (C10.2).
    ///
    /// # Errors
    ///
    /// [`InvalidGraph`] lists everything that is wrong.
    pub fn parse(source: &str, limits: &Limits) -> Result<Self, InvalidGraph> {
        let _ = (source, limits);
        unimplemented!("being written")
    }

    /// As KORA wrote it.
    pub fn graph_id(&self) -> &str {
        &self.0.graph_id
    }

    /// Identifies the graph in results, submissions and event streams (I1).
    pub fn digest(&self) -> &GraphDigest {
        &self.0.digest
    }

    /// The task whose output is the final output.
    pub fn root(&self) -> TaskIndex {
        self.0.root
    }

    /// What a failure does to the rest (S10).
    pub fn failure_policy(&self) -> FailurePolicy {
        self.0.failure_policy
    }

    /// The caps of the whole run.
    pub fn budgets(&self) -> &GraphBudgets {
        &self.0.budgets
    }

    /// All tasks, in canonical order (S4).
    pub fn tasks(&self) -> &[Task] {
        &self.0.tasks
    }

    /// All tasks with their places, in canonical order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (TaskIndex, &Task)> {
        #[expect(clippy::cast_possible_truncation, reason = "`Limits::max_tasks` is far below")]
        self.0.tasks.iter().enumerate().map(|(index, task)| (TaskIndex(index as u32), task))
    }

    /// One task.
    pub fn task(&self, index: TaskIndex) -> &Task {
        &self.0.tasks[index.as_usize()]
    }

    /// The place of the task with this id.
    pub fn index_of(&self, id: &str) -> Option<TaskIndex> {
        let by_id = &self.0.by_id;
        by_id.binary_search_by(|&index| self.task(index).id.as_str().cmp(id)).ok().map(|found| by_id[found])
    }

    /// The tasks that declare `index` as a dependency, in canonical order.
    pub fn dependents(&self, index: TaskIndex) -> &[TaskIndex] {
        let (from, to) = (self.0.dependents_of[index.as_usize()], self.0.dependents_of[index.as_usize() + 1]);
        &self.0.dependents[from as usize..to as usize]
    }
}

/// What a failure does to tasks that do not depend on it (S10).
#[expect(clippy::exhaustive_enums, reason = "the graph format closes the set")]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailurePolicy {
    /// They go on.
    #[default]
    ContinueOnError,
    /// Nothing after the failure in canonical order counts.
    FailFast,
}
