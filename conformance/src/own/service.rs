//! The backend as documents: requests in, results and refusals out.

use std::sync::Arc;

use async_trait::async_trait;
use backend_api::RefusalDocument;
use backend_server::{Answer, ExecuteRequest, Service};
use kora_ir::CheckedGraph;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::admission::{self, Context};
use super::budget::Caps;
use super::lanes::Lanes;
use super::memory::Memory;
use super::offer::Offer;
use super::record::{self, millis};
use super::run::{Outcome, Run};
use super::turned_away::turned_away;
use super::world::World;
use super::{Behaviour, Defect, Quirk, edits, lies, oddities};
use crate::model::{Asked, ModelClient, ModelEndpoint};
use crate::suite::Suite;

/// A whole backend in a few hundred lines: the suite's second opinion.
#[derive(Clone, Debug)]
pub struct Plain(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    does: Behaviour,
    client: ModelClient,
    offer: Offer,
    memory: Arc<Memory>,
}

impl Plain {
    /// A backend whose model tasks are answered at `endpoint`.
    pub fn new(endpoint: &ModelEndpoint) -> Self {
        Self::that(Behaviour::Plain, endpoint)
    }

    /// The same with a defect or an oddity.
    pub fn that(does: Behaviour, endpoint: &ModelEndpoint) -> Self {
        Self::asking(does, ModelClient::of(endpoint))
    }

    /// The same, whichever way its model is reached.
    pub fn asking(does: Behaviour, client: ModelClient) -> Self {
        Self(Arc::new(Inner { does, client, offer: Offer::of(does), memory: Arc::default() }))
    }
}

impl Inner {
    fn has(&self, defect: Defect) -> bool {
        self.does.has(defect)
    }

    async fn answer(&self, request: ExecuteRequest) -> Answer {
        let mut under_way = UnderWay::enter(&self.memory);
        let answer = self.run(request).await;
        under_way.came_to_an_end = true;
        match answer {
            Ok(result) => Answer::Result(result),
            Err(refusal) => {
                self.memory.look().a_graph_was_refused = true;
                Answer::Refused(self.reworded(refusal))
            }
        }
    }

    async fn run(&self, request: ExecuteRequest) -> Result<Value, RefusalDocument> {
        let ExecuteRequest { taskgraph, execution_context } = request;
        let (text, asked) = (taskgraph.get(), execution_context);
        let refusal = turned_away(self.does, text, &asked, &self.memory.look());
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        self.before_admission(text).await;
        let (context, asked) = match self.does {
            Behaviour::Defective(defect) => {
                let asked = edits::context(defect, asked);
                (admission::context(&asked), asked)
            }
            Behaviour::Plain | Behaviour::Odd(_) => (admission::context(&asked), asked),
        };
        let context = context?;
        self.memory.look().run_ids.insert(context.run_id.clone());
        if let Some(answer) = self.without_running(text, &asked, &context) {
            return Ok(answer);
        }
        let graph = self.graph(text)?;
        let doers = if self.has(Defect::HalfRunsWhatIsBeyond) {
            self.offer.doers_one_by_one(&graph)
        } else {
            self.offer.doers(&graph)?.into_iter().map(Ok).collect()
        };
        let started = Instant::now();
        let world = Arc::new(World {
            does: self.does,
            caps: Caps::of(graph.budgets(), self.does),
            client: self.client.clone(),
            limits: self.offer.operations.limits().clone(),
            memory: Arc::clone(&self.memory),
            graph,
            started,
        });
        self.memory.look().latest = Some(context.clone());
        let run = Run::new(Arc::clone(&world), doers);
        let outcome = match self.lanes() {
            Some(lanes) => run.side_by_side(lanes).await,
            None => run.one_by_one().await,
        };
        let context =
            self.memory.look().latest.clone().filter(|_| self.has(Defect::NamesMixed)).unwrap_or(context);
        let digest = CheckedGraph::parse(text, &kora_ir::Limits::default());
        let digest = digest.as_ref().map_or_else(|_| world.graph.digest(), CheckedGraph::digest).to_string();
        self.told(&world, &context, &outcome, &digest)
    }

    /// What comes before anything is looked at. For all but mutants: nothing.
    async fn before_admission(&self, text: &str) {
        let ask = async |prompt: String| {
            let asked = Asked { model: "suite-small".into(), max_tokens: Some(1), prompt };
            drop(self.client.call(asked).await);
        };
        if self.has(Defect::WarmsUp) {
            ask(String::from("Hello, are you there?")).await;
        }
        if self.has(Defect::CallsBeforeRefusing) {
            let graph: Value = serde_json::from_str(text).unwrap_or_default();
            let tasks = graph["tasks"].as_array().map_or(&[][..], Vec::as_slice);
            if let Some(prompt) = tasks.iter().find_map(|task| task["run"]["prompt"].as_str()) {
                ask(prompt.to_owned()).await;
            }
        }
    }

