//! Those who have graphs run, and what they are told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use backend_api::{
    BackendMode, ExecutionBackend, ExecutionContext, ExecutionResult, InterfaceVersion, Refusal, RunId,
    TraceId,
};
use backend_krako::{ConnectError, KrakoBackend, KrakoConfig, KrakoLimits};
use krako_transport::Endpoint;
use tokio::task::JoinSet;

use crate::broken::Broken;
use crate::graphs::Corpus;
use crate::hosts::{Ended, GATEWAY_PORT, Seen, transport};
use crate::identity::Identities;
use crate::network::SimulatedDial;
use crate::plan::{GATEWAY, Plan, Run};

/// How often an application asks again whether its graph may be run now.
const TRIES: u32 = 40;

/// What came of a run.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// A result.
    Came(Box<ExecutionResult>),
    /// No: and why.
    Refused(Refusal),
    /// Its caller did not wait for it.
    Dropped,
}

/// A run, and what its caller was told at last.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) client: usize,
    pub(crate) run: Run,
    pub(crate) what: What,
    pub(crate) at: Duration,
}

/// Everything that was told, in the order in which it was.
pub(crate) type AllTold = Arc<Mutex<Vec<Told>>>;

/// What a caller says of a session of which nobody knows whether there is one.
pub(crate) const UNSURE: &str = "fabric: whether it took the graph is not known";

/// Connects, has its graphs run, and closes its connections.
pub(crate) async fn client(
    client: usize,
    plan: Arc<Plan>,
    seen: Seen,
    told: AllTold,
    broken: Broken,
) -> Ended {
    let backend = connect(client, &plan, &seen, broken).await?;
    let mut runs = JoinSet::new();
    for run in plan.runs[client].clone() {
        let (backend, told) = (backend.clone(), Arc::clone(&told));
        runs.spawn(async move {
            let what = ask(&backend, &run, broken).await;
            let at = turmoil::sim_elapsed().unwrap_or_default();
            told.lock().unwrap().push(Told { client, run, what, at });
        });
    }
    while let Some(done) = runs.join_next().await {
        done?;
    }
    drop(backend);
    // Its process goes on, so that its connections can be closed in peace.
    std::future::pending().await
}

async fn connect(
    client: usize,
    plan: &Plan,
    seen: &Seen,
    broken: Broken,
) -> Result<KrakoBackend, ConnectError> {
    // The sooner it stops trying by itself, the sooner it tries anew.
    let patience = match broken {
        Broken::SubmitsAnew => Duration::from_millis(300),
        Broken::Nothing | Broken::AcknowledgesEarly | Broken::TakesLateReports => plan.submission_patience,
    };
    let identities = Identities::of_this_process();
    let endpoint = Endpoint::parse(&format!("https://{GATEWAY}:{GATEWAY_PORT}")).unwrap();
    let config = KrakoConfig {
        ca_file: Some(identities.authority.clone()),
        token: Some(identities.token_file(plan.tenants[client])),
        limits: KrakoLimits {
            submission_patience_ms: u64::try_from(patience.as_millis()).unwrap(),
            outage_patience_ms: u64::try_from(plan.outage_patience.as_millis()).unwrap(),
            first_backoff_ms: 50,
            max_backoff_ms: 1_000,
            poll_ms: 500,
            cancel_timeout_ms: 2_000,
            ..KrakoLimits::default()
        },
        transport: transport(),
        seed: plan.seed,
        ..KrakoConfig::new(endpoint)
    };
    loop {
        let dial = Arc::new(SimulatedDial(seen.of_clients.clone()));
        match KrakoBackend::connect_through(config.clone(), dial).await {
            Err(ConnectError::Refused(Refusal::Unavailable { .. })) => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            other => return other,
        }
    }
}

/// An application: it asks for one run, under one name, until it is told what came of it.
async fn ask(backend: &KrakoBackend, run: &Run, broken: Broken) -> What {
    tokio::time::sleep(run.after).await;
    let graph = &Corpus::of_this_process().graphs[run.graph].graph;
    let mut last = None;
    for again in 0..TRIES {
        // It is one run, however often it is sent (C5.1).
        let name = if broken == Broken::SubmitsAnew && again > 0 {
            format!("{}-again-{again}", run.name)
        } else {
            run.name.clone()
        };
        let context = ExecutionContext {
            run_id: RunId::new(&name).unwrap(),
            trace_id: TraceId::new("trace").unwrap(),
            backend_mode: BackendMode::Krako,
            user_id: None,
            interface_version: InterfaceVersion::CURRENT,
        };
        let asked = Box::pin(backend.execute_taskgraph(graph, &context));
        let limit = run.dropped_after.unwrap_or(Duration::from_secs(1_000_000));
        let what = match tokio::time::timeout(limit, asked).await {
            Err(_) => return What::Dropped,
            Ok(Ok(result)) => What::Came(Box::new(result)),
            Ok(Err(refusal)) => What::Refused(refusal),
        };
        match &what {
            What::Refused(Refusal::Unavailable { .. }) => {}
            What::Came(result) if words(result).is_some_and(|words| words.starts_with(UNSURE)) => {}
            What::Came(_) | What::Refused(_) | What::Dropped => return what,
        }
        last = Some(what);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    last.unwrap_or(What::Dropped)
}

/// Why a result is a failure, if it is.
pub(crate) fn words(result: &ExecutionResult) -> Option<&str> {
    result.failure.as_ref().map(|failure| failure.message.as_str())
}
