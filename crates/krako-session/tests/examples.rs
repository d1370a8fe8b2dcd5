//! The examples of `krako-contract` are of a session that a writer makes, so that nobody has to take their word for it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use engine::{AttemptOutcome, AttemptReport, Next, Usage};
use kora_ir::SchemaMismatch;
use kora_ir::{CheckedGraph, Limits, TaskIndex};
use krako_contract::{
    Event, GraphId, RequestId, SessionId, SessionReport, TenantId, Timestamp, Usd, mapping,
};
use krako_contract::{NodeId, SessionStatus};
use krako_session::{Prices, SessionReader, SessionWriter};
use serde_json::json;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../krako-contract/examples");

#[test]
fn the_examples_are_a_session_of_a_writer() {
    let graph =
        CheckedGraph::parse(include_str!("../../krako-contract/examples/graph.json"), &Limits::default())
            .unwrap();
    let mut fabric = Fabric {
        writer: SessionWriter::new(SessionId::new("ses_1").unwrap(), graph.clone()).unwrap(),
        events: Vec::new(),
        running: None,
    };
    let batch = fabric.writer.begin(&fabric.at(), None).unwrap();
    fabric.events.extend(batch);
    while !fabric.writer.is_finished() {
        fabric.turn();
    }
    let running = fabric.running.clone().unwrap();
    let batch = fabric.writer.end(&fabric.at(), 1234).unwrap();
    fabric.events.extend(batch);
    let text: String = fabric.events.iter().map(|event| event.write() + "\n").collect();
    example("events.jsonl", &text);
    assert_eq!((running.status, running.check()), (SessionStatus::Running, Ok(())));
    example("session-running.json", &pretty(&running));
    let report = fabric.report();
    example("session-success.json", &pretty(&report));
    let mut reader = SessionReader::new(
        SessionId::new("ses_1").unwrap(),
        GraphId::new(graph.graph_id()).unwrap(),
        graph.clone(),
    );
    fabric.events.iter().for_each(|event| drop(reader.take(event).unwrap()));
    assert_eq!(reader.finish(&report).as_ref().ok(), fabric.writer.outcome());

    let request = RequestId::new(graph.request_id().unwrap()).unwrap();
    let tenant = TenantId::new(graph.tenant_id().unwrap()).unwrap();
    let id = SessionId::new("ses_1").unwrap();
    let told = mapping::execution_session(&graph, id, request, tenant).unwrap();
    assert_eq!(mapping::audit(&graph, &told), Ok(()));
    example("execution-session.json", &pretty(&told));
}

struct Fabric {
    writer: SessionWriter,
    events: Vec<Event>,
    /// As its caller saw it while the model was asked for the second time.
    running: Option<SessionReport>,
}

impl Fabric {
    fn at(&self) -> Timestamp {
        let number = self.events.len() + 1;
        Timestamp::new(&format!("2026-03-09T07:41:{:02}.{:03}Z", number / 20 % 60, number % 20 * 50)).unwrap()
    }

    fn report(&self) -> SessionReport {
        let prices = Prices {
            million_tokens_in: Usd::from_micros(150_000),
            million_tokens_out: Usd::from_micros(600_000),
            thousand_cpu_units: Usd::from_micros(1000),
        };
        let request = RequestId::new(self.writer.graph().request_id().unwrap()).unwrap();
        self.writer.report_document(&request, &prices)
    }

    fn turn(&mut self) {
        let Some((start, batch)) = self.writer.next_start(&self.at()).unwrap() else { return };
        self.events.extend(batch);
        let node = NodeId::new("node-1").ok();
        let batch = self.writer.claimed(&self.at(), start.task, start.attempt, node).unwrap();
        self.events.extend(batch);
        if start.attempt == 1 {
            self.running = Some(self.report());
        }
        let report = report(self.writer.graph(), start.task, start.attempt);
        let (next, batch) = self.writer.report(&self.at(), report).unwrap();
        self.events.extend(batch);
        if let Next::Retry { .. } = next {
            let batch = self.writer.resume(&self.at(), start.task, 250_000).unwrap().1;
            self.events.extend(batch);
        }
    }
}

/// The model's first reply breaks its schema; everything else goes well.
fn report(graph: &CheckedGraph, task: TaskIndex, attempt: u32) -> AttemptReport {
    let declared = graph.task(task);
    let answer = "We refund the duplicate today.";
    let question = "Our card was charged twice for order NW-20418.";
    let output = match declared.id.as_str() {
        "message" => json!({"text": question}),
        "reply" => json!({"question": question, "answer": answer}),
        _ => json!({"answer": answer}),
    };
    let is_model = declared.task_type.is_model();
    let outcome = if is_model && attempt == 0 {
        AttemptOutcome::SchemaMismatch(SchemaMismatch { faults: vec![String::from("`/answer` is required")] })
    } else {
        AttemptOutcome::Output(declared.schema.admit(output).unwrap())
    };
    let tokens_out = 20 - 2 * u64::from(attempt);
    let usage = Usage { tokens_in: 21, tokens_out, estimated: false };
    let usage = if is_model { usage } else { Usage::default() };
    AttemptReport { task, attempt, elapsed_us: 41_500, usage, outcome }
}

fn pretty(document: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(document).unwrap() + "\n"
}

/// Holds an example against what it must be; with `BLESS` in the environment, writes it anew.
fn example(name: &str, text: &str) {
    let path = format!("{EXAMPLES}/{name}");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), text, "`{name}` is written anew with BLESS=1");
}