    /// The graph, or a refusal.
    fn graph(&self, text: &str) -> Result<CheckedGraph, RefusalDocument> {
        match self.does {
            Behaviour::Defective(defect) => {
                admission::graph(edits::graph(defect, text).as_deref().unwrap_or(text))
            }
            Behaviour::Plain | Behaviour::Odd(_) => admission::graph(text),
        }
    }

    /// Answers that some mutants give without running anything.
    fn without_running(&self, text: &str, asked: &Value, context: &Context) -> Option<Value> {
        let graph: Value = serde_json::from_str(text).unwrap_or_default();
        let is_empty = graph["tasks"].as_array().is_none_or(Vec::is_empty);
        let unknown = || !known_graphs().any(|known| known == graph["graph_id"]);
        if is_empty && self.has(Defect::EmptyGraphSucceeds)
            || self.has(Defect::SaysYes)
            || self.has(Defect::MemorisesCases) && unknown()
        {
            return Some(success_of_nothing(asked));
        }
        let known = self.memory.look().results.get(&context.run_id).cloned();
        known.filter(|_| self.has(Defect::ResultsCachedByRunId))
    }

    fn lanes(&self) -> Option<Lanes> {
        let count = match self.does {
            Behaviour::Odd(Quirk::FourLanes) | Behaviour::Defective(Defect::MoreAtOnceThanDeclared) => 4,
            Behaviour::Odd(Quirk::SixtyFourLanes) => 64,
            Behaviour::Odd(Quirk::Backwards) | Behaviour::Defective(Defect::FirstComeFirstServed) => {
                return Some(Lanes { count: 1, backwards: true });
            }
            Behaviour::Plain | Behaviour::Odd(_) | Behaviour::Defective(_) => return None,
        };
        Some(Lanes { count, backwards: false })
    }

    /// The result as this backend tells it.
    fn told(
        &self,
        world: &World,
        context: &Context,
        outcome: &Outcome,
        digest: &str,
    ) -> Result<Value, RefusalDocument> {
        let failed = outcome.failure.is_some();
        self.memory.look().a_run_failed |= failed;
        if failed && self.has(Defect::CrashesOnFailure) {
            #[expect(clippy::panic, reason = "that is its defect")]
            {
                panic!("a task failed, and nobody had thought of that");
            }
        }
        if failed && self.has(Defect::FailuresAreRefusals) {
            return Err(RefusalDocument::new("VALIDATION_ERROR", "the run failed"));
        }
        let mut result = result(world, context, outcome, digest);
        match self.does {
            Behaviour::Plain => {}
            Behaviour::Defective(defect) => lies::tell(defect, &mut result),
            Behaviour::Odd(quirk) => {
                if quirk == Quirk::RecordsByName {
                    note_levels(&world.graph, &mut result);
                }
                oddities::result(quirk, &mut result);
            }
        }
        self.memory.look().results.insert(context.run_id.clone(), result.clone());
        Ok(result)
    }

    fn reworded(&self, refusal: RefusalDocument) -> RefusalDocument {
        if self.has(Defect::MismatchIsValidation) {
            return RefusalDocument { error_type: String::from("VALIDATION_ERROR"), ..refusal };
        }
        if self.does.is(Quirk::RefusesInOneWord) {
            return RefusalDocument::new(refusal.error_type, "No.");
        }
        refusal
    }
}

/// The `ExecutionResult` document.
fn result(world: &World, context: &Context, outcome: &Outcome, digest: &str) -> Value {
    let total = world.started.elapsed();
    let mut result = json!({
        "status": if outcome.failure.is_none() { "success" } else { "failed" },
        "final_output": outcome.final_output,
        "telemetry_bundle": record::bundle(&outcome.records, total),
        "execution_metadata": {
            "run_id": context.run_id,
            "trace_id": context.trace_id,
            "backend": "local",
            "backend_version": VERSION,
            "interface_version": "1.0.0",
            "graph_id": world.graph.graph_id(),
            "graph_digest": digest,
            "duration_ms": millis(total),
        },
    });
    if let Some(failure) = &outcome.failure {
        result["failure"] = failure.document();
    }
    result
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What somebody answers who does nothing.
fn success_of_nothing(context: &Value) -> Value {
    json!({
        "status": "success",
        "final_output": null,
        "telemetry_bundle": {
            "tasks": [],
            "summary": {
                "total_tokens": 0,
                "total_latency_ms": 0,
                "model_invocation_count": 0,
                "deterministic_task_count": 0,
            },
        },
        "execution_metadata": {
            "run_id": context["run_id"],
            "trace_id": context["trace_id"],
            "backend": "local",
            "interface_version": "1.0.0",
        },
    })
}

/// The ids of the graphs of all cases, as their authors wrote them.
fn known_graphs() -> impl Iterator<Item = Value> {
    let suite = Suite::embedded().ok();
    let graphs: Vec<Value> = suite
        .iter()
        .flat_map(Suite::cases)
        .flat_map(|case| case.graphs.values().map(|graph| graph["graph_id"].clone()))
        .collect();
    graphs.into_iter()
}

/// Notes in each record how many tasks are on the longest path above it.
fn note_levels(graph: &CheckedGraph, result: &mut Value) {
    let mut levels: Vec<u64> = Vec::new();
    for task in graph.tasks() {
        let above = task.dependencies.iter().chain(&task.resolves);
        levels.push(above.map(|index| levels[index.as_usize()] + 1).max().unwrap_or(0));
    }
    let records = result.pointer_mut("/telemetry_bundle/tasks").and_then(Value::as_array_mut);
    for (record, level) in records.into_iter().flatten().zip(levels) {
        record["x-level"] = json!(level);
    }
}

/// A run under way: counted, and noted if nobody waits for its end.
struct UnderWay<'a> {
    memory: &'a Memory,
    came_to_an_end: bool,
}

