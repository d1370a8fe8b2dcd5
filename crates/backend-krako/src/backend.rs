//! The Krako backend itself.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use backend_api::{
    BackendCapabilities, BackendMode, BackendStatus, CapacitySummary, ExecutionBackend, ExecutionContext,
    ExecutionResult, Extension, HealthStatus, ModelHealth, Refusal, RunObserver, StreamingExecution,
    UnmetCapability,
};
use engine::RunOutcome;
use kora_ir::{CheckedGraph, Privacy};
use krako_contract::{
    GraphId, SessionId, SessionReport, SessionStatus, Submission, SubmissionContext, mapping,
};
use krako_session::SessionReader;
use krako_transport::{Client, Dial, Secret, SecretError, TcpDial, Trust, TrustError};
use telemetry::CloudFields;
use thiserror::Error;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::KrakoConfig;
use crate::backoff::{Backoff, Jitter};
use crate::cancelling::UnderWay;
use crate::fabric::{Fabric, NoAnswer};
use crate::following::Follower;
use crate::outcome::{self, Asked};
use crate::submitting::{Submitted, submit};

/// Runs task graphs on a fabric (C1.2): submits them as they are (C5.5), makes runs of the events again (C5.4), and answers
/// what those come to (C5.3).
///
/// Cheap to clone; clones share connections and bounds.
#[derive(Clone)]
pub struct KrakoBackend {
    inner: Arc<Inner>,
}

struct Inner {
    config: KrakoConfig,
    fabric: Fabric,
    told: RwLock<Told>,
    sessions: Semaphore,
    runs: AtomicU64,
}

/// What the fabric last said that it can run.
struct Told {
    capabilities: BackendCapabilities,
    at: Instant,
}

/// No backend, and why.
#[derive(Debug, Error)]
#[expect(clippy::exhaustive_enums, reason = "what a connection is made of, and its first question")]
pub enum ConnectError {
    /// The token cannot be read.
    #[error("the fabric's token: {0}")]
    Token(#[from] SecretError),
    /// The certificate authorities cannot be used.
    #[error("the fabric's certificate authority: {0}")]
    Trust(#[from] TrustError),
    /// The fabric did not say what it can run.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl fmt::Debug for KrakoBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KrakoBackend")
            .field("client", self.inner.fabric.client())
            .field("limits", &self.inner.config.limits)
            .finish_non_exhaustive()
    }
}

impl KrakoBackend {
    /// Connects to a fabric over TCP and asks what it can run.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] says what is missing or who refused, and how to mend it.
    pub async fn connect(config: KrakoConfig) -> Result<Self, ConnectError> {
        Self::connect_through(config, Arc::new(TcpDial)).await
    }

    /// The same over another network.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_through(config: KrakoConfig, dial: Arc<dyn Dial>) -> Result<Self, ConnectError> {
        let token = config.token.as_ref().map(|source| Secret::read(source, "token")).transpose()?;
        let trust = config.ca_file.clone().map_or(Trust::System, Trust::Pinned);
        let client = Client::new(config.endpoint.clone(), trust, token, dial, config.transport)?;
        let fabric = Fabric::new(client, config.wire.clone());
        let told = read_capabilities(&fabric).await.map_err(|error| error.refusal())?;
        let sessions = Semaphore::new(config.limits.max_sessions.clamp(1, Semaphore::MAX_PERMITS));
        let inner = Inner { config, fabric, told: RwLock::new(told), sessions, runs: AtomicU64::new(0) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// How long ago the fabric said what [`capability_descriptor`](ExecutionBackend::capability_descriptor) answers.
    pub fn capabilities_age(&self) -> Duration {
        self.inner.told.read().unwrap_or_else(PoisonError::into_inner).at.elapsed()
    }

    async fn execute(
        &self,
        graph: &CheckedGraph,
        context: &ExecutionContext,
        observer: Option<Arc<dyn RunObserver>>,
    ) -> Result<ExecutionResult, Refusal> {
        context.interface_version.negotiate()?;
        match context.backend_mode {
            BackendMode::Krako => {}
            asked @ BackendMode::Local => {
                return Err(Refusal::WrongBackend { asked, this: BackendMode::Krako });
            }
        }
        stays_here(graph)?;
        let started = Instant::now();
        let inner = &*self.inner;
        let submission = inner.submission(graph, context)?;
        let _place = inner.place().await?;
        let seed = inner.seed();
        let backoff = Backoff::new(&inner.config.limits, seed);
        let (fabric, limits) = (inner.fabric.clone(), inner.config.limits);
        let graph_id = submission.graph_id().clone();
        let request_id = submission.anchor().request_id.clone();
        let submitted = submit(fabric, Arc::new(submission), limits, backoff.clone()).await;
        let end = match submitted {
            Submitted::Refused(refusal) => return Err(refusal),
            Submitted::Unsure(words) => never_followed(graph, graph_id, words, started, observer.as_ref())?,
            Submitted::Accepted(under_way) => {
                let reader = SessionReader::new(under_way.session().clone(), graph_id, graph.clone());
                let session = under_way.session().clone();
                let follower = Follower::new(
                    inner.fabric.clone(),
                    session,
                    request_id,
                    reader,
                    observer,
                    limits,
                    backoff,
                );
                Box::pin(follow(follower, under_way, started)).await
            }
        };
        let asked = Asked { graph, context, duration_ms: millis(started.elapsed()) };
        Ok(match end {
            End::Came(outcome, cloud) => asked.result(*outcome, cloud),
            End::GivenUp(outcome, words, cloud) => asked.given_up(*outcome, &words, cloud),
        })
    }
}

impl Inner {
    fn submission(&self, graph: &CheckedGraph, context: &ExecutionContext) -> Result<Submission, Refusal> {
        let unfit = |error: String| Refusal::Unavailable { reason: error, retry_after_ms: None };
        let who = SubmissionContext::of(context).map_err(|error| unfit(error.to_string()))?;
        let options = self.config.options.clone();
        Submission::new(graph.clone(), options, Some(who), self.config.anchoring)
            .map_err(|invalid| unfit(invalid.to_string()))
    }

