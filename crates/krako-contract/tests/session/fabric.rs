//! A fabric in small: it drives the engine by a script, and publishes what comes of it.

use std::collections::VecDeque;

use engine::{AttemptOutcome, AttemptReport, Next, Run, RunOutcome, Usage};
use kora_ir::{CheckedGraph, SchemaMismatch, TaskIndex};
use krako_contract::mapping::{self, Beside, Publisher};
use krako_contract::{
    API_VERSION, Billing, CONTRACT_VERSION, Claimed, Ending, Event, EventId, EventIntake, GraphId, Happening,
    Json, Progress, RequestId, ScheduleReason, Scheduled, Sequence, SessionEnded, SessionEvent, SessionId,
    SessionReport, SessionStarted, SessionStatus, SessionStopping, Sha256Text, StopReason, Stopping,
    Timestamp, UnitEvent, UnitHappening, Usd, WorkUnitId,
};
use serde_json::json;
use telemetry::{Event as RunEvent, TaskStatus};

/// What an attempt comes to.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Output,
    Mismatch,
    Failed(bool),
    TimedOut,
    TokensExhausted,
    Overspent,
}

/// What happens in a session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    pub(crate) steps: Vec<Step>,
    /// Which of those under way ends next.
    pub(crate) picks: Vec<u8>,
    /// After how many ends it is stopped, and whether for its time.
    pub(crate) stop: Option<(usize, bool)>,
}

/// A session as it was.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) events: Vec<Event>,
    pub(crate) run_events: Vec<RunEvent>,
    pub(crate) latency_ms: u64,
    pub(crate) outcome: RunOutcome,
}

impl Told {
    pub(crate) fn intake(&self, graph: &CheckedGraph) -> EventIntake {
        EventIntake::new(SessionId::new("ses_1").unwrap(), GraphId::new(graph.graph_id()).unwrap(), graph)
    }

    /// What a caller who asks after the end is answered.
    pub(crate) fn report(&self, graph: &CheckedGraph) -> SessionReport {
        let count = |status| {
            let tasks = self.outcome.telemetry_bundle.tasks();
            tasks.iter().filter(|record| record.status == status).count() as u64
        };
        SessionReport {
            api_version: API_VERSION.into(),
            contract_version: CONTRACT_VERSION.into(),
            status: SessionStatus::Success,
            execution_session_id: SessionId::new("ses_1").unwrap(),
            graph_id: GraphId::new(graph.graph_id()).unwrap(),
            graph_digest: graph.digest().into(),
            request_id: RequestId::new(graph.request_id().unwrap()).unwrap(),
            progress: Progress {
                total: graph.tasks().len() as u64,
                waiting: 0,
                running: 0,
                completed: count(TaskStatus::Success),
                failed: count(TaskStatus::Failed),
                skipped: count(TaskStatus::Skipped),
            },
            last_sequence: self.events.len() as u64,
            stop_reason: Some(StopReason::Success),
            failure: None,
            final_output: self.outcome.final_output.as_ref().map(|output| Json::new(output.value().clone())),
            telemetry: Some(mapping::session_telemetry(&self.outcome.telemetry_bundle).unwrap()),
            semantic_digest: Some(Sha256Text::new(&self.outcome.semantic_digest.to_string()).unwrap()),
            billing: Some(Billing {
                tokens_in: 21,
                tokens_out: 18,
                estimated_cost_usd: Usd::from_micros(14_133),
            }),
        }
    }
}

struct Fabric {
    run: Run,
    publisher: Publisher,
    events: Vec<Event>,
    run_events: Vec<RunEvent>,
}

