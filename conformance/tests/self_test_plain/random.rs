//! Random graphs: small, with every kind of task, budget, condition and edge, and a model that does anything.

use conformance::model::{Act, ModelFault, Step};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use crate::fixture::{Scene, mark};

/// How many graphs are tried. `PROPTEST_CASES` says otherwise.
pub(crate) fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(400)
}

/// What is drawn for one task.
#[derive(Clone, Debug)]
struct Draw {
    kind: u8,
    dependencies: Vec<Index>,
    tokens: u64,
    ms: u64,
    retries: u32,
    /// Which dependency makes it unnecessary, and whether it does.
    skip: Option<(Index, u8)>,
    /// It stands in for the task before it: on what, and from how many tokens on.
    stands_in: Option<(u8, u64)>,
    /// What an operation outputs: good, broken, from dependencies.
    output: u8,
    steps: Vec<(u8, u64, u64)>,
}

fn draws(size: usize) -> impl Strategy<Value = Vec<Draw>> {
    let draw = (
        (0_u8..5, prop::collection::vec(any::<Index>(), 0..4), 0_u8..8),
        (
            prop_oneof![4 => 4_u64..60, 1 => Just(0)],
            prop_oneof![5 => Just(100_000_u64), 1 => 20_u64..60],
            0_u32..4,
        ),
        prop::option::weighted(0.25, (any::<Index>(), 0_u8..4)),
        prop::option::weighted(0.3, (0_u8..5, 0_u64..80)),
        prop::collection::vec((0_u8..14, 1_u64..30, 0_u64..50), 1..4),
    );
    let draw =
        draw.prop_map(|((kind, dependencies, output), (tokens, ms, retries), skip, stands_in, steps)| Draw {
            kind,
            dependencies,
            tokens,
            ms,
            retries,
            skip,
            stands_in,
            output,
            steps,
        });
    prop::collection::vec(draw, 1..=size)
}

/// Scenes of up to `size` tasks.
pub(crate) fn scenes(size: usize) -> impl Strategy<Value = Scene> {
    let cap = |max: u64| prop::option::weighted(0.35, 0..max);
    (draws(size), (cap(120), cap(10), cap(10)), prop::bool::weighted(0.25), any::<bool>()).prop_map(
        |(draws, (tokens, calls, units), fail_fast, backwards)| {
            let (mut tasks, steps) = tasks(&draws);
            let root =
                tasks.iter().rev().find(|task| !task["id"].as_str().unwrap().starts_with('s')).unwrap();
            let root = root["id"].clone();
            if backwards {
                tasks.reverse();
            }
            let mut graph = json!({
                "kora_version": "1.0.0", "graph_id": "random", "root": root, "tasks": tasks,
                "failure_policy": if fail_fast { "fail_fast" } else { "continue_on_error" },
                "budgets": {},
            });
            for (name, cap) in [("max_tokens", tokens), ("max_llm_calls", calls), ("max_cpu_units", units)] {
                if let Some(cap) = cap {
                    graph["budgets"][name] = json!(cap);
                }
            }
            Scene { name: String::from("random"), graph: graph.to_string(), steps }
        },
    )
}

/// The tasks and what the model answers them. Whoever stands in for another is called `s…` and is nobody's dependency.
fn tasks(draws: &[Draw]) -> (Vec<Value>, std::collections::BTreeMap<String, Vec<Step>>) {
    let mut tasks: Vec<Value> = Vec::new();
    let mut steps = std::collections::BTreeMap::new();
    let mut needed: Vec<String> = Vec::new();
    for (number, draw) in draws.iter().enumerate() {
        let source = draw.stands_in.filter(|_| number > 0).map(|(on, tokens)| (number - 1, on, tokens));
        let id = format!("{}{number}", if source.is_some() { 's' } else { 't' });
        let mut dependencies: Vec<String> = Vec::new();
        for dependency in &draw.dependencies {
            if !needed.is_empty() && !dependencies.contains(dependency.get(&needed)) {
                dependencies.push(dependency.get(&needed).clone());
            }
        }
        if let Some((source, on, min_tokens)) = source {
            let own: Vec<String> = serde_json::from_value(tasks[source]["dependencies"].clone()).unwrap();
            let reads = on == 2 && draw.output % 2 == 0;
            let source_id = tasks[source]["id"].as_str().unwrap().to_owned();
            // What it depends on must not wait for it.
            dependencies = own.into_iter().filter(|from| !from.starts_with('s')).collect();
            dependencies.extend(reads.then_some(source_id));
            let edge = match on {
                1 => json!({"on": "schema_mismatch", "to": id}),
                2 => json!({"on": "confidence_below_threshold", "threshold": 0.5, "to": id}),
                3 => json!({"on": "budget_remaining", "min_tokens": min_tokens, "to": id}),
                _ => json!({"on": "failure", "to": id}),
            };
            tasks[source]["escalation"] = json!([edge]);
        } else {
            needed.push(id.clone());
        }
        let mut task = task(draw, &id, &dependencies);
        if task["type"] == "model" {
            mark(&mut task);
            steps.insert(
                id,
                draw.steps.iter().map(|&(act, tokens, delay)| step(act, tokens, delay)).collect(),
            );
        }
        tasks.push(task);
    }
    (tasks, steps)
}

