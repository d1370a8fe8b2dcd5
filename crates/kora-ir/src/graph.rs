//! The TaskGraph, checked once and immutable after (C3.2, I1).

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::Serialize;

use serde_json::Value;

use crate::read::MAX_DEPTH;
use crate::report::{At, Report};
use crate::schema::deeper_than;
use crate::{
    GraphBudgets, GraphDigest, InvalidGraph, Limits, Task, TaskIndex, TaskNames, ViolationCode, Warning,
    digest, parse, warning,
};

/// A TaskGraph that passed every check. Cloning is cheap; nothing can change it.
#[derive(Clone, Debug)]
pub struct CheckedGraph(Arc<Graph>);

pub(crate) struct Graph {
    parts: Parts,
    // Invariant: the text that was checked; the digest is of it and is computed when first asked for.
    source: Box<str>,
    digest: OnceLock<GraphDigest>,
    warnings: OnceLock<Vec<Warning>>,
    // Invariant: `dependents[dependents_of[i]..dependents_of[i + 1]]` are those of task `i`, ascending, without repeats.
    dependents_of: Box<[u32]>,
    dependents: Box<[TaskIndex]>,
    // Invariant: how many tasks each waits for, in canonical order. In one piece, where a run begins by reading them.
    waits: Box<[u32]>,
    // Invariant: sorted by id, for lookup.
    by_id: Box<[TaskIndex]>,
}

/// What the check makes of a document.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) graph_id: String,
    pub(crate) root: TaskIndex,
    pub(crate) failure_policy: FailurePolicy,
    pub(crate) budgets: GraphBudgets,
    pub(crate) schema_version: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) tenant_id: Option<String>,
    pub(crate) created_at: Option<String>,
    // Invariant: in canonical order, so that an index is a rank (S4).
    pub(crate) tasks: Box<[Task]>,
    pub(crate) names: TaskNames,
    // Invariant: where each of them stands in the document.
    pub(crate) places: Box<[u32]>,
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.fmt(f)
    }
}

impl Graph {
    fn new(parts: Parts, source: Box<str>) -> Self {
        let tasks = &parts.tasks;
        let mut dependents_of = vec![0_u32; tasks.len() + 1];
        for dependency in tasks.iter().flat_map(|task| &task.dependencies) {
            dependents_of[dependency.as_usize() + 1] += 1;
        }
        for at in 0..tasks.len() {
            dependents_of[at + 1] += dependents_of[at];
        }
        let mut next = dependents_of.clone();
        let mut dependents = vec![TaskIndex(0); dependents_of[tasks.len()] as usize];
        for (index, task) in (0..).zip(tasks) {
            for dependency in &task.dependencies {
                let slot = &mut next[dependency.as_usize()];
                dependents[*slot as usize] = TaskIndex(index);
                *slot += 1;
            }
        }
        let mut by_id: Vec<TaskIndex> = (0..).map(TaskIndex).take(tasks.len()).collect();
        by_id.sort_unstable_by(|a, b| tasks[a.as_usize()].id.cmp(&tasks[b.as_usize()].id));
        let waits = tasks.iter().map(|task| {
            u32::try_from(task.dependencies.len()).unwrap_or(u32::MAX) + u32::from(task.resolves.is_some())
        });
        Self {
            waits: waits.collect(),
            source,
            digest: OnceLock::new(),
            warnings: OnceLock::new(),
            dependents_of: dependents_of.into(),
            dependents: dependents.into(),
            by_id: by_id.into(),
            parts,
        }
    }
}

impl CheckedGraph {
    /// Reads and checks a graph of Task IR 1.x, or of KORA's 0.1 through its compatibility mapping (C10.2).
    ///
    /// # Errors
    ///
    /// [`InvalidGraph`] lists everything that is wrong.
    pub fn parse(source: &str, limits: &Limits) -> Result<Self, InvalidGraph> {
        let mut report = Report::new(limits);
        match parse::parts(source, limits, &mut report) {
            Some(parts) => Ok(Self(Arc::new(Graph::new(parts, source.into())))),
            None => Err(report.close(source)),
        }
    }

