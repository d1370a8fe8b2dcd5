//! Any small graph, any facts about it, true or not: the run ends, and its accounts agree with what it was told.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use engine::{AttemptOutcome, AttemptReport, Fact, Next, Run, RunOutcome, Usage, replay};
use kora_ir::{CheckedGraph, Limits, SchemaMismatch, Task, TaskIndex};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::{Map, Value, json};
use telemetry::{SkipReason, Stage, TaskStatus};

/// Tasks of a graph.
const MAX_TASKS: u8 = 8;
/// Facts that come from the bytes; the rest of the run is driven honestly.
const MAX_FACTS: usize = 120;

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let mut bytes = Unstructured::new(bytes);
    let Ok(document) = document(&mut bytes) else { return Corpus::Reject };
    let Ok(graph) = CheckedGraph::from_value(&document, &Limits::default()) else { return Corpus::Reject };
    let mut driver = Driver::new(graph);
    for _ in 0..MAX_FACTS {
        if bytes.is_empty() || driver.step(&mut bytes).is_err() {
            break;
        }
    }
    driver.finish();
    Corpus::Keep
});

/// A graph that is valid more often than not.
fn document(bytes: &mut Unstructured<'_>) -> Result<Value> {
    let count = bytes.int_in_range(1..=MAX_TASKS)?;
    let mut tasks: Vec<Value> = Vec::new();
    // Tasks that nobody is to be woken for, and so may be depended on.
    let mut plain: Vec<usize> = Vec::new();
    for number in 0..usize::from(count) {
        let id = format!("t{number}");
        let model = bytes.arbitrary()?;
        let mut dependencies: Vec<String> = Vec::new();
        let source = if number > 0 && bytes.ratio(1, 3)? { Some(bytes.choose_index(number)?) } else { None };
        for &candidate in plain.iter().filter(|&&candidate| source.is_none_or(|source| candidate <= source)) {
            if bytes.ratio(1, 3)? {
                dependencies.push(format!("t{candidate}"));
            }
        }
        match source {
            Some(source) => {
                for _ in 0..=u8::from(bytes.ratio(1, 4)?) {
                    let edge = edge(bytes, &id)?;
                    if let Some(edges) = tasks[source]["escalation"].as_array_mut() {
                        edges.push(edge);
                    }
                }
            }
            None => plain.push(number),
        }
        tasks.push(task(bytes, &id, model, &dependencies)?);
    }
    let mut budgets = Map::new();
    for (name, most) in
        [("max_tokens", 30), ("max_llm_calls", 8), ("max_cpu_units", 8), ("max_latency_ms", 50)]
    {
        if bytes.ratio(1, 2)? {
            budgets.insert(name.to_owned(), bytes.int_in_range(0_u64..=most)?.into());
        }
    }
    let policy = if bytes.ratio(1, 3)? { "fail_fast" } else { "continue_on_error" };
    let root = format!("t{}", bytes.choose(&plain)?);
    Ok(json!({
        "kora_version": "1.0.0", "graph_id": "g", "root": root, "tasks": tasks, "budgets": budgets,
        "failure_policy": policy,
    }))
}

fn task(bytes: &mut Unstructured<'_>, id: &str, model: bool, dependencies: &[String]) -> Result<Value> {
    let mut input = Map::from_iter([(String::from("text"), json!("x"))]);
    for dependency in dependencies {
        // Some point to what may not be there: the outputs of this world have `sure` now and then only.
        let pointer = bytes.choose(&["", "", "/by", "/sure"])?;
        input.insert(dependency.clone(), json!({ "$from": dependency, "pointer": pointer }));
    }
    let mut budget = Map::new();
    budget.insert("max_time_ms".into(), bytes.int_in_range(0..=6)?.into());
    budget.insert("max_retries".into(), bytes.int_in_range(0..=3)?.into());
    let (task_type, run) = if model {
        budget.insert("max_tokens".into(), bytes.int_in_range(0..=9)?.into());
        let prompt = bytes.choose(&["{{/text}}", "{{}}", "{{/absent}}"])?;
        ("model", json!({ "model": "m", "prompt": prompt }))
    } else if !dependencies.is_empty() && bytes.arbitrary()? {
        ("aggregation", json!({ "operation": "o" }))
    } else {
        ("deterministic", json!({ "operation": "o" }))
    };
    let mut task = json!({
        "version": "1.0", "id": id, "type": task_type, "dependencies": dependencies, "input": input, "run": run,
        "budget": budget, "escalation": [],
        "routing": { "priority": if bytes.ratio(1, 4)? { "high" } else { "normal" } },
        // Compiling schemas would take most of the time, and is not what this is about.
        "schema": true,
    });
    if model && !dependencies.is_empty() && bytes.ratio(1, 3)? {
        let from = bytes.choose(dependencies)?;
        // One may refer to what is not there, and one is refused by its schema.
        let outputs = [json!({ "by": 9 }), json!({ "by": { "$from": from, "pointer": "/sure" } })];
        task["skip_when"] = json!({
            "any_of": [{ "$from": from, "pointer": "/by", "equals": bytes.int_in_range(0..=1)? }],
            "output": bytes.choose(&outputs)?,
            "schema": bytes.ratio(3, 4)?,
        });
    }
    Ok(task)
}

