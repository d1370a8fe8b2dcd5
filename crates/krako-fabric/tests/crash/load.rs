//! Callers with KrakoBackend, who keep many sessions under way and know what each must come to.

use std::sync::Arc;
use std::time::Duration;

use backend_api::{
    BackendMode, ExecutionBackend, ExecutionContext, ExecutionResult, InterfaceVersion, RunId, TraceId,
};
use backend_krako::{KrakoBackend, KrakoConfig, KrakoLimits};
use krako_transport::{KeySource, TransportLimits};
use serde_json::Value;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::fleet::{Fleet, TENANTS};
use crate::support::{Fixture, golden, locally};

/// Sessions under way.
const AT_ONCE: usize = 48;

/// What a graph comes to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Meaning {
    pub(crate) digest: String,
    pub(crate) output: Option<Value>,
}

impl Meaning {
    fn of(result: &ExecutionResult) -> Self {
        Self {
            digest: result.execution_metadata.semantic_digest.to_string(),
            output: result.final_output.as_ref().map(|output| output.value().clone()),
        }
    }
}

/// All that is run.
pub(crate) struct Load {
    pub(crate) sessions: u64,
    graphs: Vec<(Fixture, Meaning)>,
    backends: Vec<KrakoBackend>,
    ended: watch::Sender<u64>,
}

impl Load {
    /// Connects once the fabric is there.
    pub(crate) async fn new(fleet: &Fleet, sessions: u64) -> Self {
        let mut graphs = Vec::new();
        for fixture in golden() {
            let local = locally(&fixture.graph, fixture.script.as_ref()).await.unwrap();
            let meaning = Meaning::of(&local);
            graphs.push((fixture, meaning));
        }
        let mut backends = Vec::new();
        for (seed, tenant) in TENANTS.iter().enumerate() {
            let config = KrakoConfig {
                ca_file: Some(fleet.ca_file()),
                token: Some(KeySource::File(fleet.token(tenant))),
                limits: KrakoLimits {
                    submission_patience_ms: 300_000,
                    outage_patience_ms: 300_000,
                    first_backoff_ms: 10,
                    max_backoff_ms: 200,
                    poll_ms: 100,
                    ..KrakoLimits::default()
                },
                transport: TransportLimits {
                    connect_timeout_ms: 2_000,
                    ping_ms: 2_000,
                    ..TransportLimits::default()
                },
                seed: seed as u64,
                ..KrakoConfig::new(fleet.at_gateway())
            };
            let backend = loop {
                match KrakoBackend::connect(config.clone()).await {
                    Ok(backend) => break backend,
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            };
            backends.push(backend);
        }
        Self { sessions, graphs, backends, ended: watch::Sender::new(0) }
    }

    /// Which tenant has a session, under what name, what is run, and what it must come to.
    pub(crate) fn session(&self, number: u64) -> (&'static str, String, &Fixture, &Meaning) {
        let place = |count: usize| usize::try_from(number).unwrap() % count;
        let (fixture, meaning) = &self.graphs[place(self.graphs.len())];
        (TENANTS[place(TENANTS.len())], format!("run-{number}"), fixture, meaning)
    }

    /// How many have ended.
    pub(crate) fn ended(&self) -> u64 {
        *self.ended.borrow()
    }

    /// Resolves when so many have ended.
    pub(crate) async fn until(&self, ended: u64) {
        self.ended.subscribe().wait_for(|now| *now >= ended).await.unwrap();
    }

    /// Runs every session to its end, and finds nothing wrong with any.
    pub(crate) async fn run(self: &Arc<Self>) {
        let room = Arc::new(Semaphore::new(AT_ONCE));
        let mut running = JoinSet::new();
        for number in 0..self.sessions {
            let place = Arc::clone(&room).acquire_owned().await.unwrap();
            let load = Arc::clone(self);
            running.spawn(async move {
                load.one(number).await;
                load.ended.send_modify(|ended| *ended += 1);
                drop(place);
            });
            while let Some(ended) = running.try_join_next() {
                ended.unwrap();
            }
        }
        while let Some(ended) = running.join_next().await {
            ended.unwrap();
        }
    }

    async fn one(&self, number: u64) {
        let (tenant, run, fixture, expected) = self.session(number);
        let context = ExecutionContext {
            run_id: RunId::new(&run).unwrap(),
            trace_id: TraceId::new("trace").unwrap(),
            backend_mode: BackendMode::Krako,
            user_id: None,
            interface_version: InterfaceVersion::CURRENT,
        };
        let backend = &self.backends[TENANTS.iter().position(|name| *name == tenant).unwrap()];
        let result = Box::pin(backend.execute_taskgraph(&fixture.graph, &context)).await;
        let result = result.unwrap_or_else(|refusal| panic!("{run} of {}: refused: {refusal}", fixture.name));
        assert_eq!(Meaning::of(&result), *expected, "{run} of {}: {:?}", fixture.name, result.failure);
    }
}
