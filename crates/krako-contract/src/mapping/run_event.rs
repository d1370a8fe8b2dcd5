//! Run events → a fabric's events, and back (C5.4).
//!
//! Two things differ. Krako has no event for the end of an attempt on `cpu`: it stands in the next event of its unit.
//! And what KORA calls retrying and escalating, Krako calls scheduling.

use kora_ir::{CheckedGraph, TaskIndex, ValidatedOutput};
use telemetry::{Event as RunEvent, SkipReason};
use thiserror::Error;

use super::failure::{failure, unit_failure};
use super::work_unit::kind;
use crate::failure::Remark;
use crate::json::Json;
use crate::{
    AttemptEnd, Completed, Completion, Ending, Event, Failed, Happening, InvalidWireName, ScheduleReason,
    Scheduled, Skip, Started, Stopped, UnitEvent, UnitFailure, UnitHappening, Validated, Validation,
    WorkUnitId, WorkUnitKind,
};

/// Whether an attempt that ended so brought something to hold against the schema: `llm.invocation.completed`.
pub fn is_reply(ended: Ending) -> bool {
    match ended {
        Ending::Output | Ending::SchemaMismatch => true,
        Ending::Failed | Ending::TimedOut | Ending::TokensExhausted | Ending::Cancelled => false,
    }
}

fn skip(reason: SkipReason) -> Skip {
    match reason {
        SkipReason::Condition => Skip::Condition,
        SkipReason::Dormant => Skip::Dormant,
        SkipReason::FailFast => Skip::FailFast,
        SkipReason::Cancelled => Skip::Cancelled,
    }
}

fn skip_reason(skip: Skip) -> SkipReason {
    match skip {
        Skip::Condition => SkipReason::Condition,
        Skip::Dormant => SkipReason::Dormant,
        Skip::FailFast => SkipReason::FailFast,
        Skip::Cancelled => SkipReason::Cancelled,
    }
}

/// What a driver knows beside a run event, and the wire needs. What an event has no use for is not looked at.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a driver must say all of it")]
pub struct Beside<'d> {
    /// How the attempt ended, of `AttemptEnded`.
    pub ended: Option<Ending>,
    /// What happened, of one that failed.
    pub message: Option<&'d str>,
    /// Whether another attempt may go better, of one that failed.
    pub transient: bool,
    /// The output, of `Validated` that passed.
    pub output: Option<&'d ValidatedOutput>,
    /// Which parts of the schema were broken, of `Validated` that did not.
    pub faults: &'d [String],
}

/// Turns the run events of one session, in their order, into what a fabric publishes.
///
/// What a fabric adds on its own (ready, resumed, claimed, and `workunit.started` of a model's unit) has no run event.
#[derive(Debug)]
pub struct Publisher {
    graph: CheckedGraph,
    // Invariant: one for each task.
    units: Vec<Unit>,
}

#[derive(Clone, Debug, Default)]
struct Unit {
    attempt: u32,
    // Of an attempt on `cpu`, until the next event of the unit.
    end: Option<Box<AttemptEnd>>,
}

/// A run event that cannot be published.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "something is not told, not nameable, or newer than this crate")]
pub enum NotPublishable {
    /// An attempt ended and how was not told.
    #[error("an attempt ended, and how is not told")]
    NoEnding,
    /// An output passed and was not told.
    #[error("an output passed its schema, and is not there")]
    NoOutput,
    /// A name that the wire does not have.
    #[error(transparent)]
    Name(#[from] InvalidWireName),
    /// A kind of event that is newer than this crate.
    #[error("a run event that this version cannot say")]
    Unknown,
}

impl Publisher {
    /// For a run of `graph`.
    pub fn new(graph: CheckedGraph) -> Self {
        Self { units: vec![Unit::default(); graph.tasks().len()], graph }
    }

