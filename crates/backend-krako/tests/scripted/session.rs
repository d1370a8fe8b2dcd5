//! Sessions as a fabric records them, made by the engine through the session's own writer.

use engine::{AttemptOutcome, AttemptReport, RunOutcome, Usage};
use kora_ir::{CheckedGraph, Limits};
use krako_contract::{
    Event, Region, RequestId, Sequence, SessionId, SessionReport, Stopping, Timestamp, frame,
};
use krako_session::testing::{Story, Told};
use krako_session::{Prices, SessionWriter};
use serde_json::json;

/// Four tasks, one of them a model's, with an edge.
const REPLY: &str = include_str!("../../../krako-contract/examples/graph.json");

/// One task, and no anchor of its own: small enough to be cut at every byte.
const SMALL: &str = r#"{
    "kora_version": "1.0.0", "graph_id": "small", "root": "only",
    "tasks": [{
        "version": "1.0", "id": "only", "type": "deterministic", "dependencies": [], "input": {"text": "a"},
        "run": {"operation": "echo"}, "schema": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}, "budget": {"max_retries": 1}
    }]
}"#;

pub(crate) fn reply() -> CheckedGraph {
    CheckedGraph::parse(REPLY, &Limits::default()).unwrap()
}

pub(crate) fn small() -> CheckedGraph {
    CheckedGraph::parse(SMALL, &Limits::default()).unwrap()
}

/// The small one, with a time of its own.
pub(crate) fn timed() -> CheckedGraph {
    let text = SMALL.replace("\"root\":", "\"budgets\": {\"max_latency_ms\": 20}, \"root\":");
    CheckedGraph::parse(&text, &Limits::default()).unwrap()
}

/// All that a fabric has of one session.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    /// As it was accepted.
    pub(crate) accepted: SessionReport,
    pub(crate) events: Vec<Event>,
    /// As it ended.
    pub(crate) report: SessionReport,
    pub(crate) outcome: RunOutcome,
}

pub(crate) const SESSION: &str = "ses_1";

/// A session in which every attempt brings its output, after `failures` that do not.
pub(crate) fn record(graph: &CheckedGraph, request_id: &str, failures: u32) -> Recorded {
    let request_id = RequestId::new(request_id).unwrap();
    let at = Timestamp::new("2026-03-09T07:41:00Z").unwrap();
    let mut writer = SessionWriter::new(SessionId::new(SESSION).unwrap(), graph.clone()).unwrap();
    let accepted = writer.report_document(&request_id, &Prices::default());
    let mut events = writer.begin(&at, Some(Region::new("eu-west").unwrap())).unwrap();
    let mut left = failures;
    while !writer.is_finished() {
        let Some((start, batch)) = writer.next_start(&at).unwrap() else { break };
        events.extend(batch);
        events.extend(writer.claimed(&at, start.task, start.attempt, None).unwrap());
        let task = graph.task(start.task);
        let failed = left > 0 && task.budget.max_retries() > start.attempt;
        left -= u32::from(failed);
        let outcome = if failed {
            AttemptOutcome::Failed { message: String::from("as the test wants it"), transient: true }
        } else {
            let outputs =
                [json!({"text": "t"}), json!({"answer": "a"}), json!({"question": "q", "answer": "a"})];
            let output = outputs.into_iter().find_map(|output| task.schema.admit(output).ok());
            AttemptOutcome::Output(output.unwrap())
        };
        let usage = if task.task_type.is_model() {
            Usage { tokens_in: 3, tokens_out: 4, estimated: false }
        } else {
            Usage::default()
        };
        let report =
            AttemptReport { task: start.task, attempt: start.attempt, elapsed_us: 5_000, usage, outcome };
        events.extend(writer.report(&at, report).unwrap().1);
        if failed {
            events.extend(writer.resume(&at, start.task, 10).unwrap().1);
        }
    }
    events.extend(writer.end(&at, 12).unwrap());
    let report = writer.report_document(&request_id, &Prices::default());
    let outcome = writer.outcome().unwrap().clone();
    Recorded { accepted, events, report, outcome }
}

/// A session that was cancelled before anything ran.
pub(crate) fn cancelled(graph: &CheckedGraph, request_id: &str) -> Recorded {
    let request_id = RequestId::new(request_id).unwrap();
    let at = Timestamp::new("2026-03-09T07:41:00Z").unwrap();
    let mut writer = SessionWriter::new(SessionId::new(SESSION).unwrap(), graph.clone()).unwrap();
    let accepted = writer.report_document(&request_id, &Prices::default());
    let mut events = writer.begin(&at, None).unwrap();
    events.extend(writer.stop(&at, Stopping::Cancelled, 3).unwrap());
    events.extend(writer.end(&at, 4).unwrap());
    let report = writer.report_document(&request_id, &Prices::default());
    let outcome = writer.outcome().unwrap().clone();
    Recorded { accepted, events, report, outcome }
}

impl Recorded {
    /// A story of the session's own tests, true or not.
    pub(crate) fn told(told: Told) -> Self {
        let graph = Story::graph();
        let writer = SessionWriter::new(Story::session(), graph).unwrap();
        let accepted = writer.report_document(&told.report.request_id, &Prices::default());
        Self { accepted, events: told.events, report: told.report, outcome: told.outcome }
    }

    /// The stream after an event, as a fabric serves it.
    pub(crate) fn stream(&self, after: Option<Sequence>) -> String {
        let after = after.map_or(0, Sequence::number);
        self.events.iter().filter(|event| event.sequence.number() > after).map(frame).collect()
    }
}
