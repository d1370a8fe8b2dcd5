//! How long reading and checking takes, next to the least that reading could take.
//!
//! The floor is `serde_json` reading the same text into plain structs, payloads as `Value`. Repetitions of both are
//! interleaved, so that a slow moment of the machine slows both, and medians are compared.

use std::hint::black_box;
use std::time::{Duration, Instant};

use kora_ir::{CheckedGraph, Limits};
use serde::Deserialize;
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TASKS: usize = 100_000;
const REPETITIONS: usize = 15;

#[derive(Deserialize)]
#[expect(dead_code, reason = "read to know what reading costs")]
struct Graph {
    kora_version: String,
    graph_id: String,
    root: String,
    defaults: Value,
    tasks: Vec<Task>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "read to know what reading costs")]
struct Task {
    version: String,
    id: String,
    r#type: String,
    dependencies: Vec<String>,
    input: Value,
    run: Value,
    schema: Value,
    #[serde(default)]
    budget: Option<Value>,
    #[serde(default)]
    routing: Option<Value>,
}

/// Layers of 100 tasks, a tenth of them models, each task reading two of the layer before.
fn graph() -> String {
    let tasks: Vec<Value> = (0..TASKS)
        .map(|place| {
            let (layer, lane) = (place / 100, place % 100);
            let upstream: Vec<String> = match layer {
                0 => Vec::new(),
                _ => [lane, (lane + 7) % 100].iter().map(|lane| format!("task-{:06}", (layer - 1) * 100 + lane)).collect(),
            };
            let first = upstream.first().map(|from| json!({"$from": from, "pointer": "/label"}));
            let mut task = json!({
                "version": "1.0",
                "id": format!("task-{place:06}"),
                "type": if lane % 10 == 0 { "model" } else { "deterministic" },
                "dependencies": upstream,
                "input": {"label": format!("item {place}"), "upstream": first, "weight": 0.5},
                "schema": {"type": "object", "required": ["label"], "properties": {"label": {"type": "string"}, "score": {"type": "number"}}},
            });
            if lane % 10 == 0 {
                task["run"] = json!({"model": "small", "prompt": "Label this: {{/label}}", "parameters": {"seed": 7}});
                task["budget"] = json!({"max_tokens": 64, "max_time_ms": 5000, "max_retries": 1});
            } else {
                task["run"] = json!({"operation": "cel", "args": {"expression": "{'label': input.label}"}});
            }
            task
        })
        .collect();
    let budget = json!({"max_tokens": 64, "max_time_ms": 5000, "max_retries": 1});
    json!({"kora_version": "1.0.0", "graph_id": "bench", "root": format!("task-{:06}", TASKS - 1),
        "defaults": {"budget": budget}, "tasks": tasks})
    .to_string()
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let made = black_box(work());
    (start.elapsed(), made)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// The schema gate on a small output, the output's own construction taken off.
fn gate(text: &str, limits: &Limits) {
    let Ok(graph) = CheckedGraph::parse(text, limits) else { return };
    let schema = &graph.task(graph.root()).schema;
    let output = json!({"label": "item 99999", "score": 0.25});
    let outputs = || vec![output.clone(); 100_000];
    let (mut admit, mut drop_only) = (Vec::new(), Vec::new());
    for _ in 0..REPETITIONS {
        let made = outputs();
        drop_only.push(timed(|| made.into_iter().for_each(|output| drop(black_box(output)))).0);
        let made = outputs();
        admit.push(timed(|| made.into_iter().for_each(|output| drop(black_box(schema.admit(output))))).0);
    }
    let each = median(admit).saturating_sub(median(drop_only)).as_secs_f64() * 1e9 / 1e5;
    println!("{:<34} {each:>9.0} ns", "admit an output of two fields");
}

fn main() {
    let text = graph();
    let limits = Limits::default();
    let (mut floor, mut parse, mut digest) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..REPETITIONS {
        let (time, read) = timed(|| serde_json::from_str::<Graph>(&text).map(|graph| graph.tasks.len()));
        assert!(read.is_ok_and(|tasks| tasks == TASKS));
        floor.push(time);
        let (time, graph) = timed(|| CheckedGraph::parse(&text, &limits));
        parse.push(time);
        let Ok(graph) = graph else { return eprintln!("the graph of this benchmark is invalid") };
        let (time, _) = timed(|| *graph.digest());
        digest.push(time);
    }
    let (floor, parse, digest) = (median(floor), median(parse), median(digest));
    let row = |name: &str, time: Duration| {
        let ratio = time.as_secs_f64() / floor.as_secs_f64();
        println!("{name:<34} {:>9.1} ms {ratio:>6.2} ×", time.as_secs_f64() * 1e3);
    };
    println!("{TASKS} tasks, {:.1} MB, median of {REPETITIONS}", text.len() as f64 / 1e6);
    row("serde_json into plain structs", floor);
    row("parse and check", parse);
    row("digest, when asked for", digest);
    gate(&text, &limits);
}
