//! KORA's eight stages and what Krako says instead (S11).

use kora_ir::TaskType;
use telemetry::Stage;

use super::work_unit::kind;
use crate::{Completion, EventKind, Skip, UnitEvent, WorkUnitKind, WorkUnitState};

/// The events that a stage shows as, in order: the published table. The first two stages are behind every accepted
/// graph and show as its session's start; aggregation shows as what it is to a pool.
pub fn event_kinds(stage: Stage) -> &'static [EventKind] {
    match stage {
        Stage::TaskConstructed | Stage::DagValidated => &[EventKind::SessionStarted],
        Stage::DeterministicExecution | Stage::Aggregation => {
            &[EventKind::UnitStarted, EventKind::UnitCompleted]
        }
        Stage::ModelInvocation => &[EventKind::LlmStarted, EventKind::LlmCompleted],
        Stage::SchemaValidation => &[EventKind::UnitValidated],
        Stage::TaskCompleted => &[EventKind::UnitCompleted],
        Stage::TaskFailed => &[EventKind::UnitFailed],
    }
}

/// The stage that a unit's task of this type enters with an event, if any.
pub fn stage(event: &UnitEvent, task_type: TaskType) -> Option<Stage> {
    match event {
        UnitEvent::Scheduled(_)
        | UnitEvent::Claimed(_)
        | UnitEvent::Stopped(_)
        | UnitEvent::LlmCompleted(_)
        | UnitEvent::LlmFailed(_) => None,
        UnitEvent::Started(_) => match task_type {
            TaskType::Deterministic => Some(Stage::DeterministicExecution),
            TaskType::Aggregation => Some(Stage::Aggregation),
            // The model was not asked yet.
            TaskType::Model => None,
        },
        UnitEvent::LlmStarted(_) => match task_type {
            TaskType::Model => Some(Stage::ModelInvocation),
            TaskType::Deterministic | TaskType::Aggregation => None,
        },
        UnitEvent::Validated(_) => Some(Stage::SchemaValidation),
        UnitEvent::Completed(completed) => match (completed.status, completed.skip_reason) {
            (Completion::Success, _) | (Completion::Skipped, Some(Skip::Condition)) => {
                Some(Stage::TaskCompleted)
            }
            (Completion::Skipped, Some(Skip::Dormant | Skip::FailFast | Skip::Cancelled) | None) => None,
        },
        UnitEvent::Failed(_) => Some(Stage::TaskFailed),
    }
}

/// The state of a unit whose task is in a stage.
pub fn state(stage: Stage) -> WorkUnitState {
    match stage {
        Stage::TaskConstructed | Stage::DagValidated => WorkUnitState::Pending,
        Stage::DeterministicExecution | Stage::Aggregation | Stage::ModelInvocation => WorkUnitState::Started,
        Stage::SchemaValidation => WorkUnitState::Validated,
        Stage::TaskCompleted => WorkUnitState::Completed,
        Stage::TaskFailed => WorkUnitState::Failed,
    }
}

/// The last stage of a task whose unit is in a state. `None` of a skipped one: why it was decides.
pub fn stage_of_state(state: WorkUnitState, task_type: TaskType) -> Option<Stage> {
    match state {
        WorkUnitState::Pending | WorkUnitState::Scheduled | WorkUnitState::Claimed => {
            Some(Stage::DagValidated)
        }
        WorkUnitState::Started => Some(match (kind(task_type), task_type) {
            (WorkUnitKind::LlmPod, _) => Stage::ModelInvocation,
            (WorkUnitKind::Cpu, TaskType::Aggregation) => Stage::Aggregation,
            (WorkUnitKind::Cpu, TaskType::Deterministic | TaskType::Model) => Stage::DeterministicExecution,
        }),
        WorkUnitState::Validated => Some(Stage::SchemaValidation),
        WorkUnitState::Completed => Some(Stage::TaskCompleted),
        WorkUnitState::Failed => Some(Stage::TaskFailed),
        WorkUnitState::Skipped => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // shows C5.4, C6.1
    #[test]
    fn every_stage_shows_as_krako_publishes() {
        let shown: Vec<String> = Stage::ALL
            .into_iter()
            .map(|stage| {
                let kinds: Vec<_> = event_kinds(stage).iter().map(|kind| kind.as_str()).collect();
                format!("{} {} ({})", stage.as_str(), kinds.join(" → "), state(stage))
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn a_stage_comes_back_from_the_state_that_it_makes() {
        for task_type in TaskType::ALL {
            for stage in Stage::ALL {
                let own = match stage {
                    Stage::DeterministicExecution => task_type == TaskType::Deterministic,
                    Stage::ModelInvocation => task_type == TaskType::Model,
                    Stage::Aggregation => task_type == TaskType::Aggregation,
                    // Two stages before any event: a graph that is not checked has no session.
                    Stage::TaskConstructed => false,
                    Stage::DagValidated
                    | Stage::SchemaValidation
                    | Stage::TaskCompleted
                    | Stage::TaskFailed => true,
                };
                if own {
                    assert_eq!(stage_of_state(state(stage), task_type), Some(stage));
                }
            }
            for &state_of in WorkUnitState::ALL {
                if let Some(stage) = stage_of_state(state_of, task_type) {
                    let placed = matches!(state_of, WorkUnitState::Scheduled | WorkUnitState::Claimed);
                    assert_eq!(state(stage), if placed { WorkUnitState::Pending } else { state_of });
                }
            }
        }
    }
}