/// Runs `graph` to its end.
pub(crate) fn session(graph: &CheckedGraph, script: Script) -> Told {
    let mut fabric = Fabric {
        run: Run::new(graph.clone()).observed(),
        publisher: Publisher::new(graph.clone()),
        events: Vec::new(),
        run_events: Vec::new(),
    };
    let started = SessionStarted { graph_digest: graph.digest().into(), region: None };
    fabric.say(Happening::Session(SessionEvent::Started(started)));
    let mut steps: VecDeque<Step> = script.steps.into();
    let mut picks: VecDeque<u8> = script.picks.into();
    let mut running: Vec<(TaskIndex, u32)> = Vec::new();
    let mut ends = 0;
    let mut latency_ms = 1234;
    fabric.drain(&Beside::default());
    while !fabric.run.is_finished() {
        if script.stop.is_some_and(|(after, _)| after == ends) {
            let (reason, elapsed_ms) = match script.stop {
                Some((_, true)) => (Stopping::LatencyExceeded, 60_000),
                Some((_, false)) | None => (Stopping::Cancelled, 17),
            };
            latency_ms = latency_ms.max(elapsed_ms);
            fabric.say(Happening::Session(SessionEvent::Stopping(SessionStopping { reason, elapsed_ms })));
            match reason {
                Stopping::LatencyExceeded => fabric.run.latency_exceeded(elapsed_ms).unwrap(),
                Stopping::Cancelled => fabric.run.cancel(),
            }
            fabric.drain(&Beside::default());
        }
        for task in fabric.run.take_unwanted() {
            let at = running.iter().position(|(running, _)| *running == task).unwrap();
            let (_, attempt) = running.remove(at);
            fabric.end(task, attempt, &Step::Output, true);
        }
        while let Some(start) = fabric.run.next_start() {
            running.push((start.task, start.attempt));
            fabric.place(start.task, start.attempt);
            fabric.drain(&Beside::default());
        }
        if running.is_empty() {
            break;
        }
        let pick = usize::from(picks.pop_front().unwrap_or(0)) % running.len();
        let (task, attempt) = running.remove(pick);
        ends += 1;
        let step = steps.pop_front().unwrap_or(Step::Output);
        fabric.end(task, attempt, &step, false);
    }
    fabric.run.close().unwrap();
    fabric.drain(&Beside::default());
    let Fabric { run, mut events, run_events, .. } = fabric;
    let outcome = run.finish(latency_ms).unwrap();
    let failure = outcome.failure.as_ref().map(|failure| mapping::unit_failure(failure).unwrap());
    let cancelled =
        matches!(script.stop, Some((after, false)) if after <= ends) && !outcome_is_whole(&outcome);
    let ended = SessionEnded {
        stop_reason: (!cancelled).then(|| mapping::stop_reason(failure.as_ref())),
        failure: failure.clone().filter(|_| !cancelled),
        session_latency_ms: latency_ms,
        semantic_digest: Sha256Text::new(&outcome.semantic_digest.to_string()).unwrap(),
    };
    let happening = match ended.stop_reason {
        Some(StopReason::Success) => SessionEvent::Completed(ended),
        Some(_) | None => SessionEvent::Failed(ended),
    };
    push(&mut events, Happening::Session(happening));
    Told { events, run_events, latency_ms, outcome }
}

/// Whether nothing was left out for want of a caller.
fn outcome_is_whole(outcome: &RunOutcome) -> bool {
    use telemetry::SkipReason::Cancelled;
    outcome.telemetry_bundle.tasks().iter().all(|record| record.skip_reason != Some(Cancelled))
}

fn push(events: &mut Vec<Event>, happening: Happening) {
    let number = events.len() as u64 + 1;
    events.push(Event {
        event_id: EventId::new(&format!("evt_ses_1.{number}")).unwrap(),
        timestamp: Timestamp::new(&format!(
            "2026-03-09T07:41:{:02}.{:03}Z",
            number / 20 % 60,
            number % 20 * 50
        ))
        .unwrap(),
        execution_session_id: SessionId::new("ses_1").unwrap(),
        graph_id: GraphId::new("support-reply").unwrap(),
        sequence: Sequence::new(number).unwrap(),
        happening,
    });
}

impl Fabric {
    fn say(&mut self, happening: Happening) {
        push(&mut self.events, happening);
    }

