//! A fabric in small, without clock or nodes: it drives a writer by a script.

use engine::{AttemptOutcome, AttemptReport, Next, RunOutcome, Start, Usage};
use kora_ir::{CheckedGraph, SchemaMismatch, TaskIndex};
use krako_contract::{Event, NodeId, RequestId, SessionId, SessionReport, Stopping, Timestamp, Usd};
use serde_json::json;

use crate::{Prices, Recovered, SessionWriter};

/// What an attempt comes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a script says all of it")]
pub enum Step {
    /// An output, `{"by": <task>, "confidence": 0.9}`.
    Output,
    /// The same with a confidence of 0.2.
    Unsure,
    /// An output that the schema refuses.
    Mismatch,
    /// A failure, transient or not.
    Failed(bool),
    /// Its time is over.
    TimedOut,
    /// Its tokens are over; of an operation, its time.
    TokensExhausted,
    /// An output that costs more than it may.
    Overspent,
    /// An output that the schema refuses and that costs more than it may.
    OverspentMismatch,
}

/// What happens in a session. What an attempt comes to depends on the task and the attempt alone, so that a session that
/// is not stopped means the same whoever finishes first, and whoever crashes.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a test says all of it")]
pub struct Script {
    /// What attempts come to, by task and attempt. Outputs, if there are none.
    pub steps: Vec<Step>,
    /// Who of those under way ends next, or which retry has waited enough.
    pub picks: Vec<u8>,
    /// After how many attempts it is stopped, and why.
    pub stop: Option<(usize, Stopping)>,
    /// Attempts under way at most; 0 is no limit.
    pub room: usize,
}

impl Script {
    fn step(&self, task: TaskIndex, attempt: u32) -> Step {
        let place = task.as_usize() * 3 + usize::try_from(attempt).unwrap_or(0);
        match self.steps.len() {
            0 => Step::Output,
            length => self.steps[place % length],
        }
    }
}

/// A session as it was told.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "what was told, and what was so")]
pub struct Told {
    /// Its events, in order.
    pub events: Vec<Event>,
    /// How many events there were after each batch.
    pub batches: Vec<usize>,
    /// Its report after the end.
    pub report: SessionReport,
    /// What it came to.
    pub outcome: RunOutcome,
}

struct World<'s> {
    writer: SessionWriter,
    script: &'s Script,
    running: Vec<Start>,
    waiting: Vec<TaskIndex>,
    events: Vec<Event>,
    batches: Vec<usize>,
    ends: usize,
    picked: usize,
}

/// Runs `graph` to its end. Its outputs have to admit `{"by": …, "confidence": …}`.
///
/// # Panics
///
/// If the writer refuses anything: that is for the tests to find out.
pub fn play(session: &SessionId, graph: &CheckedGraph, script: &Script) -> Told {
    let writer = SessionWriter::new(session.clone(), graph.clone()).expect("the names are wire names");
    World::new(writer, script, Vec::new()).play()
}

/// Carries a session on that was recovered from `events`.
///
/// # Panics
///
/// As [`play`].
pub fn carry_on(recovered: Recovered, script: &Script, events: Vec<Event>) -> Told {
    let Recovered { writer, under_way, waiting } = recovered;
    let mut world = World::new(writer, script, events);
    for attempt in under_way {
        if attempt.is_wanted {
            world.running.push(attempt.start);
        } else {
            world.cancelled(attempt.start.task, attempt.start.attempt);
        }
    }
    world.waiting.extend(waiting.iter().map(|waiting| waiting.task));
    world.play()
}

impl<'s> World<'s> {
    fn new(writer: SessionWriter, script: &'s Script, events: Vec<Event>) -> Self {
        let batches = vec![events.len()];
        Self { writer, script, running: vec![], waiting: vec![], events, batches, ends: 0, picked: 0 }
    }

    fn at(&self) -> Timestamp {
        Timestamp::from_unix_us(
            1_773_042_060_000_000 + 50_000 * i64::try_from(self.events.len()).unwrap_or(0),
        )
    }

    fn say(&mut self, batch: Vec<Event>) {
        if !batch.is_empty() {
            self.events.extend(batch);
            self.batches.push(self.events.len());
        }
    }

    fn play(mut self) -> Told {
        if self.writer.began().is_none() {
            let batch = self.writer.begin(&self.at(), None).expect("it has not begun");
            self.say(batch);
        }
        while !self.writer.is_finished() {
            self.turn();
        }
        let graph = self.writer.graph().clone();
        if !self.writer.has_ended() {
            let batch = self.writer.end(&self.at(), 1234).expect("it is finished");
            self.say(batch);
        }
        let request = graph.request_id().unwrap_or("run-1");
        let prices = Prices {
            million_tokens_in: Usd::from_micros(150_000),
            million_tokens_out: Usd::from_micros(600_000),
            thousand_cpu_units: Usd::from_micros(10_000),
        };
        let request = RequestId::new(request).expect("a wire name");
        let outcome = self.writer.outcome().expect("it has ended").clone();
        let report = self.writer.report_document(&request, &prices);
        Told { events: self.events, batches: self.batches, report, outcome }
    }

