//! What the engine costs: trivial tasks through `LocalBackend`, beside a bare loop that runs the same operations.
//!
//! `cargo xtask bench engine` prints a table. Both sides validate every output against the same compiled schema; ours
//! besides admits, orders, records telemetry and computes the semantic digest. Every repetition runs one after the
//! other in one process, and the ratio is the median of the ratios of neighbours, because the machine drifts.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run should say so and stop")]

use std::process::Command;
use std::time::{Duration, Instant};

use backend_api::{BackendMode, ExecutionBackend, ExecutionContext, InterfaceVersion, RunId, TraceId};
use backend_local::{LocalBackend, LocalConfig};
use kora_ir::{CheckedGraph, Limits, OutputSchema, ValidatedOutput};
use mimalloc::MiMalloc;
use operations::{
    About, ClosureOperation, Example, Meter, OperationCall, OperationError, OperationRegistry,
    PreparedOperation,
};
use serde_json::{Map, Value, json};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const MODULUS: u64 = 1_000_000_007;

/// Dependencies of each task, in an order in which they can run. The last task is the root.
struct Shape {
    name: String,
    dependencies: Vec<Vec<usize>>,
}

impl Shape {
    fn chain(length: usize) -> Self {
        let dependencies = (0..length).map(|task| task.checked_sub(1).into_iter().collect()).collect();
        Self { name: format!("chain {length}"), dependencies }
    }

    fn fan_out(width: usize) -> Self {
        let mut dependencies = vec![Vec::new()];
        dependencies.extend((0..width).map(|_| vec![0]));
        dependencies.push((1..=width).collect());
        Self { name: format!("fan-out {width}"), dependencies }
    }

    fn layers(depth: usize, width: usize) -> Self {
        let mut dependencies = vec![Vec::new(); width];
        for layer in 1..depth {
            let before = (layer - 1) * width;
            dependencies.extend((0..width).map(|at| {
                let mut three = vec![at, (at + 1) % width, (at + 7) % width];
                three.sort_unstable();
                three.dedup();
                three.into_iter().map(|place| before + place).collect()
            }));
        }
        let last = (depth - 1) * width;
        dependencies.push((last..last + width).collect());
        Self { name: format!("layers {depth} × {width}"), dependencies }
    }

    fn tasks(&self) -> usize {
        self.dependencies.len()
    }

    fn document(&self) -> String {
        let id = |task: usize| format!("task-{task:07}");
        let tasks: Vec<Value> = self
            .dependencies
            .iter()
            .enumerate()
            .map(|(task, dependencies)| {
                let values: Vec<Value> = dependencies
                    .iter()
                    .map(|&from| json!({ "$from": id(from), "pointer": "/value" }))
                    .collect();
                json!({
                    "version": "1.0",
                    "id": id(task),
                    "type": "deterministic",
                    "dependencies": dependencies.iter().map(|&from| id(from)).collect::<Vec<_>>(),
                    "input": { "values": values },
                    "run": { "operation": "sum" },
                    "schema": schema_document(),
                })
            })
            .collect();
        json!({ "kora_version": "1.0.0", "graph_id": "bench", "root": id(self.tasks() - 1), "tasks": tasks })
            .to_string()
    }

    fn check(&self) -> CheckedGraph {
        CheckedGraph::parse(&self.document(), &Limits::default()).unwrap()
    }
}

fn schema_document() -> Value {
    json!({
        "type": "object",
        "properties": { "value": { "type": "integer" } },
        "required": ["value"],
        "additionalProperties": false
    })
}