fn edge(bytes: &mut Unstructured<'_>, to: &str) -> Result<Value> {
    Ok(match bytes.int_in_range(0..=3)? {
        0 => json!({ "on": "failure", "to": to }),
        1 => json!({ "on": "schema_mismatch", "to": to }),
        2 => json!({ "on": "confidence_below_threshold", "pointer": "/sure", "threshold": 0.5, "to": to }),
        _ => json!({ "on": "budget_remaining", "min_tokens": bytes.int_in_range(0..=20)?, "to": to }),
    })
}

/// Indices of no task: those of a graph that is larger than any here.
static STRANGERS: LazyLock<Vec<TaskIndex>> = LazyLock::new(|| {
    let task = |number| {
        json!({ "version": "1.0", "id": format!("t{number}"), "type": "deterministic", "dependencies": [],
            "input": {}, "run": { "operation": "o" }, "schema": true })
    };
    let tasks: Vec<Value> = (0..MAX_TASKS + 2).map(task).collect();
    let document = json!({ "kora_version": "1.0.0", "graph_id": "g", "root": "t0", "tasks": tasks });
    let graph = CheckedGraph::from_value(&document, &Limits::default()).expect("it is valid");
    graph.iter().map(|(index, _)| index).collect()
});

/// What a task has done as far as its driver knows.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    starts: u32,
    /// Tokens that the attempt under way may use, where the engine said so.
    tokens_left: u64,
    tokens_in: u64,
    tokens_out: u64,
}

#[derive(Debug)]
struct Driver {
    graph: CheckedGraph,
    run: Run,
    seen: Vec<Seen>,
    running: Vec<TaskIndex>,
    waiting: Vec<TaskIndex>,
    facts: Vec<Fact>,
    /// No attempt spent more than it was allowed.
    kept_to_caps: bool,
}

impl Driver {
    fn new(graph: CheckedGraph) -> Self {
        let seen = vec![Seen::default(); graph.tasks().len()];
        let run = Run::new(graph.clone()).observed();
        let (running, waiting, facts) = (vec![], vec![], vec![]);
        Self { graph, run, seen, running, waiting, facts, kept_to_caps: true }
    }

    /// Tells one fact, which may be a lie: a lie is refused and changes nothing.
    fn step(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        match bytes.int_in_range(0_u8..=11)? {
            0..=2 => self.start_next(),
            3..=6 if !self.running.is_empty() => {
                let task = self.running.swap_remove(bytes.choose_index(self.running.len())?);
                let report = self.any_report(bytes, task)?;
                self.report(report);
            }
            7 | 8 if !self.waiting.is_empty() => {
                let task = self.waiting.swap_remove(bytes.choose_index(self.waiting.len())?);
                self.resume(task, bytes.int_in_range(0..=8_000)?);
            }
            9 => {
                let index = *bytes.choose(&STRANGERS)?;
                self.start_out_of_turn(index);
            }
            10 => self.lie(bytes)?,
            11 if bytes.ratio(1, 12)? => self.stop(bytes)?,
            _ => drop(self.run.take_unwanted()),
        }
        assert_eq!(self.run.running(), self.running.len());
        Ok(())
    }

    fn start_next(&mut self) {
        self.run.drain_events().for_each(drop);
        let start = self.run.next_start();
        if let Some(start) = start {
            assert_eq!(start.attempt, self.seen[start.task.as_usize()].starts);
            if self.graph.task(start.task).task_type.is_model() {
                self.assert_no_operation_is_ready_or_running();
                assert!(start.tokens_left > 0, "a model that may say nothing was asked");
            }
            assert!(start.time_left_us > 0 || self.graph.task(start.task).budget.max_time_ms() == 0);
            self.seen[start.task.as_usize()].tokens_left = start.tokens_left;
            self.started(start.task);
        }
    }

