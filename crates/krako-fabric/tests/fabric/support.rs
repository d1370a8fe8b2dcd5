//! A fabric that a test can take apart, on a clock that it can stop.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use backend_api::{
    BackendMode, ExecutionBackend, ExecutionContext, ExecutionResult, InterfaceVersion, Refusal, RunId,
    TraceId,
};
use backend_local::{Backoff, LocalBackend, LocalConfig};
use kora_ir::{CheckedGraph, Limits};
use krako_contract::{
    Anchoring, ErrorResponse, Event, NodeId, PodModel, Remark, RequestId, SessionId, SessionReport,
    Submission, SubmissionContext, SubmissionOptions, TenantId, Timestamp, WorkUnitKind,
};
use krako_fabric::{
    Claim, EventLog, Execution, LogLimits, MemoryDisk, NodeConfig, NodeDesk, NodeError, Offer, Orchestrator,
    OrchestratorConfig, Sessions, WallClock, WorkOrder,
    worker::{CpuNode, PodNode},
};
use models::{ModelRouter, Script, ScriptedAdapter};
use operations::OperationRegistry;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A time of day that goes with tokio's time.
#[derive(Debug)]
pub(crate) struct TokioClock(Instant);

impl TokioClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Instant::now()))
    }
}

impl WallClock for TokioClock {
    fn unix_us(&self) -> i64 {
        1_700_000_000_000_000 + i64::try_from(self.0.elapsed().as_micros()).unwrap()
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_unix_us(self.unix_us())
    }
}

pub(crate) fn quick() -> Backoff {
    Backoff { initial: Duration::from_millis(1), max: Duration::from_millis(5) }
}

pub(crate) fn config() -> OrchestratorConfig {
    OrchestratorConfig { backoff: quick(), ..OrchestratorConfig::default() }
}

/// A graph and the script of its model.
#[derive(Clone, Debug)]
pub(crate) struct Fixture {
    pub(crate) name: String,
    pub(crate) graph: CheckedGraph,
    pub(crate) script: Option<Script>,
}

fn golden_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden")
}

/// Every golden graph, with leave for its models to be anywhere.
pub(crate) fn golden() -> Vec<Fixture> {
    let mut fixtures = golden_as_written();
    for fixture in &mut fixtures {
        let text = fixture.graph.source().replace("\"local_only\"", "\"allow_remote\"");
        fixture.graph = CheckedGraph::parse(&text, &Limits::default()).unwrap();
    }
    fixtures
}

/// Every golden graph, in the order of their names.
pub(crate) fn golden_as_written() -> Vec<Fixture> {
    let files = std::fs::read_dir(golden_folder()).unwrap();
    let mut names: Vec<String> = files
        .filter_map(|file| file.unwrap().file_name().to_str()?.strip_suffix(".json").map(str::to_owned))
        .filter(|name| !name.contains('.'))
        .collect();
    names.sort();
    names.iter().map(|name| fixture(name)).collect()
}

pub(crate) fn fixture(name: &str) -> Fixture {
    let read = |file: String| std::fs::read_to_string(golden_folder().join(file));
    let graph = CheckedGraph::parse(&read(format!("{name}.json")).unwrap(), &Limits::default()).unwrap();
    let script = read(format!("{name}.script.json")).ok().map(|text| serde_json::from_str(&text).unwrap());
    Fixture { name: name.to_owned(), graph, script }
}

/// A graph written in a test.
pub(crate) fn graph(text: &Value) -> CheckedGraph {
    CheckedGraph::parse(&text.to_string(), &Limits::default()).unwrap()
}

pub(crate) fn router(script: Option<&Script>) -> ModelRouter {
    let adapters = script.map(|script| Arc::new(ScriptedAdapter::new(script.clone())) as _);
    ModelRouter::new(adapters.into_iter().collect()).unwrap()
}

/// The same graph on this machine.
pub(crate) async fn locally(
    graph: &CheckedGraph,
    script: Option<&Script>,
) -> Result<ExecutionResult, Refusal> {
    locally_with(graph, script, OperationRegistry::standard()).await
}