    fn say_of(&mut self, task: TaskIndex, attempt_index: u32, event: UnitEvent) {
        let work_unit_id = WorkUnitId::new(self.run.graph().task(task).id.as_str()).unwrap();
        self.say(Happening::Unit(UnitHappening { work_unit_id, attempt_index, event }));
    }

    fn place(&mut self, task: TaskIndex, attempt: u32) {
        if attempt == 0 {
            self.say_of(task, 0, scheduled(ScheduleReason::Ready, None));
        }
        self.say_of(task, attempt, UnitEvent::Claimed(Claimed::default()));
    }

    fn drain(&mut self, beside: &Beside<'_>) {
        let run_events: Vec<RunEvent> = self.run.drain_events().collect();
        for event in run_events {
            if let Some(unit) = self.publisher.publish(&event, beside).unwrap() {
                self.say(Happening::Unit(unit));
            }
            self.run_events.push(event);
        }
    }

    fn end(&mut self, task: TaskIndex, attempt: u32, step: &Step, unwanted: bool) {
        let graph = self.run.graph().clone();
        let is_model = graph.task(task).task_type.is_model();
        let answer = json!({"answer": "We refund the duplicate today."});
        let output = match graph.task(task).id.as_str() {
            "message" => json!({"text": "Our card was charged twice for order NW-20418."}),
            "reply" => {
                json!({"question": "Our card was charged twice for order NW-20418.", "answer": answer["answer"]})
            }
            _ => answer,
        };
        let output = graph.task(task).schema.admit(output).unwrap();
        let faults = vec![String::from("`/answer` is required")];
        let (ended, outcome) = match step {
            _ if unwanted => (Ending::Cancelled, AttemptOutcome::Cancelled),
            Step::Output | Step::Overspent => (Ending::Output, AttemptOutcome::Output(output.clone())),
            Step::Mismatch => (
                Ending::SchemaMismatch,
                AttemptOutcome::SchemaMismatch(SchemaMismatch { faults: faults.clone() }),
            ),
            Step::Failed(transient) => (
                Ending::Failed,
                AttemptOutcome::Failed { message: String::from("the pod went away"), transient: *transient },
            ),
            Step::TimedOut => (Ending::TimedOut, AttemptOutcome::TimedOut),
            Step::TokensExhausted if is_model => (Ending::TokensExhausted, AttemptOutcome::TokensExhausted),
            Step::TokensExhausted => (Ending::TimedOut, AttemptOutcome::TimedOut),
        };
        let fair = 20 - 2 * u64::from(attempt);
        let tokens_out = if matches!(step, Step::Overspent) { 1000 } else { fair };
        let usage = Usage { tokens_in: 21, tokens_out, estimated: false };
        let overdue = matches!(step, Step::Overspent) && !is_model;
        let elapsed_us = if overdue { 100_000_000_000 } else { 41_500 };
        let report = AttemptReport {
            task,
            attempt,
            elapsed_us,
            usage: if is_model { usage } else { Usage::default() },
            outcome,
        };
        let next = self.run.report(report).unwrap();
        let message = "the pod went away";
        let transient = matches!(step, Step::Failed(true));
        self.drain(&Beside {
            ended: Some(ended),
            message: Some(message),
            transient,
            output: Some(&output),
            faults: &faults,
        });
        if let Some(unit) = self.publisher.left_over(task).unwrap() {
            self.say(Happening::Unit(unit));
        }
        if let Next::Retry { attempt, .. } = next {
            let waited_us = 250_000;
            self.say_of(task, attempt, scheduled(ScheduleReason::Resumed, Some(waited_us)));
            self.run.resume(task, waited_us).unwrap();
            self.drain(&Beside::default());
        }
    }
}

fn scheduled(reason: ScheduleReason, waited_us: Option<u64>) -> UnitEvent {
    UnitEvent::Scheduled(Scheduled {
        reason,
        because: None,
        attempt_end: None,
        waited_us,
        escalated_from: None,
    })
}