    fn start_out_of_turn(&mut self, index: TaskIndex) {
        if self.run.start_task(index).is_ok() {
            if self.graph.task(index).task_type.is_model() {
                self.assert_no_operation_is_ready_or_running();
            }
            // What it may spend was not said, so only nothing is surely within its caps.
            self.seen[index.as_usize()].tokens_left = 0;
            self.started(index);
        }
    }

    /// Deterministic first (C11.2).
    fn assert_no_operation_is_ready_or_running(&self) {
        assert_eq!(self.run.ready_operations(), 0, "a model was started before an operation that was ready");
        let is_operation = |&&index: &&TaskIndex| !self.graph.task(index).task_type.is_model();
        assert_eq!(self.running.iter().find(is_operation), None, "a model was started beside an operation");
    }

    fn started(&mut self, task: TaskIndex) {
        self.seen[task.as_usize()].starts += 1;
        self.running.push(task);
        self.facts.push(Fact::Started { task });
    }

    fn any_report(&self, bytes: &mut Unstructured<'_>, index: TaskIndex) -> Result<AttemptReport> {
        let task = self.graph.task(index);
        let outcome = match bytes.int_in_range(0..=7)? {
            0..=2 => AttemptOutcome::Output(admitted(task, bytes.int_in_range(0..=1)?, bytes.choose(&SURE)?)),
            3 => AttemptOutcome::SchemaMismatch(SchemaMismatch { faults: vec!["made up".into()] }),
            4 => AttemptOutcome::Failed { message: "made up".into(), transient: bytes.arbitrary()? },
            5 => AttemptOutcome::TimedOut,
            6 => AttemptOutcome::TokensExhausted,
            _ => AttemptOutcome::Cancelled,
        };
        let mut any = |small: u64| -> Result<u64> {
            Ok(if bytes.ratio(1, 50)? { u64::MAX } else { bytes.int_in_range(0..=small)? })
        };
        let elapsed_us = any(4_000)?;
        let usage = if task.task_type.is_model() {
            Usage { tokens_in: any(5)?, tokens_out: any(10)?, estimated: false }
        } else {
            Usage::default()
        };
        let attempt = self.seen[index.as_usize()].starts - 1;
        Ok(AttemptReport { task: index, attempt, elapsed_us, usage, outcome })
    }

    fn report(&mut self, report: AttemptReport) {
        let task = report.task;
        let seen = &mut self.seen[task.as_usize()];
        self.kept_to_caps &= report.usage.tokens_out <= seen.tokens_left;
        seen.tokens_in = seen.tokens_in.saturating_add(report.usage.tokens_in);
        seen.tokens_out = seen.tokens_out.saturating_add(report.usage.tokens_out);
        self.facts.push(Fact::Attempt(report.clone()));
        match self.run.report(report).expect("the attempt is under way") {
            Next::Settled => {}
            Next::Retry { attempt, time_left_us } => {
                assert_eq!(attempt, self.seen[task.as_usize()].starts);
                assert!(attempt <= self.graph.task(task).budget.max_retries() && time_left_us > 0);
                self.waiting.push(task);
            }
        }
    }

    fn resume(&mut self, task: TaskIndex, waited_us: u64) {
        self.facts.push(Fact::Resumed { task, waited_us });
        let _ = self.run.resume(task, waited_us).expect("the task waits for a retry");
    }

    /// Says what cannot be true.
    fn lie(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        let index = *bytes.choose(&STRANGERS)?;
        let under_way = self.running.contains(&index);
        let told = if !under_way {
            spent_nothing(index, bytes.int_in_range(0..=3)?, AttemptOutcome::TimedOut)
        } else {
            let mut report = self.any_report(bytes, index)?;
            if self.graph.task(index).task_type.is_model() || bytes.arbitrary()? {
                report.attempt = report.attempt.wrapping_sub(bytes.int_in_range(1..=3)?);
            } else {
                report.usage.tokens_out = 1;
            }
            report
        };
        assert!(self.run.report(told).is_err(), "a lie was believed");
        if !self.waiting.contains(&index) {
            assert!(self.run.resume(index, 1).is_err(), "a task resumed that did not wait");
        }
        Ok(())
    }

    fn stop(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        let fact = if bytes.arbitrary()? {
            Fact::Cancelled
        } else {
            Fact::LatencyExceeded { elapsed_ms: bytes.int_in_range(50..=60)? }
        };
        // A run without a cap on its time cannot have exceeded it.
        if self.run.apply(fact.clone()).is_ok() {
            self.facts.push(fact);
            assert!(self.run.next_start().is_none(), "something starts in a run that was stopped");
        }
        Ok(())
    }