pub(crate) async fn locally_with(
    graph: &CheckedGraph,
    script: Option<&Script>,
    operations: OperationRegistry,
) -> Result<ExecutionResult, Refusal> {
    let backend = LocalBackend::new(LocalConfig {
        max_concurrency: 8,
        operations,
        models: router(script),
        backoff: quick(),
    });
    let context = ExecutionContext {
        run_id: RunId::new("run").unwrap(),
        trace_id: TraceId::new("trace").unwrap(),
        backend_mode: BackendMode::Local,
        user_id: None,
        interface_version: InterfaceVersion::CURRENT,
    };
    backend.execute_taskgraph(graph, &context).await
}

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

pub(crate) fn submission(graph: &CheckedGraph, run: &str) -> Submission {
    submission_with(graph, run, SubmissionOptions::default())
}

pub(crate) fn submission_with(graph: &CheckedGraph, run: &str, options: SubmissionOptions) -> Submission {
    let context = SubmissionContext {
        run_id: RequestId::new(run).unwrap(),
        trace_id: RequestId::new("trace").unwrap(),
        user_id: None,
    };
    Submission::new(graph.clone(), options, Some(context), Anchoring::GraphOrContext).unwrap()
}

/// An orchestrator and its nodes.
#[derive(Debug)]
pub(crate) struct Fabric {
    pub(crate) disk: MemoryDisk,
    pub(crate) orchestrator: Arc<Orchestrator>,
    clock: Arc<TokioClock>,
    config: OrchestratorConfig,
    nodes: Vec<JoinHandle<Result<(), NodeError>>>,
    named: u32,
}

impl Drop for Fabric {
    fn drop(&mut self) {
        self.nodes.iter().for_each(JoinHandle::abort);
    }
}

impl Fabric {
    /// Without nodes.
    pub(crate) async fn new(config: OrchestratorConfig) -> Self {
        let (disk, clock) = (MemoryDisk::default(), TokioClock::new());
        let orchestrator = open(&disk, &clock, config.clone()).await.unwrap();
        Self { disk, orchestrator, clock, config, nodes: Vec::new(), named: 0 }
    }

    /// With one node of each pool.
    pub(crate) async fn with_nodes(config: OrchestratorConfig, script: Option<&Script>) -> Self {
        let mut fabric = Self::new(config).await;
        fabric.cpu(4);
        fabric.pod(script, 4);
        fabric.settle().await;
        fabric
    }

    /// Lets the nodes ask for work.
    pub(crate) async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    pub(crate) fn desk(&self) -> Arc<dyn NodeDesk> {
        Arc::clone(&self.orchestrator) as _
    }

    fn name(&mut self) -> NodeId {
        self.named += 1;
        NodeId::new(&format!("node-{}", self.named)).unwrap()
    }

    /// Adds a node. Its place among those that can be killed.
    pub(crate) fn cpu(&mut self, slots: u32) -> usize {
        let node =
            CpuNode::new(self.name(), self.desk(), OperationRegistry::standard(), slots).with(inline());
        self.nodes.push(tokio::spawn(node.run(std::future::pending())));
        self.nodes.len() - 1
    }

    pub(crate) fn pod(&mut self, script: Option<&Script>, slots: u32) -> usize {
        let node = PodNode::new(self.name(), self.desk(), router(script), slots).with(inline());
        self.nodes.push(tokio::spawn(node.run(std::future::pending())));
        self.nodes.len() - 1
    }

    /// A node dies, without a word.
    pub(crate) fn kill(&mut self, node: usize) {
        self.nodes[node].abort();
    }

    /// The process with everything in it ends, and what it wrote is opened again. Without nodes.
    pub(crate) async fn crash(&mut self, seed: u64) {
        self.nodes.drain(..).for_each(|node| node.abort());
        // Those that hold the old one let go of it before its log is taken over.
        tokio::task::yield_now().await;
        self.disk.crash(seed);
        self.orchestrator = open(&self.disk, &self.clock, self.config.clone()).await.unwrap();
    }

    pub(crate) async fn submit(
        &self,
        of: &str,
        graph: &CheckedGraph,
        run: &str,
    ) -> Result<SessionReport, ErrorResponse> {
        self.orchestrator.submit(&tenant(of), submission(graph, run)).await
    }

    /// The report of a session once it has ended.
    pub(crate) async fn ended(&self, of: &str, session: &SessionId) -> SessionReport {
        ended(&self.orchestrator, of, session).await
    }