    /// What a fabric publishes of a run event. Nothing of the end of an attempt on `cpu`: the next event of its unit
    /// says it.
    ///
    /// # Errors
    ///
    /// [`NotPublishable`] if something is missing beside it. The publisher is unchanged then.
    pub fn publish(
        &mut self,
        event: &RunEvent,
        beside: &Beside<'_>,
    ) -> Result<Option<UnitHappening>, NotPublishable> {
        let index = event.task();
        let pool = kind(self.graph.task(index).task_type);
        let name = |index: TaskIndex| WorkUnitId::new(self.graph.task(index).id.as_str());
        let mut work_unit_id = name(index)?;
        let mut attempt_index = self.units[index.as_usize()].attempt;
        let unit = &mut self.units[index.as_usize()];
        let event = match event {
            RunEvent::AttemptStarted { attempt, .. } => {
                (unit.attempt, attempt_index) = (*attempt, *attempt);
                match pool {
                    WorkUnitKind::Cpu => UnitEvent::Started(Started {}),
                    WorkUnitKind::LlmPod => UnitEvent::LlmStarted(Started {}),
                }
            }
            RunEvent::AttemptEnded { elapsed_us, tokens_in, tokens_out, estimated, .. } => {
                let ended = beside.ended.ok_or(NotPublishable::NoEnding)?;
                let failed = ended == Ending::Failed;
                let end = AttemptEnd {
                    ended,
                    elapsed_us: *elapsed_us,
                    tokens_in: *tokens_in,
                    tokens_out: *tokens_out,
                    tokens_estimated: *estimated,
                    message: beside.message.filter(|_| failed).map(Remark::new),
                    transient: beside.transient && failed,
                };
                match pool {
                    WorkUnitKind::Cpu => {
                        unit.end = Some(Box::new(end));
                        return Ok(None);
                    }
                    WorkUnitKind::LlmPod if is_reply(ended) => UnitEvent::LlmCompleted(end),
                    WorkUnitKind::LlmPod => UnitEvent::LlmFailed(end),
                }
            }
            RunEvent::Validated { passed, .. } => {
                let output = match (passed, beside.output) {
                    (true, Some(output)) => Some(Json::new(output.value().clone())),
                    (true, None) => return Err(NotPublishable::NoOutput),
                    (false, _) => None,
                };
                let faults = if *passed { &[] } else { beside.faults };
                UnitEvent::Validated(Validated {
                    validation_status: if *passed { Validation::Pass } else { Validation::Fail },
                    output,
                    faults: faults.iter().take(8).map(|fault| Remark::new(fault)).collect(),
                    attempt_end: unit.end.take().map(|end| *end),
                })
            }
            RunEvent::Retrying { because, .. } => {
                attempt_index += 1;
                UnitEvent::Scheduled(Scheduled {
                    reason: ScheduleReason::Retry,
                    because: Some(unit_failure(because)?),
                    attempt_end: unit.end.take().map(|end| *end),
                    waited_us: None,
                    escalated_from: None,
                })
            }
            RunEvent::Completed { .. } => {
                UnitEvent::Completed(Completed { status: Completion::Success, skip_reason: None })
            }
            RunEvent::Failed { failure, .. } => UnitEvent::Failed(Failed {
                failure: unit_failure(failure)?,
                attempt_end: unit.end.take().map(|end| *end),
            }),
            RunEvent::Skipped { reason, .. } => UnitEvent::Completed(Completed {
                status: Completion::Skipped,
                skip_reason: Some(skip(*reason)),
            }),
            RunEvent::Escalated { to, .. } => {
                // It is told of the unit that was woken.
                let from =
                    std::mem::replace(&mut work_unit_id, WorkUnitId::new(self.graph.task(*to).id.as_str())?);
                attempt_index = 0;
                UnitEvent::Scheduled(Scheduled {
                    reason: ScheduleReason::Escalation,
                    because: None,
                    attempt_end: None,
                    waited_us: None,
                    escalated_from: Some(from),
                })
            }
            _ => return Err(NotPublishable::Unknown),
        };
        Ok(Some(UnitHappening { work_unit_id, attempt_index, event }))
    }

