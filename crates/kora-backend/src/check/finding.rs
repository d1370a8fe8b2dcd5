//! What a check found out about one graph.

use std::path::Path;

use backend_api::{Refusal, UnmetCapability};
use backend_local::TaskNote;
use kora_ir::{CheckedGraph, Limits, TaskType};
use serde_json::{Value, json};

use super::against::Against;
use crate::exit::Exit;
use crate::graph_file;
use crate::refused::CommandError;

/// One graph and what came of checking it.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) name: String,
    pub(super) found: Found,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Found {
    /// It breaks rules, or cannot be read.
    Error(CommandError),
    /// It breaks none; what a backend lacks for it, and what its models cannot promise.
    Graph { graph: CheckedGraph, unmet: Vec<UnmetCapability>, notes: Vec<TaskNote> },
}

impl Checked {
    /// Checks the graph in the file `path`, and holds it against whoever is to run it.
    pub(super) fn new(path: &Path, limits: &Limits, against: &Against) -> Self {
        let found = graph_file::load(path, limits).and_then(|graph| {
            let unmet = against.unmet(&graph)?;
            let notes = against.notes(&graph);
            Ok(Found::Graph { graph, unmet, notes })
        });
        Self { name: graph_file::name(path), found: found.unwrap_or_else(Found::Error) }
    }

    /// The exit code for this graph alone.
    pub(super) fn exit(&self) -> Exit {
        match &self.found {
            Found::Error(error) => error.exit(),
            Found::Graph { unmet, .. } if unmet.is_empty() => Exit::Success,
            Found::Graph { .. } => Exit::BeyondCapabilities,
        }
    }

    /// The finding as JSON.
    pub(super) fn document(&self, order: bool) -> Value {
        let mut document = match &self.found {
            Found::Error(error) => error.document(),
            Found::Graph { graph, unmet, notes } => {
                let mut document = match unmet.as_slice() {
                    [] => json!({}),
                    unmet => CommandError::from(Refusal::BeyondCapabilities(unmet.to_vec())).document(),
                };
                document["graph_id"] = json!(graph.graph_id());
                document["graph_digest"] = json!(graph.digest().to_string());
                document["tasks"] =
                    tasks_by_type(graph).into_iter().map(|(name, count)| (name, json!(count))).collect();
                document["warnings"] = json!(graph.warnings());
                document["notes"] = json!(notes);
                if order {
                    document["order"] = graph.tasks().iter().map(|task| json!(task.id)).collect();
                }
                document
            }
        };
        document["file"] = json!(self.name);
        document["valid"] = json!(self.exit() == Exit::Success);
        document
    }
}

/// How many tasks of each type there are.
pub(super) fn tasks_by_type(graph: &CheckedGraph) -> [(String, usize); 3] {
    TaskType::ALL.map(|task_type| {
        let count = graph.tasks().iter().filter(|task| task.task_type == task_type).count();
        (task_type.as_str().to_owned(), count)
    })
}