    /// Submits and waits for the end.
    pub(crate) async fn run(&self, graph: &CheckedGraph) -> SessionReport {
        let session = self.submit("northwind", graph, "run").await.unwrap().execution_session_id;
        self.ended("northwind", &session).await
    }

    pub(crate) async fn events(&self, of: &str, session: &SessionId) -> Vec<Event> {
        let mut events: Vec<Event> = Vec::new();
        loop {
            let after = events.last().map(|event| event.sequence);
            let page = self.orchestrator.events(&tenant(of), session, after, Duration::ZERO).await.unwrap();
            let none = page.events.is_empty();
            events.extend(page.events);
            if page.ended || none {
                return events;
            }
        }
    }
}

pub(crate) async fn ended(sessions: &Orchestrator, of: &str, session: &SessionId) -> SessionReport {
    for _ in 0..1000 {
        let report = Sessions::report(sessions, &tenant(of), session, Duration::from_secs(60)).await.unwrap();
        if report.status.has_ended() {
            return report;
        }
    }
    panic!("session {session} does not end");
}

pub(crate) async fn open(
    disk: &MemoryDisk,
    clock: &Arc<TokioClock>,
    config: OrchestratorConfig,
) -> Option<Arc<Orchestrator>> {
    let (log, opened) = EventLog::open(disk.attach().ok()?, LogLimits::default(), clock.now()).await.ok()?;
    Some(Orchestrator::open(config, log, opened, Arc::clone(clock) as _).unwrap())
}

/// Operations where nothing depends on threads.
pub(crate) fn inline() -> NodeConfig {
    NodeConfig { execution: Execution::Inline, ..NodeConfig::default() }
}

/// What must be the same wherever it ran.
pub(crate) fn same_meaning(name: &str, report: &SessionReport, local: &ExecutionResult) {
    assert_eq!(
        report.semantic_digest.as_ref().unwrap().to_string(),
        local.execution_metadata.semantic_digest.to_string(),
        "{name}: {report:?}"
    );
    let output = report.final_output.as_ref().map(|output| output.value().clone());
    let expected = local.final_output.as_ref().map(|output| output.value().clone());
    assert_eq!(output, expected.filter(|output| !output.is_null()), "{name}");
}

/// An operation, and a model that is told what came of it.
pub(crate) fn two_tasks() -> CheckedGraph {
    graph(&json!({
        "kora_version": "1.0.0",
        "graph_id": "two-tasks",
        "root": "answer",
        "tasks": [
            {
                "version": "1.0",
                "id": "message",
                "type": "deterministic",
                "dependencies": [],
                "input": {"text": "hello"},
                "run": {"operation": "echo"},
                "schema": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}},
                "budget": {"max_time_ms": 1000, "max_retries": 1}
            },
            {
                "version": "1.0",
                "id": "answer",
                "type": "model",
                "dependencies": ["message"],
                "input": {"text": {"$from": "message", "pointer": "/text"}},
                "run": {"model": "small", "prompt": "Answer: {{/text}}"},
                "schema": {"type": "object", "required": ["answer"], "properties": {"answer": {"type": "string"}}},
                "budget": {"max_tokens": 64, "max_time_ms": 5000, "max_retries": 1}
            }
        ]
    }))
}

/// The one model of [`two_tasks`].
pub(crate) fn answers(delay_ms: u64) -> Script {
    serde_json::from_value(json!({
        "models": [{"id": "stand-in", "tier": "small"}],
        "tasks": {"answer": [{
            "act": {"reply": {"answer": "hi"}}, "tokens_in": 5, "tokens_out": 4, "delay_ms": delay_ms
        }]}
    }))
    .unwrap()
}

pub(crate) fn offer_of_model() -> Offer {
    let model = PodModel {
        model_id: Remark::new("stand-in"),
        tier: Some(Remark::new("small")),
        adapter: Remark::new("scripted"),
        context_tokens: None,
        parameters: None,
    };
    Offer { operations: Vec::new(), models: vec![model] }
}

/// Claims one order, as a node would.
pub(crate) async fn by_hand(
    fabric: &Fabric,
    node: &NodeId,
    pool: WorkUnitKind,
    offer: Offer,
) -> Result<Vec<WorkOrder>, NodeError> {
    let claim = Claim { node_id: node.clone(), pool, offer, slots: 1, works_at: 0, wait_ms: 1000 };
    fabric.orchestrator.claim(claim).await
}