impl<'a> UnderWay<'a> {
    fn enter(memory: &'a Memory) -> Self {
        let mut look = memory.look();
        look.runs += 1;
        look.under_way += 1;
        if look.under_way == 1 {
            look.table.clear();
        }
        drop(look);
        Self { memory, came_to_an_end: false }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut look = self.memory.look();
        look.under_way -= 1;
        look.a_run_was_cancelled |= !self.came_to_an_end;
    }
}

#[async_trait]
impl Service for Plain {
    async fn execute_taskgraph(&self, request: ExecuteRequest) -> Answer {
        let Self(inner) = self;
        if inner.has(Defect::GoesOnAfterCancellation) {
            let inner = Arc::clone(inner);
            let going_on = tokio::spawn(async move { inner.answer(request).await });
            let gone = RefusalDocument::new("INTERNAL_ERROR", "the run is gone");
            return going_on.await.unwrap_or(Answer::Refused(gone));
        }
        let asked = request.execution_context.clone();
        let answer = inner.answer(request).await;
        match answer {
            Answer::Refused(_) if inner.has(Defect::HangsOnRefusal) => std::future::pending().await,
            Answer::Refused(refusal) if inner.has(Defect::RefusalsAreFailures) => {
                let mut result = success_of_nothing(&asked);
                result["status"] = json!("failed");
                result["failure"] = json!({
                    "error_type": "VALIDATION_ERROR", "task_id": "graph", "message": refusal.message,
                });
                Answer::Result(result)
            }
            answer @ (Answer::Result(_) | Answer::Refused(_)) => answer,
        }
    }

    async fn health_check(&self) -> Value {
        let Self(inner) = self;
        let mut health = json!({
            "status": "healthy",
            "capacity_summary": {
                "active_runs": inner.memory.look().under_way,
                "max_concurrency": inner.offer.max_concurrency,
            },
            "backend_version": VERSION,
        });
        match inner.does {
            Behaviour::Defective(Defect::HealthInOwnWords) => health["status"] = json!("ok"),
            Behaviour::Defective(Defect::AlwaysUnavailable) => health["status"] = json!("unavailable"),
            Behaviour::Defective(Defect::HealthIncomplete) => health["backend_version"] = Value::Null,
            Behaviour::Odd(quirk) => oddities::health(quirk, &mut health),
            Behaviour::Plain | Behaviour::Defective(_) => {}
        }
        health
    }

    fn capability_descriptor(&self) -> Value {
        let Self(inner) = self;
        let mut descriptor = inner.offer.descriptor();
        match inner.does {
            Behaviour::Defective(Defect::DescriptorChanges) => {
                let mut memory = inner.memory.look();
                memory.descriptors += 1;
                descriptor["max_concurrency"] = json!(memory.descriptors);
            }
            Behaviour::Defective(Defect::DescriptorIncomplete) => {
                descriptor.as_object_mut().map(|members| members.shift_remove("distributed"));
            }
            Behaviour::Defective(Defect::DescriptorInTexts) => descriptor["max_concurrency"] = json!("1"),
            Behaviour::Defective(Defect::RunsWhatIsNotDeclared) => {
                descriptor["supported_task_types"] = json!(["deterministic", "model"]);
            }
            Behaviour::Defective(Defect::RunsModelsUndeclared) => {
                descriptor["supported_task_types"] = json!(["deterministic", "aggregation"]);
            }
            Behaviour::Odd(quirk) => oddities::descriptor(quirk, &mut descriptor),
            Behaviour::Plain | Behaviour::Defective(_) => {}
        }
        descriptor
    }
}
