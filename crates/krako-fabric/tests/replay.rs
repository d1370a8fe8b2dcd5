//! A session that was written into a log is worked out again from it, to the byte, wherever the log ends.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use engine::{AttemptOutcome, AttemptReport, Next, Usage};
use kora_ir::Limits;
use krako_contract::{
    Anchoring, SessionId, SessionStatus, Sha256Text, Stopping, Submission, SubmissionOptions, TenantId,
    Timestamp, Usd,
};
use krako_fabric::{
    EventLog, LogLimits, LogReader, MemoryDisk, ReplayError, ReplayOptions, Submitted, replay,
};
use krako_session::{Prices, SessionWriter};
use proptest::prelude::*;
use serde_json::json;

const GRAPH: &str = include_str!("../../krako-contract/examples/graph.json");

fn submission() -> Submission {
    let graph = kora_ir::CheckedGraph::parse(GRAPH, &Limits::default()).unwrap();
    Submission::new(graph, SubmissionOptions::default(), None, Anchoring::default()).unwrap()
}

fn options() -> ReplayOptions {
    let prices = Prices {
        million_tokens_in: Usd::from_micros(3_000_000),
        million_tokens_out: Usd::from_micros(15_000_000),
        thousand_cpu_units: Usd::from_micros(20_000),
    };
    ReplayOptions { prices, ..ReplayOptions::default() }
}

fn at(second: u64) -> Timestamp {
    Timestamp::new(&format!("2026-03-09T07:{:02}:{:02}Z", second / 60, second % 60)).unwrap()
}

fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn submitted() -> Submitted {
    let submission = submission();
    Submitted {
        session: SessionId::new("ses_1").unwrap(),
        tenant: tenant(),
        request_id: submission.anchor().request_id.clone(),
        graph_digest: submission.graph().digest().into(),
        at: at(0),
        text: submission.write(),
    }
}

/// A session that is driven by a script, and everything of it in a log.
struct Live {
    log: EventLog,
    disk: MemoryDisk,
    writer: SessionWriter,
    seconds: u64,
}

impl Live {
    async fn new() -> Self {
        let disk = MemoryDisk::default();
        let limits = LogLimits { segment_bytes: 3000, ..LogLimits::default() };
        let (log, _) = EventLog::open(disk.attach().unwrap(), limits, at(0)).await.unwrap();
        log.append_submission(&submitted()).await.unwrap();
        let graph = submission().graph().clone();
        let writer = SessionWriter::new(submitted().session, graph).unwrap();
        Self { log, disk, writer, seconds: 0 }
    }

    fn now(&mut self) -> Timestamp {
        self.seconds += 1;
        at(self.seconds)
    }

    /// What was said of the session is in the log, and the log says the same as the writer.
    async fn say(&mut self, batch: &[krako_contract::Event]) {
        if !batch.is_empty() {
            self.log.append_events(&submitted().session, batch).await.unwrap();
        }
        let reader = LogReader::open(self.disk.attach_reader()).await.unwrap();
        let replayed = replay(&reader, &submitted().session, &options()).await.unwrap();
        let report = self.writer.report_document(&submitted().request_id, &options().prices);
        assert_eq!(serde_json::to_string(&replayed.report).unwrap(), serde_json::to_string(&report).unwrap());
        assert_eq!(replayed.outcome.as_ref(), self.writer.outcome());
    }

    /// Runs the session to its end; each step is how an attempt ends, and it may be cancelled after some.
    async fn run(&mut self, steps: &[u8], cancel_after: Option<usize>) {
        let now = self.now();
        let begun = self.writer.begin(&now, None).unwrap();
        self.say(&begun).await;
        let mut steps = steps.iter().copied().chain(std::iter::repeat(0));
        let (mut ends, mut under_way) = (0, Vec::new());
        while !self.writer.is_finished() {
            if cancel_after == Some(ends) {
                let now = self.now();
                let stopped = self.writer.stop(&now, Stopping::Cancelled, 5).unwrap();
                self.say(&stopped).await;
            }
            for task in self.writer.take_unwanted() {
                under_way.retain(|start: &engine::Start| start.task != task);
                let attempt = self.writer.open(task).unwrap().attempt;
                self.end(task, attempt, AttemptOutcome::Cancelled).await;
            }
            let now = self.now();
            while let Some((start, batch)) = self.writer.next_start(&now).unwrap() {
                self.say(&batch).await;
                let claimed = self.writer.claimed(&now, start.task, start.attempt, None).unwrap();
                self.say(&claimed).await;
                under_way.push(start);
            }
            let Some(start) = under_way.pop() else { continue };
            let task = self.writer.graph().task(start.task);
            let output = match task.id.as_str() {
                "message" => json!({"text": "t"}),
                "reply" => json!({"question": "q", "answer": "a"}),
                _ => json!({"answer": "a"}),
            };
            let outcome = match steps.next().unwrap() {
                1 => AttemptOutcome::SchemaMismatch(task.schema.admit(json!(17)).unwrap_err()),
                2 => AttemptOutcome::Failed { message: "the node went away".into(), transient: true },
                3 => AttemptOutcome::TimedOut,
                _ => AttemptOutcome::Output(task.schema.admit(output).unwrap()),
            };
            ends += 1;
            let next = self.end(start.task, start.attempt, outcome).await;
            if let Next::Retry { .. } = next {
                let now = self.now();
                let (_, resumed) = self.writer.resume(&now, start.task, 250_000).unwrap();
                self.say(&resumed).await;
            }
        }
        let now = self.now();
        let ended = self.writer.end(&now, self.seconds * 1000).unwrap();
        self.say(&ended).await;
    }

