//! Task → work unit, graph → session; and whether a session that a fabric tells is that of the graph (C5.5).

use kora_ir::{CheckedGraph, GraphBudgets, TaskIndex, TaskType};
use thiserror::Error;

use crate::{
    ExecutionSession, GraphId, InvalidWireName, RequestId, SessionBudget, SessionId, TenantId, WorkUnit,
    WorkUnitId, WorkUnitKind,
};

/// The Task IR that a work unit's task is of.
const SCHEMA_VERSION: &str = "1.0";

/// The pool that runs tasks of this type. Two types share one pool; which it is stays in the graph.
pub fn kind(task_type: TaskType) -> WorkUnitKind {
    match task_type {
        TaskType::Deterministic | TaskType::Aggregation => WorkUnitKind::Cpu,
        TaskType::Model => WorkUnitKind::LlmPod,
    }
}

/// A task as a work unit: its caps are the task's own, never more (C2.2).
///
/// # Errors
///
/// [`InvalidWireName`] if the graph was checked with limits that allow longer ids than the wire has.
pub fn work_unit(graph: &CheckedGraph, index: TaskIndex) -> Result<WorkUnit, InvalidWireName> {
    let task = graph.task(index);
    let name = |index| WorkUnitId::new(graph.task(index).id.as_str());
    Ok(WorkUnit {
        work_unit_id: name(index)?,
        schema_version: SCHEMA_VERSION.to_owned(),
        kind: kind(task.task_type),
        dependencies: task.dependencies.iter().map(|&index| name(index)).collect::<Result<_, _>>()?,
        token_cap: task.budget.max_tokens(),
        timeout_ms: task.budget.max_time_ms(),
        retry_cap: task.budget.max_retries(),
    })
}

/// A graph as a session.
///
/// # Errors
///
/// As [`work_unit`].
pub fn execution_session(
    graph: &CheckedGraph,
    execution_session_id: SessionId,
    request_id: RequestId,
    tenant_id: TenantId,
) -> Result<ExecutionSession, InvalidWireName> {
    Ok(ExecutionSession {
        execution_session_id,
        graph_id: GraphId::new(graph.graph_id())?,
        graph_digest: graph.digest().into(),
        request_id,
        tenant_id,
        root_work_unit_id: WorkUnitId::new(graph.task(graph.root()).id.as_str())?,
        session_budget: budget(graph.budgets()),
        work_units: graph.iter().map(|(index, _)| work_unit(graph, index)).collect::<Result<_, _>>()?,
    })
}

fn budget(budgets: &GraphBudgets) -> SessionBudget {
    SessionBudget {
        max_llm_calls: budgets.max_llm_calls(),
        max_cpu_units: budgets.max_cpu_units(),
        max_tokens: budgets.max_tokens(),
        max_latency_ms: budgets.max_latency_ms(),
    }
}

/// A session that is not that of the graph: a fabric that changed a field, raised a cap or dropped an edge (C5.5).
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("the session's `{field}` is not the graph's{}", .work_unit_id.as_ref().map(|id| format!(", of work unit `{id}`")).unwrap_or_default())]
#[expect(clippy::exhaustive_structs, reason = "which field, of which unit")]
pub struct WrongSession {
    /// The field's name.
    pub field: &'static str,
    /// The unit that it is of, if it is of one.
    pub work_unit_id: Option<String>,
}

/// Holds a session that a fabric tells against the graph that was submitted.
///
/// # Errors
///
/// [`WrongSession`] names the first field that differs.
pub fn audit(graph: &CheckedGraph, told: &ExecutionSession) -> Result<(), WrongSession> {
    let of_session = |field, same: bool| {
        if same { Ok(()) } else { Err(WrongSession { field, work_unit_id: None }) }
    };
    let root = graph.task(graph.root());
    of_session("graph_id", told.graph_id.as_str() == graph.graph_id())?;
    of_session("graph_digest", told.graph_digest == *graph.digest())?;
    of_session("root_work_unit_id", told.root_work_unit_id.as_str() == root.id.as_str())?;
    of_session("session_budget", told.session_budget == budget(graph.budgets()))?;
    of_session("work_units", told.work_units.len() == graph.tasks().len())?;
    for ((index, task), unit) in graph.iter().zip(&told.work_units) {
        let expected = work_unit(graph, index)
            .map_err(|_| WrongSession { field: "work_unit_id", work_unit_id: Some(task.id.to_string()) })?;
        for (field, same) in [
            ("work_unit_id", unit.work_unit_id == expected.work_unit_id),
            ("schema_version", unit.schema_version == expected.schema_version),
            ("kind", unit.kind == expected.kind),
            ("dependencies", unit.dependencies == expected.dependencies),
            ("token_cap", unit.token_cap == expected.token_cap),
            ("timeout_ms", unit.timeout_ms == expected.timeout_ms),
            ("retry_cap", unit.retry_cap == expected.retry_cap),
        ] {
            if !same {
                return Err(WrongSession { field, work_unit_id: Some(task.id.to_string()) });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::graph;
    use crate::{Document, WireLimits};

    fn session() -> ExecutionSession {
        let id = |text| SessionId::new(text).unwrap();
        let (request, tenant) = (RequestId::new("r").unwrap(), TenantId::new("t").unwrap());
        execution_session(&graph(), id("ses_1"), request, tenant).unwrap()
    }

    // shows C5.5
    #[test]
    fn every_task_is_one_unit_with_the_caps_that_it_declares() {
        let graph = graph();
        let session = session();
        assert_eq!(audit(&graph, &session), Ok(()));
        for (unit, task) in session.work_units.iter().zip(graph.tasks()) {
            assert_eq!(unit.work_unit_id.as_str(), task.id.as_str());
            assert_eq!(unit.kind == WorkUnitKind::LlmPod, task.task_type.is_model());
            assert_eq!(unit.token_cap, task.budget.max_tokens());
        }
        let text = crate::write(&session);
        assert_eq!(crate::read::<ExecutionSession>(text.as_bytes(), &WireLimits::default()), Ok(session));
        assert_eq!(ExecutionSession::NAME, "execution-session");
    }

    // shows C2.2, C5.5
    #[test]
    fn a_fabric_that_changes_a_field_is_caught_by_its_name() {
        let graph = graph();
        type Change = fn(&mut ExecutionSession);
        let changes: [(&str, Change); 8] = [
            ("graph_digest", |s| {
                s.graph_digest = crate::Sha256Text::new(&format!("sha256:{}", "1".repeat(64))).unwrap()
            }),
            ("root_work_unit_id", |s| s.root_work_unit_id = WorkUnitId::new("other").unwrap()),
            ("session_budget", |s| s.session_budget.max_tokens = Some(u64::MAX)),
            ("work_units", |s| drop(s.work_units.pop())),
            ("token_cap", |s| s.work_units[1].token_cap += 1),
            ("timeout_ms", |s| s.work_units[0].timeout_ms += 1),
            ("retry_cap", |s| s.work_units[0].retry_cap += 1),
            ("kind", |s| s.work_units[0].kind = WorkUnitKind::LlmPod),
        ];
        for (field, change) in changes {
            let mut told = session();
            change(&mut told);
            assert_eq!(audit(&graph, &told).unwrap_err().field, field);
        }
    }
}