/// The trivial operation, the same on both sides: one more than the sum of the input's values.
fn registry() -> OperationRegistry {
    let about = About {
        name: String::from("sum"),
        summary: String::from("One more than the sum of `values`."),
        args_schema: json!({ "type": "object" }),
        example: Example { args: json!({}), input: json!({ "values": [1] }), output: json!({ "value": 2 }) },
    };
    let sum = |call: &OperationCall<'_>| {
        let values = call.input.get("values").and_then(Value::as_array);
        let values =
            values.ok_or_else(|| OperationError::invalid_input("/input/values", "an array is needed"))?;
        let sum = values.iter().filter_map(Value::as_u64).fold(1, |sum, value| (sum + value) % MODULUS);
        let mut output = Map::with_capacity(1);
        output.insert(String::from("value"), Value::from(sum));
        Ok(Value::Object(output))
    };
    let mut registry = OperationRegistry::standard();
    registry.register(ClosureOperation::new(about, sum)).unwrap();
    registry
}

/// The floor: one thread, one loop, no engine.
struct Floor<'s> {
    shape: &'s Shape,
    operation: std::sync::Arc<dyn PreparedOperation>,
    registry: OperationRegistry,
    schema: OutputSchema,
    args: Value,
}

impl<'s> Floor<'s> {
    fn new(shape: &'s Shape) -> Self {
        let registry = registry();
        let operation = registry.prepare("sum", &json!({})).unwrap();
        let schema = OutputSchema::compile(schema_document(), &Limits::default()).unwrap();
        Self { shape, operation, registry, schema, args: json!({}) }
    }

    /// Runs all tasks. Inputs are dropped as soon as they were used, unless they are to be kept.
    fn run(&self, keep_inputs: bool) -> (Value, Vec<ValidatedOutput>, Vec<Value>) {
        let mut done: Vec<ValidatedOutput> = Vec::with_capacity(self.shape.tasks());
        let mut inputs = Vec::new();
        for dependencies in &self.shape.dependencies {
            let values = dependencies.iter().map(|&from| done[from].value()["value"].clone()).collect();
            let mut input = Map::with_capacity(1);
            input.insert(String::from("values"), Value::Array(values));
            let input = Value::Object(input);
            let call = OperationCall { args: &self.args, input: &input, attempt: 0 };
            let output = self.operation.run(&call, &mut Meter::new(self.registry.limits())).unwrap();
            done.push(self.schema.admit(output).unwrap());
            if keep_inputs {
                inputs.push(input);
            }
        }
        let last = done.last().unwrap().value().clone();
        (last, done, inputs)
    }
}

struct Ours {
    runtime: tokio::runtime::Runtime,
    backend: LocalBackend,
    context: ExecutionContext,
}

impl Ours {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let backend = LocalBackend::new(LocalConfig { operations: registry(), ..LocalConfig::default() });
        let context = ExecutionContext {
            run_id: RunId::new("bench").unwrap(),
            trace_id: TraceId::new("bench").unwrap(),
            backend_mode: BackendMode::Local,
            user_id: None,
            interface_version: InterfaceVersion::CURRENT,
        };
        Self { runtime, backend, context }
    }

    fn run(&self, graph: &CheckedGraph) -> backend_api::ExecutionResult {
        self.runtime.block_on(self.backend.execute_taskgraph(graph, &self.context)).unwrap()
    }
}

fn time<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let began = Instant::now();
    let result = work();
    (began.elapsed(), result)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[expect(clippy::cast_precision_loss, reason = "task counts are far below 2^53")]
fn nanos_a_task(duration: Duration, tasks: usize) -> f64 {
    duration.as_nanos() as f64 / tasks as f64
}

