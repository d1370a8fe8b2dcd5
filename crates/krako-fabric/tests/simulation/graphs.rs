//! What is run: the golden graphs and generated ones, each with what LocalBackend makes of it.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use backend_api::{
    BackendMode, ExecutionBackend, ExecutionContext, ExecutionResult, InterfaceVersion, RunId, TraceId,
};
use backend_local::{Backoff, LocalBackend, LocalConfig};
use kora_ir::{CheckedGraph, Limits};
use models::{ModelRouter, Script, ScriptedAdapter, Step};
use operations::OperationRegistry;
use serde_json::{Value, json};

use crate::dice::Dice;

/// Graphs that are generated, beside the golden ones.
const GENERATED: u64 = 48;

/// A graph, and what it comes to on one machine.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) graph: CheckedGraph,
    pub(crate) local: ExecutionResult,
}

/// All graphs, and the one script of their models.
#[derive(Debug)]
pub(crate) struct Corpus {
    pub(crate) graphs: Vec<Known>,
    script: Script,
}

impl Corpus {
    /// Made once, since running on threads is nothing that a seed has a part in.
    pub(crate) fn of_this_process() -> &'static Self {
        static MADE: OnceLock<Corpus> = OnceLock::new();
        MADE.get_or_init(Self::make)
    }

    fn make() -> Self {
        let mut script = Script { models: Vec::new(), ..Script::default() };
        let mut written = golden(&mut script);
        for number in 0..GENERATED {
            written.push((format!("generated-{number}"), generated(number, &mut script)));
        }
        let backend = LocalBackend::new(LocalConfig {
            max_concurrency: 8,
            operations: OperationRegistry::standard(),
            models: router(script.clone()),
            backoff: quick(),
        });
        let context = ExecutionContext {
            run_id: RunId::new("local").unwrap(),
            trace_id: TraceId::new("trace").unwrap(),
            backend_mode: BackendMode::Local,
            user_id: None,
            interface_version: InterfaceVersion::CURRENT,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let run = |(name, text): (String, String)| {
            let graph = CheckedGraph::parse(&text, &Limits::default());
            let graph = graph.unwrap_or_else(|invalid| panic!("{name}: {invalid}"));
            let local = runtime.block_on(backend.execute_taskgraph(&graph, &context)).unwrap();
            Known { name, graph, local }
        };
        Self { graphs: written.into_iter().map(run).collect(), script }
    }

    /// The models, each answer of which takes as long as the dice say.
    pub(crate) fn slowed(&self, dice: &mut Dice) -> Script {
        let mut script = self.script.clone();
        for steps in script.tasks.values_mut() {
            for step in steps {
                step.delay_ms = if dice.percent(50) { 0 } else { dice.below(1_500) };
            }
        }
        script
    }
}

pub(crate) fn router(script: Script) -> ModelRouter {
    ModelRouter::new(vec![Arc::new(ScriptedAdapter::new(script))]).unwrap()
}

pub(crate) fn quick() -> Backoff {
    Backoff { initial: Duration::from_millis(20), max: Duration::from_millis(100) }
}

/// Every golden graph, with leave for its models to be anywhere.
fn golden(script: &mut Script) -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden");
    let read = |file: String| std::fs::read_to_string(folder.join(file));
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .filter_map(|file| file.unwrap().file_name().to_str()?.strip_suffix(".json").map(str::to_owned))
        .filter(|name| !name.contains('.'))
        .collect();
    names.sort();
    names
        .into_iter()
        .map(|name| {
            if let Ok(text) = read(format!("{name}.script.json")) {
                let own: Script = serde_json::from_str(&text).unwrap();
                script.models = own.models;
                script.tasks.extend(own.tasks);
            }
            let text = read(format!("{name}.json")).unwrap();
            let text = text.replace("\"local_only\"", "\"allow_remote\"");
            (name, text)
        })
        .collect()
}