    /// What is left to publish once all run events of a report were: the end of an attempt on `cpu` that no other event
    /// said, because its unit does not count any more.
    ///
    /// # Errors
    ///
    /// [`NotPublishable::Name`] as [`publish`](Self::publish).
    pub fn left_over(&mut self, index: TaskIndex) -> Result<Option<UnitHappening>, NotPublishable> {
        let work_unit_id = WorkUnitId::new(self.graph.task(index).id.as_str())?;
        let unit = &mut self.units[index.as_usize()];
        let stopped = unit.end.take().map(|end| UnitEvent::Stopped(Stopped { attempt_end: *end }));
        Ok(stopped.map(|event| UnitHappening { work_unit_id, attempt_index: unit.attempt, event }))
    }
}

/// An event that cannot be one of this graph's.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "what an event of a unit has to fit: the graph, its type, its caps, its edges"
)]
pub enum WrongUnit {
    /// The graph has no such task (C3.2).
    #[error("the graph has no task `{unit}`")]
    UnknownUnit {
        /// As told.
        unit: String,
    },
    /// A unit of one pool does what only the other can: a model in a deterministic task, say (C11.2).
    #[error("`{event}` cannot be of `{unit}`, which runs on `{pool}`")]
    OtherPool {
        /// The unit.
        unit: String,
        /// The event's name.
        event: &'static str,
        /// Where it runs.
        pool: WorkUnitKind,
    },
    /// Tokens of a unit that asks no model (C11.2).
    #[error("`{event}` says that an attempt of `{unit}` spent tokens, and it runs on `cpu`")]
    TokensWithoutModel {
        /// The unit.
        unit: String,
        /// The event's name.
        event: &'static str,
    },
    /// An attempt beyond the retries that the task declares (C7.3).
    #[error("attempt {attempt} of `{unit}` is beyond its {retries} retries")]
    AttemptBeyondCap {
        /// The unit.
        unit: String,
        /// As told.
        attempt: u32,
        /// As declared.
        retries: u32,
    },
    /// A retry without an attempt before it.
    #[error("`{unit}` is said to be tried again, and was not tried before")]
    NothingToRetry {
        /// The unit.
        unit: String,
    },
    /// A failure that is another unit's.
    #[error("`{unit}` is said to fail with a failure of `{other}`")]
    OtherFailure {
        /// The unit.
        unit: String,
        /// Whose failure it is.
        other: String,
    },
    /// An edge that KORA did not declare (C1.4, C5.5).
    #[error("`{from}` has no escalation edge to `{to}`")]
    UndeclaredEdge {
        /// Where it is said to start.
        from: String,
        /// Where it is said to lead.
        to: String,
    },
}

/// What an event of a fabric says in run events, in order; nothing of placement, of the session, and of what is not
/// known here. The event fits the graph: that it can be true at this point of the run is for the engine to say.
///
/// # Errors
///
/// [`WrongUnit`] if no run of the graph has such an event.
pub fn run_events(graph: &CheckedGraph, event: &Event) -> Result<Vec<RunEvent>, WrongUnit> {
    match &event.happening {
        Happening::Unit(unit) => of_unit(graph, unit),
        Happening::Session(_) | Happening::Unknown(_) => Ok(Vec::new()),
    }
}

