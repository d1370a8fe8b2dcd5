//! A session written and read: the same run at both ends.

use engine::{AttemptOutcome, AttemptReport, Usage};
use kora_ir::{CheckedGraph, Limits};
use krako_contract::{GraphId, RequestId, SessionId, Timestamp};
use krako_session::{Prices, SessionReader, SessionWriter};
use serde_json::json;

const GRAPH: &str = include_str!("../../krako-contract/examples/graph.json");

#[test]
fn a_session_that_goes_well_is_read_as_it_was_written() {
    let graph = CheckedGraph::parse(GRAPH, &Limits::default()).unwrap();
    let session = SessionId::new("ses_1").unwrap();
    let at = Timestamp::new("2026-03-09T07:41:00Z").unwrap();
    let mut writer = SessionWriter::new(session.clone(), graph.clone()).unwrap();
    let mut events = writer.begin(&at, None).unwrap();
    while !writer.is_finished() {
        let (start, batch) = writer.next_start(&at).unwrap().unwrap();
        events.extend(batch);
        events.extend(writer.claimed(&at, start.task, start.attempt, None).unwrap());
        let task = graph.task(start.task);
        let output = match task.id.as_str() {
            "message" => json!({"text": "t"}),
            "draft" => json!({"answer": "a"}),
            _ => json!({"question": "q", "answer": "a"}),
        };
        let report = AttemptReport {
            task: start.task,
            attempt: start.attempt,
            elapsed_us: 5,
            usage: if task.task_type.is_model() {
                Usage { tokens_in: 3, tokens_out: 4, estimated: false }
            } else {
                Usage::default()
            },
            outcome: AttemptOutcome::Output(task.schema.admit(output).unwrap()),
        };
        events.extend(writer.report(&at, report).unwrap().1);
    }
    events.extend(writer.end(&at, 12).unwrap());
    let mut reader = SessionReader::new(session, GraphId::new(graph.graph_id()).unwrap(), graph);
    for event in &events {
        reader.take(event).unwrap();
    }
    let report = writer.report_document(&RequestId::new("r").unwrap(), &Prices::default());
    let outcome = reader.finish(&report).unwrap();
    assert_eq!(Some(&outcome), writer.outcome());
}