/// A graph of numbers: constants, sums, models that count, some of which fail, and a root that adds up what is left.
fn generated(number: u64, script: &mut Script) -> String {
    let mut dice = Dice::new(number.wrapping_mul(0x5851_f42d_4c95_7f2d));
    let count = 2 + dice.below(9);
    let schema = json!({
        "type": "object", "required": ["n"], "properties": {"n": {"type": "integer", "minimum": 0}}
    });
    let id = |task: u64| format!("g{number}-t{task}");
    let mut tasks: Vec<Value> = Vec::new();
    let mut used = vec![false; usize::try_from(count).unwrap()];
    for task in 0..count {
        let mut needs: Vec<u64> = (0..dice.below(3).min(task)).map(|_| dice.below(task)).collect();
        needs.sort_unstable();
        needs.dedup();
        needs.iter().for_each(|&need| used[usize::try_from(need).unwrap()] = true);
        let input: serde_json::Map<String, Value> =
            needs.iter().map(|&need| (format!("d{need}"), json!({"$from": id(need)}))).collect();
        let dependencies: Vec<String> = needs.iter().map(|&need| id(need)).collect();
        let mut written = json!({
            "version": "1.0", "id": id(task), "dependencies": dependencies, "input": input, "schema": schema,
        });
        if dice.percent(40) {
            written["type"] = json!("model");
            written["run"] = json!({"model": dice.of(&["small", "large"]), "prompt": "Count."});
            written["budget"] = json!({"max_tokens": 4000, "max_time_ms": 600_000, "max_retries": 2});
            script.tasks.insert(id(task), answers(&mut dice));
        } else {
            let sum: String = needs.iter().map(|need| format!("input.d{need}.n + ")).collect();
            let expression = match dice.below(12) {
                0 => format!("{{'n': {sum}1 / 0}}"),
                1 => format!("{{'n': {sum}-100000}}"),
                _ => format!("{{'n': {sum}{task}}}"),
            };
            written["type"] = json!("deterministic");
            written["run"] = json!({"operation": "cel", "args": {"expression": expression}});
        }
        let is_model = written["type"] == "model";
        if let Some(need) = needs.first().filter(|_| is_model && dice.percent(40)) {
            let equals = dice.below(6);
            written["skip_when"] = json!({
                "any_of": [{"$from": id(*need), "pointer": "/n", "equals": equals}], "output": {"n": 7}
            });
        }
        tasks.push(written);
    }
    let ends: Vec<u64> = (0..count).filter(|&task| !used[usize::try_from(task).unwrap()]).collect();
    let input: serde_json::Map<String, Value> =
        ends.iter().map(|&end| (format!("d{end}"), json!({"$from": id(end)}))).collect();
    let sum: Vec<String> = ends.iter().map(|end| format!("input.d{end}.n")).collect();
    tasks.push(json!({
        "version": "1.0", "id": format!("g{number}-root"), "type": "aggregation",
        "dependencies": ends.iter().map(|&end| id(end)).collect::<Vec<_>>(), "input": input,
        "run": {"operation": "cel", "args": {"expression": format!("{{'n': {}}}", sum.join(" + "))}},
        "schema": schema,
    }));
    let graph = json!({
        "kora_version": "1.0.0", "graph_id": format!("generated-{number}"), "root": format!("g{number}-root"),
        "tasks": tasks,
    });
    graph.to_string()
}

fn answers(dice: &mut Dice) -> Vec<Step> {
    let step = |act: Value| json!({"act": act, "tokens_in": 20, "tokens_out": 8});
    let reply = step(json!({"reply": {"n": dice.below(6)}}));
    let steps = match dice.below(8) {
        0 => vec![step(json!({"error": {"kind": "server_error"}})), reply],
        1 => vec![step(json!({"text": "no JSON"})), reply],
        2 => vec![
            step(json!({"error": {"kind": "rate_limited", "retry_after_ms": 40}})),
            step(json!({"reply": {"n": -1}})),
            reply,
        ],
        3 => vec![step(json!({"error": {"kind": "rejected"}}))],
        _ => vec![reply],
    };
    serde_json::from_value(Value::Array(steps)).unwrap()
}