fn task(draw: &Draw, id: &str, dependencies: &[String]) -> Value {
    let schema = json!({
        "type": "object",
        "required": ["by", "confidence"],
        "properties": {"by": {}, "confidence": {"type": "number"}},
    });
    let model = draw.kind >= 2;
    let seen = match (dependencies.first(), draw.output) {
        (Some(from), 0..=3) => json!({"$from": from, "pointer": "/by"}),
        // Nothing may be there, which is a failure of its own.
        (Some(from), 4) => json!({"$from": from, "pointer": "/more"}),
        _ => json!(id),
    };
    let mut task = json!({
        "version": "1.0", "id": id, "dependencies": dependencies, "input": {"seen": seen}, "schema": schema,
        "budget": {"max_time_ms": draw.ms, "max_retries": draw.retries},
    });
    if model {
        task["type"] = json!("model");
        task["budget"]["max_tokens"] = json!(draw.tokens);
        let named = ["small", "large", "suite-small"][usize::from(draw.kind - 2)];
        task["run"] = json!({"model": named, "prompt": "Of {{/seen}}:"});
    } else {
        task["type"] = json!(if draw.kind == 0 { "deterministic" } else { "aggregation" });
        task["budget"]["max_time_ms"] = json!(100_000);
        let confidence = if draw.output == 5 { json!("none") } else { json!(f64::from(draw.output) / 8.0) };
        let first = dependencies.first().map(|from| json!({"$from": from, "pointer": "/by"}));
        let value = json!({"by": first.unwrap_or(json!(id)), "confidence": confidence});
        task["run"] = match draw.output {
            6 => json!({"operation": "kora.flaky_once", "args": {"task_id": id}}),
            7 => json!({"operation": "pick", "args": {"members": {"by": "/nowhere"}}}),
            _ => json!({"operation": "constant", "args": {"value": value}}),
        };
    }
    if let Some((which, kind)) = &draw.skip
        && model
        && !dependencies.is_empty()
    {
        let from = which.get(dependencies);
        let pointer = if *kind == 1 { "/nothing" } else { "/by" };
        let output = match kind {
            0 => json!({"by": {"$from": from}, "confidence": 1}),
            2 => json!({"by": id}),
            _ => json!({"by": id, "confidence": 0.1}),
        };
        let any_of = json!([
            {"$from": from, "pointer": pointer, "equals": from},
            {"$from": from, "pointer": "/confidence", "equals": 0.125},
        ]);
        task["skip_when"] = json!({"any_of": any_of, "output": output});
    }
    task
}

fn step(act: u8, tokens: u64, delay_ms: u64) -> Step {
    let good = |confidence: f64| Act::Reply(json!({"by": "model", "confidence": confidence}));
    let act = match act {
        0 => good(0.2),
        1 => Act::Reply(json!({"by": "model", "confidence": "high"})),
        2 => Act::Reply(json!({"by": "model", "confidence": 1, "more": 1})),
        3 => Act::Text(String::from("Sure! {\"by\": \"model\", \"confidence\": 1}")),
        4 => Act::Text(String::from("{\"by\": \"a\", \"by\": \"b\", \"confidence\": 1}")),
        5 => Act::Fail(ModelFault::Transient),
        6 => Act::Fail(ModelFault::Final),
        7 => Act::CutOff(String::from("{\"by\": \"mod")),
        8 => Act::Hang,
        9 => Act::Overrun,
        _ => good(0.9),
    };
    // Delays are far from caps, whatever the waits between attempts are: 0, or half a second against 60 ms.
    let delay_ms = if delay_ms < 40 { 0 } else { 500 };
    Step { delay_ms, tokens_out: Some(tokens), tokens_in: tokens, ..Step::new(act) }
}
