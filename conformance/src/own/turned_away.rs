//! Requests that some mutants, and one odd backend, refuse before they have read the graph.

use backend_api::RefusalDocument;
use serde_json::Value;

use super::memory::Remembered;
use super::{Behaviour, Defect, Quirk};

/// Members that the contract names, so that a backend without patience knows what it does not know.
const GRAPH: &[&str] = &[
    "kora_version",
    "graph_id",
    "root",
    "tasks",
    "defaults",
    "failure_policy",
    "budgets",
    "schema_version",
    "request_id",
    "tenant_id",
    "created_at",
    "version",
];
const TASK: &[&str] = &[
    "version",
    "id",
    "type",
    "dependencies",
    "input",
    "run",
    "schema",
    "budget",
    "routing",
    "constraints",
    "skip_when",
    "escalation",
    "metadata",
    "deps",
    "in",
    "verify",
    "policy",
    "tags",
];
const CONTEXT: &[&str] = &["run_id", "trace_id", "backend_mode", "user_id", "interface_version"];

/// Why this backend refuses the request, if it does.
pub(super) fn turned_away(
    does: Behaviour,
    graph: &str,
    context: &Value,
    memory: &Remembered,
) -> Option<RefusalDocument> {
    let graph: Value = serde_json::from_str(graph).unwrap_or_default();
    let has = |defect| does.has(defect);
    let refused = |message: &str| Some(RefusalDocument::new("VALIDATION_ERROR", message));
    let seen = context["run_id"].as_str().is_some_and(|run_id| memory.run_ids.contains(run_id));
    if does.is(Quirk::FailsRunIdsTwice) && seen {
        return refused("this run id was used before; give each run its own");
    }
    if does.is(Quirk::OnlyIr1) && graph["version"] == "0.1" {
        return Some(RefusalDocument::new("VERSION_MISMATCH", "only Task IR 1.x is read here"));
    }
    if has(Defect::NewerMinorsRefused) {
        let newer = |version: &Value| version.as_str().is_some_and(is_newer);
        if newer(&graph["kora_version"]) || newer(&context["interface_version"]) {
            return Some(RefusalDocument::new("VERSION_MISMATCH", "only 1.0 is served"));
        }
    }
    let tasks = graph["tasks"].as_array().map_or(&[][..], Vec::as_slice);
    if has(Defect::UnknownFieldsRefused)
        && (!knows(GRAPH, &graph) || !knows(CONTEXT, context) || !tasks.iter().all(|task| knows(TASK, task)))
    {
        return refused("unknown field");
    }
    let is_aggregation = |task: &Value| task["type"] == "aggregation";
    let why = [
        (Defect::NoUserIds, context.get("user_id").is_some()),
        (Defect::NeedsUserIds, context.get("user_id").is_none()),
        (Defect::RefusesWhatIsDeclared, tasks.iter().any(is_aggregation)),
        (Defect::OneRunAtATime, memory.under_way > 0),
        (Defect::FailsAfterAFailure, memory.a_run_failed),
        (Defect::RefusesAfterARefusal, memory.a_graph_was_refused),
        (Defect::BusyAfterCancellation, memory.a_run_was_cancelled),
        (Defect::Dead, true),
    ];
    why.into_iter()
        .find(|&(defect, holds)| holds && has(defect))
        .and_then(|(defect, _)| refused(defect.name()))
}

fn knows(members: &[&str], object: &Value) -> bool {
    object.as_object().is_none_or(|object| object.keys().all(|name| members.contains(&name.as_str())))
}

/// Whether it is a version 1 that is newer than 1.0.
fn is_newer(version: &str) -> bool {
    let mut parts = version.split('.');
    parts.next() == Some("1") && parts.next().is_some_and(|minor| minor != "0")
}
