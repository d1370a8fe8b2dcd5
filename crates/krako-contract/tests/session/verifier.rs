//! What a caller who trusts nothing does with a session's events: it makes facts of them, for an engine of its own.

use std::collections::BTreeMap;

use engine::{AttemptOutcome, AttemptReport, Fact, Run, RunOutcome, Usage};
use kora_ir::{CheckedGraph, Limits, SchemaMismatch, TaskIndex};
use krako_contract::{
    AttemptEnd, Cap, Completed, Completion, Ending, Event, Happening, ScheduleReason, SessionEvent, Stopping,
    UnitEvent, Validation,
};

const GRAPH: &str = include_str!("../../examples/graph.json");

pub(crate) fn graph(fail_fast: bool) -> CheckedGraph {
    let policy = "\"root\": \"reply\", \"failure_policy\": \"fail_fast\",";
    let text = if fail_fast { GRAPH.replace("\"root\": \"reply\",", policy) } else { GRAPH.to_owned() };
    CheckedGraph::parse(&text, &Limits::default()).unwrap()
}

/// Replays a session. An error says what cannot be true.
pub(crate) fn verify(graph: &CheckedGraph, events: &[Event]) -> Result<RunOutcome, String> {
    let mut run = Run::new(graph.clone());
    let mut ends: BTreeMap<TaskIndex, (u32, AttemptEnd)> = BTreeMap::new();
    let mut latency_ms = None;
    for event in events {
        match &event.happening {
            Happening::Session(SessionEvent::Stopping(stopping)) => {
                let fact = match stopping.reason {
                    Stopping::Cancelled => Fact::Cancelled,
                    Stopping::LatencyExceeded => Fact::LatencyExceeded { elapsed_ms: stopping.elapsed_ms },
                };
                run.apply(fact).map_err(|error| error.to_string())?;
            }
            Happening::Session(SessionEvent::Completed(ended) | SessionEvent::Failed(ended)) => {
                latency_ms = Some(ended.session_latency_ms);
            }
            Happening::Session(SessionEvent::Started(_)) | Happening::Unknown(_) => {}
            Happening::Unit(unit) => {
                let task = graph.index_of(unit.work_unit_id.as_str()).ok_or("no such task")?;
                for fact in facts(graph, task, unit.attempt_index, &unit.event, &mut ends)? {
                    run.apply(fact).map_err(|error| error.to_string())?;
                }
            }
        }
    }
    for (task, (attempt, end)) in ends {
        let report = report(task, attempt, &end, AttemptOutcome::Cancelled);
        run.apply(report).map_err(|error| error.to_string())?;
    }
    run.finish(latency_ms.ok_or("no end")?).map_err(|error| error.to_string())
}

fn report(task: TaskIndex, attempt: u32, end: &AttemptEnd, outcome: AttemptOutcome) -> Fact {
    let usage =
        Usage { tokens_in: end.tokens_in, tokens_out: end.tokens_out, estimated: end.tokens_estimated };
    Fact::Attempt(AttemptReport { task, attempt, elapsed_us: end.elapsed_us, usage, outcome })
}

/// An attempt is reported once its outcome is known: at its end, or where its output is told.
fn facts(
    graph: &CheckedGraph,
    task: TaskIndex,
    attempt: u32,
    event: &UnitEvent,
    ends: &mut BTreeMap<TaskIndex, (u32, AttemptEnd)>,
) -> Result<Vec<Fact>, String> {
    let own_end = match event {
        UnitEvent::Scheduled(scheduled) => {
            scheduled.attempt_end.clone().map(|end| (attempt.saturating_sub(1), end))
        }
        UnitEvent::Validated(validated) => validated.attempt_end.clone().map(|end| (attempt, end)),
        UnitEvent::Failed(failed) => failed.attempt_end.clone().map(|end| (attempt, end)),
        UnitEvent::LlmCompleted(end) | UnitEvent::LlmFailed(end) => Some((attempt, end.clone())),
        UnitEvent::Stopped(stopped) => Some((attempt, stopped.attempt_end.clone())),
        UnitEvent::Claimed(_)
        | UnitEvent::Started(_)
        | UnitEvent::LlmStarted(_)
        | UnitEvent::Completed(_) => None,
    };
    if let Some(end) = own_end {
        ends.insert(task, end);
    }
    let is_model = graph.task(task).task_type.is_model();
    Ok(match event {
        UnitEvent::Started(_) if !is_model => vec![Fact::Started { task }],
        UnitEvent::LlmStarted(_) => vec![Fact::Started { task }],
        UnitEvent::Scheduled(scheduled) if scheduled.reason == ScheduleReason::Resumed => {
            vec![Fact::Resumed { task, waited_us: scheduled.waited_us.unwrap_or(0) }]
        }
        UnitEvent::LlmCompleted(_) | UnitEvent::Claimed(_) | UnitEvent::Started(_) => vec![],
        UnitEvent::Validated(validated) => {
            let Some((attempt, end)) = ends.remove(&task) else { return Ok(vec![]) };
            let outcome = match (validated.validation_status, &validated.output) {
                // The only way to an output is through its schema, here as there (I2).
                (Validation::Pass, Some(output)) => {
                    let admitted = graph.task(task).schema.admit(output.value().clone());
                    AttemptOutcome::Output(admitted.map_err(|error| error.to_string())?)
                }
                _ => AttemptOutcome::SchemaMismatch(SchemaMismatch {
                    faults: validated.faults.iter().map(|fault| fault.as_str().to_owned()).collect(),
                }),
            };
            vec![report(task, attempt, &end, outcome)]
        }
        UnitEvent::Scheduled(_)
        | UnitEvent::Completed(_)
        | UnitEvent::Failed(_)
        | UnitEvent::LlmFailed(_)
        | UnitEvent::Stopped(_) => {
            let Some((attempt, end)) = ends.remove(&task) else { return Ok(vec![]) };
            let over = if let UnitEvent::Failed(failed) = event {
                failed.failure.breach.map(|breach| breach.cap)
            } else {
                None
            };
            let outcome = match (end.ended, over) {
                (Ending::TimedOut, _) => AttemptOutcome::TimedOut,
                (Ending::TokensExhausted, _) => AttemptOutcome::TokensExhausted,
                (Ending::Failed, _) => AttemptOutcome::Failed {
                    message: end.message.as_ref().map(|text| text.as_str().to_owned()).unwrap_or_default(),
                    transient: end.transient,
                },
                (Ending::Cancelled, _) => AttemptOutcome::Cancelled,
                // It cost too much to be looked at, so there is nothing to look at.
                (Ending::Output | Ending::SchemaMismatch, Some(Cap::TaskTokens | Cap::GraphTokens)) => {
                    AttemptOutcome::TokensExhausted
                }
                (Ending::Output | Ending::SchemaMismatch, Some(_)) => AttemptOutcome::TimedOut,
                // Of a unit that does not count any more nobody asks what it answered; of any other its schema says.
                (Ending::Output | Ending::SchemaMismatch, None) => {
                    let skipped = matches!(
                        event,
                        UnitEvent::Stopped(_)
                            | UnitEvent::Completed(Completed { status: Completion::Skipped, .. })
                    );
                    if !skipped {
                        return Err(String::from("a reply came, and what its schema says of it did not"));
                    }
                    AttemptOutcome::Cancelled
                }
            };
            vec![report(task, attempt, &end, outcome)]
        }
    })
}