fn compare(shape: &Shape, repetitions: usize) {
    let graph = shape.check();
    // The digest of a graph is computed once, when it is first asked for.
    let _ = graph.digest();
    let floor = Floor::new(shape);
    let ours = Ours::new();
    let (mut floors, mut runs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for repetition in 0..=repetitions {
        let (floor_time, (expected, done, _)) = time(|| floor.run(false));
        let (run_time, result) = time(|| ours.run(&graph));
        assert_eq!(result.final_output.as_ref().unwrap().value(), &expected, "both sides give the same");
        assert_eq!(result.telemetry_bundle.tasks().len(), shape.tasks());
        drop((done, result));
        // The first round warms up.
        if repetition > 0 {
            let (floor, run) =
                (nanos_a_task(floor_time, shape.tasks()), nanos_a_task(run_time, shape.tasks()));
            floors.push(floor);
            runs.push(run);
            ratios.push(run / floor);
        }
    }
    let (low, high) =
        ratios.iter().fold((f64::MAX, 0_f64), |(low, high), &ratio| (low.min(ratio), high.max(ratio)));
    println!(
        "{:<20} {:>10} {:>12.0} {:>12.0} {:>8.2} {:>14}",
        shape.name,
        shape.tasks(),
        median(floors),
        median(runs),
        median(ratios),
        format!("{low:.2} to {high:.2}"),
    );
}

/// Peak memory of a fresh process that does one thing, in bytes. `None` where the system does not say.
fn peak_bytes(what: &str, tasks: usize) -> Option<u64> {
    let itself = std::env::current_exe().ok()?;
    let output = Command::new(itself).args(["--peak", what, &tasks.to_string()]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// Does one thing and prints this process's peak memory.
fn print_peak(what: &str, tasks: usize) {
    let shape = Shape::layers(tasks.div_ceil(100), 100);
    match what {
        "floor" => drop(std::hint::black_box(Floor::new(&shape).run(true))),
        "graph" => drop(std::hint::black_box(shape_graph(&shape))),
        _ => {
            let graph = shape_graph(&shape);
            drop(std::hint::black_box((Ours::new().run(&graph), graph)));
        }
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    if let Some(kib) = peak {
        let kib: u64 = kib;
        println!("{}", kib * 1024);
    }
}

/// Reads the graph from a file, as the command does, so that making the document does not count.
fn shape_graph(shape: &Shape) -> CheckedGraph {
    let path = std::env::temp_dir().join(format!("kora-bench-{}-{}.json", shape.tasks(), std::process::id()));
    let itself = std::env::current_exe().unwrap();
    let written =
        Command::new(itself).args(["--write", &shape.tasks().to_string()]).arg(&path).status().unwrap();
    assert!(written.success());
    let document = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    CheckedGraph::parse_owned(document, &Limits::default()).unwrap()
}

fn memory(tasks: usize) {
    let Some((floor, graph, run)) =
        (|| Some((peak_bytes("floor", tasks)?, peak_bytes("graph", tasks)?, peak_bytes("run", tasks)?)))()
    else {
        println!("memory: this system does not tell a process's peak");
        return;
    };
    let a_task = |bytes: u64| bytes / tasks as u64;
    println!(
        "memory, layers of {tasks}: floor {} B a task; reading the graph {} B; a run {} B: {} B beyond inputs and outputs",
        a_task(floor),
        a_task(graph),
        a_task(run),
        a_task(run.saturating_sub(floor)),
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["--peak", what, tasks] => print_peak(what, tasks.parse().unwrap()),
        ["--write", tasks, path] => {
            let tasks: usize = tasks.parse().unwrap();
            std::fs::write(path, Shape::layers((tasks - 1) / 100, 100).document()).unwrap();
        }
        ["--chain", length, repetitions] => {
            header();
            compare(&Shape::chain(length.parse().unwrap()), repetitions.parse().unwrap());
        }
        ["--quick"] => {
            header();
            compare(&Shape::chain(10_000), 5);
            compare(&Shape::fan_out(10_000), 5);
            compare(&Shape::layers(100, 100), 5);
        }
        _ => {
            header();
            compare(&Shape::chain(10_000), 31);
            compare(&Shape::fan_out(10_000), 31);
            compare(&Shape::layers(100, 100), 31);
            println!();
            compare(&Shape::layers(10, 100), 101);
            compare(&Shape::layers(1_000, 100), 7);
            compare(&Shape::layers(9_999, 100), 3);
            println!();
            memory(100_000);
        }
    }
}

fn header() {
    println!(
        "{:<20} {:>10} {:>12} {:>12} {:>8} {:>14}",
        "shape", "tasks", "floor ns", "ours ns", "ratio", "from to"
    );
}