fn of_unit(graph: &CheckedGraph, told: &UnitHappening) -> Result<Vec<RunEvent>, WrongUnit> {
    let unit = told.work_unit_id.as_str();
    let unknown = |unit: &str| WrongUnit::UnknownUnit { unit: unit.to_owned() };
    let task = graph.index_of(unit).ok_or_else(|| unknown(unit))?;
    let declared = graph.task(task);
    let (attempt, retries) = (told.attempt_index, declared.budget.max_retries());
    if attempt > retries {
        return Err(WrongUnit::AttemptBeyondCap { unit: unit.to_owned(), attempt, retries });
    }
    let pool = kind(declared.task_type);
    let only = |needed: WorkUnitKind| {
        let event = told.event.kind().as_str();
        let wrong = || WrongUnit::OtherPool { unit: unit.to_owned(), event, pool };
        (pool == needed).then_some(()).ok_or_else(wrong)
    };
    let ended = |end: &AttemptEnd, attempt| RunEvent::AttemptEnded {
        task,
        attempt,
        elapsed_us: end.elapsed_us,
        tokens_in: end.tokens_in,
        tokens_out: end.tokens_out,
        estimated: end.tokens_estimated,
    };
    // The end of an attempt that has no event of its own: on `cpu`, where no tokens are.
    let ended_on_cpu = |end: &Option<AttemptEnd>, attempt| match end {
        None => Ok(None),
        Some(end) => {
            only(WorkUnitKind::Cpu)?;
            if end.tokens_in > 0 || end.tokens_out > 0 {
                let (unit, event) = (unit.to_owned(), told.event.kind().as_str());
                return Err(WrongUnit::TokensWithoutModel { unit, event });
            }
            Ok(Some(ended(end, attempt)))
        }
    };
    let own = |told: &UnitFailure| {
        if told.work_unit_id.as_str() != unit {
            let other = told.work_unit_id.to_string();
            return Err(WrongUnit::OtherFailure { unit: unit.to_owned(), other });
        }
        failure(graph, told).map(Box::new).ok_or_else(|| unknown(unit))
    };
    let (before, then) = match &told.event {
        UnitEvent::Claimed(_) => (None, None),
        UnitEvent::Scheduled(scheduled) => {
            match (scheduled.reason, &scheduled.because, &scheduled.escalated_from) {
                (ScheduleReason::Retry, Some(because), _) => {
                    let nothing = || WrongUnit::NothingToRetry { unit: unit.to_owned() };
                    let last = attempt.checked_sub(1).ok_or_else(nothing)?;
                    let because = own(because)?;
                    (ended_on_cpu(&scheduled.attempt_end, last)?, Some(RunEvent::Retrying { task, because }))
                }
                (ScheduleReason::Escalation, _, Some(from)) => {
                    let source = graph.index_of(from.as_str()).ok_or_else(|| unknown(from.as_str()))?;
                    if !graph.task(source).escalation.iter().any(|edge| edge.to == task) {
                        let (from, to) = (from.to_string(), unit.to_owned());
                        return Err(WrongUnit::UndeclaredEdge { from, to });
                    }
                    (None, Some(RunEvent::Escalated { task: source, to: task }))
                }
                (ScheduleReason::Ready | ScheduleReason::Resumed, _, _)
                | (ScheduleReason::Retry, None, _)
                | (ScheduleReason::Escalation, _, None) => (None, None),
            }
        }
        UnitEvent::Started(_) => match pool {
            WorkUnitKind::Cpu => (None, Some(RunEvent::AttemptStarted { task, attempt })),
            // Its model was not asked yet.
            WorkUnitKind::LlmPod => (None, None),
        },
        UnitEvent::LlmStarted(_) => {
            only(WorkUnitKind::LlmPod)?;
            (None, Some(RunEvent::AttemptStarted { task, attempt }))
        }
        UnitEvent::LlmCompleted(end) | UnitEvent::LlmFailed(end) => {
            only(WorkUnitKind::LlmPod)?;
            (None, Some(ended(end, attempt)))
        }
        UnitEvent::Validated(validated) => {
            let passed = validated.validation_status == Validation::Pass;
            (ended_on_cpu(&validated.attempt_end, attempt)?, Some(RunEvent::Validated { task, passed }))
        }
        UnitEvent::Completed(completed) => {
            let then = match completed.skip_reason {
                None => RunEvent::Completed { task },
                Some(skip) => RunEvent::Skipped { task, reason: skip_reason(skip) },
            };
            (None, Some(then))
        }
        UnitEvent::Stopped(stopped) => {
            let end = Some(stopped.attempt_end.clone());
            (ended_on_cpu(&end, attempt)?, None)
        }
        UnitEvent::Failed(failed) => {
            let failure = own(&failed.failure)?;
            (ended_on_cpu(&failed.attempt_end, attempt)?, Some(RunEvent::Failed { task, failure }))
        }
    };
    Ok(before.into_iter().chain(then).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WireLimits;
    use crate::testing::graph;

    fn told(
        unit: &str,
        attempt: u32,
        name: &str,
        payload: serde_json::Value,
    ) -> Result<Vec<RunEvent>, String> {
        let document = serde_json::json!({
            "event_id": "e", "type": name, "contract_version": "1.0.0", "timestamp": "2026-03-09T07:41:00Z",
            "execution_session_id": "s", "graph_id": "support-reply", "sequence": 2,
            "work_unit_id": unit, "attempt_index": attempt, "payload": payload,
        });
        let event = Event::read(document.to_string().as_bytes(), &WireLimits::default());
        run_events(&graph(), &event.map_err(|error| error.to_string())?).map_err(|error| error.to_string())
    }

    // shows C5.4, C5.5, C7.3, C11.2
    #[test]
    fn what_no_run_of_the_graph_has_is_refused() {
        let end = serde_json::json!({"ended": "output", "elapsed_us": 1, "tokens_out": 3});
        let failure =
            |unit: &str| serde_json::json!({"error_type": "TIMEOUT", "work_unit_id": unit, "message": "m"});
        for (unit, attempt, name, payload) in [
            ("nobody", 0, "workunit.claimed", serde_json::json!({})),
            ("message", 2, "workunit.started", serde_json::json!({})),
            ("message", 0, "llm.invocation.started", serde_json::json!({})),
            ("reply", 0, "llm.invocation.completed", end.clone()),
            (
                "message",
                0,
                "workunit.validated",
                serde_json::json!({"validation_status": "pass", "output": 1, "attempt_end": end}),
            ),
            (
                "draft",
                0,
                "workunit.validated",
                serde_json::json!({"validation_status": "pass", "output": 1, "attempt_end": end}),
            ),
            ("draft", 0, "workunit.validated", serde_json::json!({"validation_status": "pass"})),
            ("draft", 0, "workunit.validated", serde_json::json!({"validation_status": "fail", "output": 1})),
            ("draft", 0, "workunit.failed", serde_json::json!({"failure": failure("reply")})),
            (
                "draft",
                0,
                "workunit.scheduled",
                serde_json::json!({"reason": "retry", "because": failure("draft")}),
            ),
            ("draft", 0, "workunit.scheduled", serde_json::json!({"reason": "resumed"})),
            (
                "reply",
                0,
                "workunit.scheduled",
                serde_json::json!({"reason": "escalation", "escalated_from": "draft"}),
            ),
            ("draft", 0, "llm.invocation.failed", end.clone()),
            ("draft", 0, "workunit.completed", serde_json::json!({"status": "skipped"})),
            (
                "draft",
                0,
                "execution.session.stopping",
                serde_json::json!({"reason": "cancelled", "elapsed_ms": 1}),
            ),
        ] {
            insta::with_settings!({description => name, omit_expression => true}, {
                insta::assert_snapshot!(told(unit, attempt, name, payload).unwrap_err());
            });
        }
    }

    #[test]
    fn what_is_newer_than_this_means_nothing_and_keeps_its_place() {
        let told = told("draft", 0, "workunit.teleported", serde_json::json!({"to": "mars"}));
        assert_eq!(told, Ok(Vec::new()));
    }
}