    /// The same of a text that nobody else needs: the graph keeps it, where [`parse`](Self::parse) keeps a copy.
    ///
    /// # Errors
    ///
    /// [`InvalidGraph`] lists everything that is wrong.
    pub fn parse_owned(source: String, limits: &Limits) -> Result<Self, InvalidGraph> {
        let mut report = Report::new(limits);
        match parse::parts(&source, limits, &mut report) {
            Some(parts) => Ok(Self(Arc::new(Graph::new(parts, source.into())))),
            None => Err(report.close(&source)),
        }
    }

    /// Reads and checks a graph from bytes, which must be UTF-8.
    ///
    /// # Errors
    ///
    /// [`InvalidGraph`] lists everything that is wrong.
    pub fn parse_bytes(source: &[u8], limits: &Limits) -> Result<Self, InvalidGraph> {
        match std::str::from_utf8(source) {
            Ok(source) => Self::parse(source, limits),
            Err(error) => {
                let (sound, _) = source.split_at(error.valid_up_to());
                let mut report = Report::new(limits);
                report.add(
                    ViolationCode::NotUtf8,
                    At::Offset(sound.len()),
                    "these bytes are not UTF-8",
                    String::from("save the document as UTF-8"),
                );
                Err(report.close(std::str::from_utf8(sound).unwrap_or_default()))
            }
        }
    }

    /// Checks a graph that was built in memory. Its violations have no [`Span`](crate::Span).
    ///
    /// # Errors
    ///
    /// [`InvalidGraph`] lists everything that is wrong.
    pub fn from_value(document: &Value, limits: &Limits) -> Result<Self, InvalidGraph> {
        // Writing a value recurses: one that was built may be deeper than anything that was read.
        if deeper_than(document, MAX_DEPTH + 8) {
            let mut report = Report::new(limits);
            let help = String::from("flatten the document");
            report.add(ViolationCode::JsonTooDeep, At::Pointer(String::new()), "nested too deeply", help);
            return Err(report.close("").without_spans());
        }
        Self::parse_owned(document.to_string(), limits).map_err(InvalidGraph::without_spans)
    }

    /// As KORA wrote it.
    pub fn graph_id(&self) -> &str {
        &self.0.parts.graph_id
    }

    /// Identifies the graph in results, submissions and event streams (I1).
    ///
    /// Computed when first asked for: about as long as reading the document again.
    pub fn digest(&self) -> &GraphDigest {
        self.0.digest.get_or_init(|| digest::of_source(&self.0.source))
    }

    /// The task whose output is the final output.
    pub fn root(&self) -> TaskIndex {
        self.0.parts.root
    }

    /// The version of the task schema that a submission declares.
    pub fn schema_version(&self) -> Option<&str> {
        self.0.parts.schema_version.as_deref()
    }

    /// The idempotency anchor of a submission.
    pub fn request_id(&self) -> Option<&str> {
        self.0.parts.request_id.as_deref()
    }

    /// The billing scope of a submission.
    pub fn tenant_id(&self) -> Option<&str> {
        self.0.parts.tenant_id.as_deref()
    }

    /// When KORA constructed the graph, as written.
    pub fn created_at(&self) -> Option<&str> {
        self.0.parts.created_at.as_deref()
    }

    /// What is allowed in the graph but hardly meant, at most 200, in the order of the document.
    pub fn warnings(&self) -> &[Warning] {
        self.0.warnings.get_or_init(|| warning::warnings(self))
    }

    /// JSON pointer to a task in the document as KORA wrote it.
    pub fn pointer(&self, index: TaskIndex) -> String {
        format!("/tasks/{}", self.place(index))
    }

    /// Where a task stands among those of the document, counted from 0.
    pub(crate) fn place(&self, index: TaskIndex) -> u32 {
        self.0.parts.places[index.as_usize()]
    }