    fn turn(&mut self) {
        if let Some((after, reason)) = self.script.stop
            && after == self.ends
            && self.writer.stopping().is_none()
        {
            let elapsed_ms = match reason {
                Stopping::LatencyExceeded => 60_000,
                Stopping::Cancelled => 17,
            };
            let batch = self.writer.stop(&self.at(), reason, elapsed_ms).expect("its time is over");
            self.say(batch);
        }
        self.drop_unwanted();
        while self.script.room == 0 || self.running.len() < self.script.room {
            let Some((start, batch)) = self.writer.next_start(&self.at()).expect("it goes on") else { break };
            self.say(batch);
            let node = NodeId::new("node-1").ok();
            let (task, attempt) = (start.task, start.attempt);
            let batch = self.writer.claimed(&self.at(), task, attempt, node).expect("it is under way");
            self.say(batch);
            self.running.push(start);
        }
        let choices = self.running.len() + self.waiting.len();
        if choices == 0 {
            return;
        }
        let pick = usize::from(self.script.picks.get(self.picked).copied().unwrap_or(0)) % choices;
        self.picked += 1;
        if pick < self.running.len() {
            let start = self.running.remove(pick);
            self.ends += 1;
            let report = report(self.writer.graph(), self.script.step(start.task, start.attempt), &start);
            let (next, batch) = self.writer.report(&self.at(), report).expect("it is under way");
            self.say(batch);
            if let Next::Retry { .. } = next {
                self.waiting.push(start.task);
            }
        } else {
            let task = self.waiting.remove(pick - self.running.len());
            let (_, batch) = self.writer.resume(&self.at(), task, 250).expect("it waits");
            self.say(batch);
        }
        self.drop_unwanted();
    }

    fn drop_unwanted(&mut self) {
        for task in self.writer.take_unwanted() {
            let place = self.running.iter().position(|start| start.task == task);
            let start = self.running.remove(place.expect("what is not wanted is under way"));
            self.cancelled(task, start.attempt);
        }
    }

    fn cancelled(&mut self, task: TaskIndex, attempt: u32) {
        let usage = Usage::default();
        let outcome = AttemptOutcome::Cancelled;
        let report = AttemptReport { task, attempt, elapsed_us: 700, usage, outcome };
        let batch = self.writer.report(&self.at(), report).expect("it is under way").1;
        self.say(batch);
    }
}

fn report(graph: &CheckedGraph, step: Step, start: &Start) -> AttemptReport {
    let task = graph.task(start.task);
    let is_model = task.task_type.is_model();
    let output = |confidence: f64| {
        let output = task.schema.admit(json!({"by": task.id, "confidence": confidence}));
        AttemptOutcome::Output(output.expect("the world's schema"))
    };
    let faults = vec![String::from("`/by` is required")];
    let mismatch = AttemptOutcome::SchemaMismatch(SchemaMismatch { faults });
    let outcome = match step {
        Step::Output | Step::Overspent => output(0.9),
        Step::Unsure => output(0.2),
        Step::Mismatch | Step::OverspentMismatch => mismatch,
        Step::Failed(transient) => {
            AttemptOutcome::Failed { message: String::from("the pod went away"), transient }
        }
        Step::TokensExhausted if is_model => AttemptOutcome::TokensExhausted,
        Step::TimedOut | Step::TokensExhausted => AttemptOutcome::TimedOut,
    };
    let overspent = matches!(step, Step::Overspent | Step::OverspentMismatch);
    let attempt = u64::from(start.attempt);
    let tokens_out = match step {
        Step::TokensExhausted => start.tokens_left,
        Step::Overspent | Step::OverspentMismatch => start.tokens_left + 1,
        Step::Output | Step::Unsure | Step::Mismatch | Step::Failed(_) | Step::TimedOut => {
            (5 - attempt.min(4)).min(start.tokens_left)
        }
    };
    let usage = if is_model {
        Usage { tokens_in: 21, tokens_out, estimated: step == Step::Failed(false) }
    } else {
        Usage::default()
    };
    let elapsed_us = if overspent && !is_model { start.time_left_us + 1 } else { 1500 * (attempt + 1) };
    AttemptReport { task: start.task, attempt: start.attempt, elapsed_us, usage, outcome }
}