    async fn end(&mut self, task: kora_ir::TaskIndex, attempt: u32, outcome: AttemptOutcome) -> Next {
        let is_model = self.writer.graph().task(task).task_type.is_model();
        let usage = if is_model {
            Usage { tokens_in: 21, tokens_out: 9, estimated: false }
        } else {
            Usage::default()
        };
        let now = self.now();
        let report = AttemptReport { task, attempt, elapsed_us: 41_500, usage, outcome };
        let (next, batch) = self.writer.report(&now, report).unwrap();
        self.say(&batch).await;
        next
    }
}

fn wait<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(test)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    // shows C5.4, S11
    #[test]
    fn every_answer_is_worked_out_again_to_the_byte(
        steps in prop::collection::vec(0_u8..4, 0..8), cancel_after in prop::option::of(0_usize..4),
    ) {
        wait(async {
            let mut live = Live::new().await;
            live.run(&steps, cancel_after).await;
            assert!(live.writer.has_ended());
            live.log.close().await;
            let reader = LogReader::open(live.disk.attach_reader()).await.unwrap();
            let replayed = replay(&reader, &submitted().session, &options()).await.unwrap();
            // The ledger knows no graph, and comes to the same lines.
            live.disk.kill();
            let limits = LogLimits::default();
            let (_log, opened) = EventLog::open(live.disk.attach().unwrap(), limits, at(0)).await.unwrap();
            let mut lines: Vec<_> = opened.ledger.lines(&tenant()).cloned().collect();
            let number = |line: &krako_contract::LineItem| {
                line.event_id.as_str().rsplit('.').next().unwrap().parse::<u64>().unwrap()
            };
            lines.sort_by_key(number);
            assert_eq!(lines, replayed.lines);
            let usage = opened.ledger.usage(&tenant(), &at(9), &options().prices, 9);
            assert_eq!(Some(usage.estimated_cost_usd), replayed.report.billing.map(|billing| billing.estimated_cost_usd));
        });
    }
}

#[tokio::test]
async fn a_session_that_went_well_is_a_success_again() {
    let mut live = Live::new().await;
    live.run(&[], None).await;
    let reader = LogReader::open(live.disk.attach_reader()).await.unwrap();
    let replayed = replay(&reader, &submitted().session, &options()).await.unwrap();
    assert_eq!(replayed.report.status, SessionStatus::Success);
    assert_eq!(replayed.lines.len(), 3);
    assert_eq!(replayed.report.last_sequence, replayed.events);
}

#[tokio::test]
async fn a_record_that_is_not_what_was_accepted_is_told() {
    async fn told(submitted: Submitted, options: ReplayOptions) -> ReplayError {
        let disk = MemoryDisk::default();
        let (log, _) = EventLog::open(disk.attach().unwrap(), LogLimits::default(), at(0)).await.unwrap();
        log.append_submission(&submitted).await.unwrap();
        let reader = LogReader::open(disk.attach_reader()).await.unwrap();
        replay(&reader, &submitted.session, &options).await.unwrap_err()
    }
    let other = Sha256Text::new(&format!("sha256:{}", "0".repeat(64))).unwrap();
    let error = told(Submitted { graph_digest: other, ..submitted() }, options()).await;
    assert!(matches!(error, ReplayError::Digest { .. }), "{error}");
    let error = told(Submitted { text: "{}".into(), ..submitted() }, options()).await;
    assert!(matches!(error, ReplayError::Submission { .. }), "{error}");
    let limits = Limits { max_tasks: 1, ..Limits::default() };
    let error = told(submitted(), ReplayOptions { limits, ..options() }).await;
    assert!(matches!(error, ReplayError::Submission { .. }), "{error}");
}

#[tokio::test]
async fn a_session_that_is_not_there_is_told() {
    let disk = MemoryDisk::default();
    let reader = LogReader::open(disk.attach_reader()).await.unwrap();
    let error = replay(&reader, &SessionId::new("ses_2").unwrap(), &options()).await.unwrap_err();
    assert!(matches!(error, ReplayError::Log(_)), "{error}");
}