    /// A place among the sessions at once.
    async fn place(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        let limits = &self.config.limits;
        let patience = Duration::from_millis(limits.submission_patience_ms);
        tokio::time::timeout(patience, self.sessions.acquire()).await.ok().and_then(Result::ok).ok_or_else(
            || {
                let reason = format!(
                    "this client has {} sessions under way, as many as `max_sessions` allows",
                    limits.max_sessions
                );
                Refusal::Unavailable { reason, retry_after_ms: Some(1_000) }
            },
        )
    }

    /// Another one for each run, the same ones for the same configuration.
    fn seed(&self) -> u64 {
        Jitter::new(self.config.seed ^ self.runs.fetch_add(1, Ordering::Relaxed)).next()
    }
}

/// What a run came to.
enum End {
    /// Its events and its report agree.
    Came(Box<RunOutcome>, CloudFields),
    /// It was given up, for this reason.
    GivenUp(Box<RunOutcome>, String, CloudFields),
}

/// Follows a session to its end. Dropping the future cancels the session, and so does whatever makes it be given up.
async fn follow(mut follower: Follower, under_way: UnderWay, started: Instant) -> End {
    let followed = in_time(&mut follower).await;
    let ended = followed.as_ref().is_ok_and(|report| report.status != SessionStatus::Cancelled);
    let cloud = match &followed {
        Ok(report) => outcome::cloud(report),
        Err(_) => CloudFields {
            execution_session_id: Some(under_way.session().as_str().to_owned()),
            region: follower.reader.region().map(|region| region.as_str().to_owned()),
            billing_id: None,
        },
    };
    if followed.is_ok() {
        under_way.ended();
    }
    // Of a session that ended, nothing is given up: it is what its events came to.
    let outcome = given_up(follower.reader, started, follower.observer.as_ref());
    match followed {
        Ok(_) if ended => End::Came(outcome, cloud),
        Ok(_) => {
            End::GivenUp(outcome, String::from("the session was cancelled, and not by this caller"), cloud)
        }
        Err(words) => End::GivenUp(outcome, words, cloud),
    }
}

/// Follows a session for as long as it may take.
async fn in_time(follower: &mut Follower) -> Result<SessionReport, String> {
    let limits = follower.limits;
    let latency_ms = follower.reader.graph().budgets().max_latency_ms();
    let under_way_ms = latency_ms.map_or(limits.max_session_ms, |ms| ms.saturating_add(limits.overtime_ms));
    let too_long = too_long(Arc::clone(&follower.began), limits.max_session_ms, under_way_ms);
    let followed = async {
        follower.follow().await?;
        follower.report().await
    };
    tokio::select! {
        biased;
        followed = followed => followed,
        words = too_long => Err(words),
    }
}

/// Waits until a session has taken more time than it may. Its own time runs from its first event on; before that it is
/// queued.
async fn too_long(began: Arc<Notify>, queued_ms: u64, under_way_ms: u64) -> String {
    // A year and for ever are alike to whoever waits, and the clock has an end.
    let at_most = |ms: u64| Duration::from_millis(ms.min(31_536_000_000));
    if tokio::time::timeout(at_most(queued_ms), began.notified()).await.is_err() {
        return format!(
            "its session has not begun after {queued_ms} ms, which is more than `max_session_ms` allows"
        );
    }
    tokio::time::sleep(at_most(under_way_ms)).await;
    format!(
        "its session goes on {under_way_ms} ms after its first event, which is more than its graph or `max_session_ms` allows"
    )
}

/// What a run had come to, closed.
fn given_up(
    reader: SessionReader,
    started: Instant,
    observer: Option<&Arc<dyn RunObserver>>,
) -> Box<RunOutcome> {
    let graph = reader.graph().clone();
    let abandoned = reader.abandon(millis(started.elapsed()));
    if let Some(observer) = observer {
        abandoned.run_events.iter().for_each(|event| observer.observe(&graph, event));
    }
    Box::new(abandoned.outcome)
}

/// A run of which no event was seen.
fn never_followed(
    graph: &CheckedGraph,
    graph_id: GraphId,
    words: String,
    started: Instant,
    observer: Option<&Arc<dyn RunObserver>>,
) -> Result<End, Refusal> {
    // Nothing of it is ever compared.
    let unnamed = SessionId::new("unknown")
        .map_err(|error| Refusal::Unavailable { reason: error.to_string(), retry_after_ms: None })?;
    let reader = SessionReader::new(unnamed, graph_id, graph.clone());
    Ok(End::GivenUp(given_up(reader, started, observer), words, CloudFields::default()))
}

/// Refuses what must not leave this machine: a fabric's models are elsewhere (C11.3).
fn stays_here(graph: &CheckedGraph) -> Result<(), Refusal> {
    let unmet: Vec<_> = graph
        .tasks()
        .iter()
        .filter(|task| task.task_type.is_model() && task.privacy == Privacy::LocalOnly)
        .map(|task| UnmetCapability {
            task_id: task.id.to_string(),
            capability: "models",
            needed: String::from("a model on this machine, as it is `local_only`"),
            offered: String::from("the models of a fabric, which are not on this machine"),
        })
        .collect();
    if unmet.is_empty() { Ok(()) } else { Err(Refusal::BeyondCapabilities(unmet)) }
}

async fn read_capabilities(fabric: &Fabric) -> Result<Told, NoAnswer> {
    let mut capabilities = mapping::capabilities(fabric.capabilities().await?);
    // What this end makes of a session is for this end to say: events as they happen, and hints where to run. Parts of a
    // graph cannot be submitted, whatever the fabric can do (decision 0020).
    let hints = capabilities.extensions.contains(&Extension::RegionHints).then_some(Extension::RegionHints);
    capabilities.extensions = std::iter::once(Extension::Streaming).chain(hints).collect();
    Ok(Told { capabilities, at: Instant::now() })
}

fn millis(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

#[async_trait]
impl ExecutionBackend for KrakoBackend {
    /// As the trait says.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future sends the session's cancellation, once, and does not wait for it (S13).
    async fn execute_taskgraph(
        &self,
        graph: &CheckedGraph,
        context: &ExecutionContext,
    ) -> Result<ExecutionResult, Refusal> {
        Box::pin(self.execute(graph, context, None)).await
    }

    /// Asks the fabric, and reads its capabilities anew.
    async fn health_check(&self) -> BackendStatus {
        let fabric = &self.inner.fabric;
        let told = async {
            let told = read_capabilities(fabric).await?;
            *self.inner.told.write().unwrap_or_else(PoisonError::into_inner) = told;
            fabric.health().await
        };
        match Box::pin(told).await {
            Ok(health) => mapping::status(health),
            Err(error) => unreachable(&self.capability_descriptor(), &error),
        }
    }

    fn capability_descriptor(&self) -> BackendCapabilities {
        self.inner.told.read().unwrap_or_else(PoisonError::into_inner).capabilities.clone()
    }
}

/// The status of a fabric that does not tell its own.
fn unreachable(capabilities: &BackendCapabilities, error: &NoAnswer) -> BackendStatus {
    BackendStatus {
        status: HealthStatus::Unavailable,
        capacity_summary: CapacitySummary {
            active_runs: 0,
            max_concurrency: capabilities.max_concurrency,
            cpu_load: None,
            free_memory_bytes: None,
            models: vec![ModelHealth {
                adapter: String::from("fabric"),
                reachable: false,
                detail: Some(error.to_string()),
            }],
        },
        backend_version: env!("CARGO_PKG_VERSION").into(),
    }
}

#[async_trait]
impl StreamingExecution for KrakoBackend {
    async fn execute_streaming(
        &self,
        graph: &CheckedGraph,
        context: &ExecutionContext,
        observer: Arc<dyn RunObserver>,
    ) -> Result<ExecutionResult, Refusal> {
        Box::pin(self.execute(graph, context, Some(observer))).await
    }
}