    /// Drives the run to its end as an honest driver would, and holds the outcome against what was seen.
    fn finish(mut self) {
        // Each task starts at most once for each attempt, and each turn below starts, ends or resumes one.
        let attempts = self.graph.tasks().iter().map(|task| 4 + 4 * task.budget.max_retries());
        let mut turns: u32 = attempts.sum::<u32>() + 4;
        while !self.run.is_finished() {
            turns = turns.checked_sub(1).expect("the run goes on for ever");
            loop {
                let before = self.running.len();
                self.start_next();
                if self.running.len() == before {
                    break;
                }
            }
            if let Some(task) = self.running.pop() {
                let attempt = self.seen[task.as_usize()].starts - 1;
                let outcome = AttemptOutcome::Output(admitted(self.graph.task(task), 1, &None));
                self.report(spent_nothing(task, attempt, outcome));
            } else if let Some(task) = self.waiting.pop() {
                self.resume(task, 0);
            } else {
                assert!(self.run.is_finished(), "nothing can happen, and the run is not finished");
            }
        }
        assert!(self.run.next_start().is_none(), "something starts in a run that is finished");
        let outcome = self.run.finish(3).expect("it is finished");
        check(&self.graph, &outcome, &self.seen, self.kept_to_caps);
        let again = replay(self.graph, self.facts, 3);
        assert_eq!(again.as_ref(), Ok(&outcome), "replayed, the same facts mean something else");
    }
}

fn spent_nothing(task: TaskIndex, attempt: u32, outcome: AttemptOutcome) -> AttemptReport {
    AttemptReport { task, attempt, elapsed_us: 0, usage: Usage::default(), outcome }
}

const SURE: [Option<f64>; 3] = [None, Some(0.1), Some(0.9)];

fn admitted(task: &Task, by: u8, sure: &Option<f64>) -> kora_ir::ValidatedOutput {
    let output = match sure {
        Some(sure) => json!({ "by": by, "sure": sure }),
        None => json!({ "by": by }),
    };
    task.schema.admit(output).expect("any output is admitted")
}

/// What holds of every outcome, whatever it means.
fn check(graph: &CheckedGraph, outcome: &RunOutcome, seen: &[Seen], kept_to_caps: bool) {
    let records = outcome.telemetry_bundle.tasks();
    assert_eq!((records.len(), outcome.outputs.len()), (seen.len(), seen.len()));
    let mut starts: BTreeMap<bool, u64> = BTreeMap::new();
    let mut tokens_out = 0_u64;
    let mut total = 0_u64;
    for (((task, record), seen), output) in graph.tasks().iter().zip(records).zip(seen).zip(&outcome.outputs)
    {
        assert_eq!((&record.task_id, record.task_type), (&task.id, task.task_type));
        assert_eq!((record.tokens_in, record.tokens_out), (seen.tokens_in, seen.tokens_out));
        assert_eq!(record.retry_count, seen.starts.saturating_sub(1));
        assert!(record.retry_count <= task.budget.max_retries());
        assert!(!kept_to_caps || record.tokens_out <= task.budget.max_tokens());
        assert_eq!(record.failure.is_some(), record.status == TaskStatus::Failed);
        assert_eq!(record.skip_reason.is_some(), record.status == TaskStatus::Skipped);
        let stands = record.skip_reason == Some(SkipReason::Condition);
        assert_eq!(output.is_some(), record.status == TaskStatus::Success || stands, "{record:?}");
        let ends = |stage: &&Stage| matches!(stage, Stage::TaskCompleted | Stage::TaskFailed);
        assert!(record.stages.iter().filter(ends).count() <= 1, "{record:?}");
        *starts.entry(task.task_type.is_model()).or_default() += u64::from(seen.starts);
        tokens_out = tokens_out.saturating_add(record.tokens_out);
        total = total.saturating_add(record.tokens_in).saturating_add(record.tokens_out);
    }
    let calls = starts.get(&true).copied().unwrap_or(0);
    let units = starts.get(&false).copied().unwrap_or(0);
    let summary = outcome.telemetry_bundle.summary();
    assert_eq!((summary.total_tokens, summary.model_invocation_count), (total, calls));
    let budgets = graph.budgets();
    assert!(budgets.max_llm_calls().is_none_or(|max| calls <= max), "{calls} calls");
    assert!(budgets.max_cpu_units().is_none_or(|max| units <= max), "{units} units");
    assert!(!kept_to_caps || budgets.max_tokens().is_none_or(|max| tokens_out <= max), "{tokens_out} tokens");
    if let Some(failure) = &outcome.failure {
        let record = outcome.telemetry_bundle.task(failure.task_id.as_str()).expect("a task failed");
        assert_eq!(record.failure.as_deref(), Some(failure));
    }
}