    /// The document that was checked, as KORA wrote it.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// What a failure does to the rest (S10).
    pub fn failure_policy(&self) -> FailurePolicy {
        self.0.parts.failure_policy
    }

    /// The caps of the whole run.
    pub fn budgets(&self) -> &GraphBudgets {
        &self.0.parts.budgets
    }

    /// All tasks, in canonical order (S4).
    pub fn tasks(&self) -> &[Task] {
        &self.0.parts.tasks
    }

    /// All tasks with their places, in canonical order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (TaskIndex, &Task)> {
        #[expect(clippy::cast_possible_truncation, reason = "`Limits::max_tasks` is far below")]
        self.0.parts.tasks.iter().enumerate().map(|(index, task)| (TaskIndex(index as u32), task))
    }

    /// What all tasks are called.
    pub fn names(&self) -> &TaskNames {
        &self.0.parts.names
    }

    /// How many tasks each waits for, in canonical order: its dependencies, and the one that it stands in for.
    pub fn waits(&self) -> &[u32] {
        &self.0.waits
    }

    /// One task.
    pub fn task(&self, index: TaskIndex) -> &Task {
        &self.0.parts.tasks[index.as_usize()]
    }

    /// The task at this place in canonical order, if there are that many.
    pub fn index_at(&self, rank: usize) -> Option<TaskIndex> {
        u32::try_from(rank).ok().filter(|_| rank < self.tasks().len()).map(TaskIndex)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn model(id: &str, dependencies: &[&str]) -> Value {
        json!({"version": "1.0", "id": id, "type": "model", "dependencies": dependencies, "input": {"text": "t"},
            "run": {"model": "m", "prompt": "{{/text}}"}, "schema": {"type": "object", "properties": {"a": {"type": "string"}}}})
    }

    fn operation(id: &str, dependencies: &[&str]) -> Value {
        json!({"version": "1.0", "id": id, "type": "deterministic", "dependencies": dependencies, "input": {},
            "run": {"operation": "echo", "args": {"x": dependencies.first().map(|from| json!({"$from": from, "pointer": "/a"}))}},
            "schema": {"type": "object"}})
    }

    fn graph(tasks: &[Value], root: &str) -> String {
        let budget = json!({"max_tokens": 10, "max_time_ms": 1000, "max_retries": 1});
        json!({"kora_version": "1.0.0", "graph_id": "g", "root": root, "defaults": {"budget": budget}, "tasks": tasks})
            .to_string()
    }

    fn ids(graph: &CheckedGraph) -> Vec<&str> {
        graph.tasks().iter().map(|task| task.id.as_str()).collect()
    }

    // shows C6.1
    #[test]
    fn deterministic_work_comes_before_models_and_dependencies_before_dependents() {
        let tasks =
            [model("m1", &[]), operation("late", &["m1"]), operation("b", &["a"]), operation("a", &[])];
        let graph = CheckedGraph::parse(&graph(&tasks, "late"), &Limits::default()).unwrap();
        assert_eq!(ids(&graph), ["a", "b", "m1", "late"]);
        assert_eq!(graph.dependents(TaskIndex(2)), [TaskIndex(3)]);
        assert_eq!(graph.index_of("late"), Some(TaskIndex(3)));
        assert_eq!(graph.task(graph.root()).id.as_str(), "late");
        assert_eq!(graph.task(TaskIndex(2)).budget.max_tokens(), 10);
        assert_eq!(graph.digest().to_string().len(), 71);
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let mut odd = operation("odd", &["lat"]);
        odd["colour"] = json!(1);
        odd["budget"] = json!({"max_time_ms": -3});
        let text = serde_json::to_string_pretty(
            &serde_json::from_str::<Value>(&graph(&[odd, operation("late", &["late"])], "lte")).unwrap(),
        )
        .unwrap();
        let refused = CheckedGraph::parse(&text, &Limits::default()).unwrap_err();
        let lines: Vec<String> = refused.violations.iter().map(ToString::to_string).collect();
        assert_eq!(lines.len(), 5, "{}", lines.join("\n"));
    }
}
