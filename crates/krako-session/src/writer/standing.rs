//! Where each unit of a session stands, counted from its events.

use kora_ir::{CheckedGraph, TaskIndex};
use krako_contract::{Completion, Progress, ScheduleReason, UnitEvent, UnitHappening, WorkUnitKind};

/// What an event is to an attempt of its unit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    Starts,
    Claimed,
    Ends,
    Other,
}

/// What an event of a unit of this kind is to its attempt.
pub(crate) fn step(kind: WorkUnitKind, event: &UnitEvent) -> Step {
    let ends = |there: bool| if there { Step::Ends } else { Step::Other };
    match event {
        UnitEvent::Started(_) => match kind {
            WorkUnitKind::Cpu => Step::Starts,
            // Its model was not asked yet.
            WorkUnitKind::LlmPod => Step::Other,
        },
        UnitEvent::LlmStarted(_) => Step::Starts,
        UnitEvent::Claimed(_) => Step::Claimed,
        UnitEvent::LlmCompleted(_) | UnitEvent::LlmFailed(_) | UnitEvent::Stopped(_) => Step::Ends,
        UnitEvent::Scheduled(scheduled) => ends(scheduled.attempt_end.is_some()),
        UnitEvent::Validated(validated) => ends(validated.attempt_end.is_some()),
        UnitEvent::Failed(failed) => ends(failed.attempt_end.is_some()),
        UnitEvent::Completed(_) => Step::Other,
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Standing {
    Waiting,
    Running,
    Completed,
    Failed,
    Skipped,
}

/// Where each unit stands, and how many attempts it has started.
#[derive(Debug)]
pub(crate) struct Standings {
    // Invariant: one for each task.
    units: Vec<(Standing, u32)>,
    progress: Progress,
}

impl Standings {
    pub(crate) fn new(graph: &CheckedGraph) -> Self {
        let units = vec![(Standing::Waiting, 0); graph.tasks().len()];
        let total = units.len() as u64;
        Self { units, progress: Progress { total, waiting: total, ..Progress::default() } }
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress
    }

    /// Attempts that a task has started.
    pub(crate) fn attempts(&self, task: TaskIndex) -> u32 {
        self.units.get(task.as_usize()).map_or(0, |unit| unit.1)
    }

    pub(crate) fn note(&mut self, task: TaskIndex, kind: WorkUnitKind, told: &UnitHappening) {
        let Some((standing, attempts)) = self.units.get(task.as_usize()).copied() else { return };
        let step = step(kind, &told.event);
        let attempts = if step == Step::Starts { attempts.saturating_add(1) } else { attempts };
        let now = match &told.event {
            UnitEvent::Claimed(_) => Standing::Running,
            UnitEvent::Completed(completed) => match completed.status {
                Completion::Success => Standing::Completed,
                Completion::Skipped => Standing::Skipped,
            },
            UnitEvent::Failed(_) => Standing::Failed,
            UnitEvent::Scheduled(scheduled) if scheduled.reason == ScheduleReason::Retry => Standing::Waiting,
            UnitEvent::LlmCompleted(_) | UnitEvent::LlmFailed(_) | UnitEvent::Stopped(_) => Standing::Waiting,
            UnitEvent::Scheduled(_)
            | UnitEvent::Started(_)
            | UnitEvent::LlmStarted(_)
            | UnitEvent::Validated(_) => standing,
        };
        if now != standing {
            *self.count(standing) -= 1;
            *self.count(now) += 1;
        }
        self.units[task.as_usize()] = (now, attempts);
    }

    fn count(&mut self, standing: Standing) -> &mut u64 {
        match standing {
            Standing::Waiting => &mut self.progress.waiting,
            Standing::Running => &mut self.progress.running,
            Standing::Completed => &mut self.progress.completed,
            Standing::Failed => &mut self.progress.failed,
            Standing::Skipped => &mut self.progress.skipped,
        }
    }
}
