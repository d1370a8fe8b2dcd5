//! The software of each host, as in processes of their own.

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use krako_contract::{NodeId, Timestamp, WireLimits};
use krako_fabric::worker::{CpuNode, PodNode};
use krako_fabric::{
    Desk, DeskConfig, EventLog, Execution, Gateway, GatewayConfig, ListenLimits, LogLimits, MemoryDisk,
    NodeConfig, NodeDesk, Orchestrator, OrchestratorConfig, RemoteDesk, RemoteSessions, WallClock,
};
use krako_session::Prices;
use krako_transport::{Client, Endpoint, Secret, TransportLimits, Trust};
use models::Script;
use operations::OperationRegistry;

use crate::broken::{Broken, EarlyStorage, ForgivingDesk};
use crate::graphs::{quick, router};
use crate::identity::{Identities, tokens};
use crate::network::{Open, SimulatedAccept, SimulatedDial};
use crate::plan::{GATEWAY, ORCHESTRATOR, Plan};
use crate::watched::{Accepted, WatchedDesk};

pub(crate) const DESK_PORT: u16 = 7_000;
pub(crate) const GATEWAY_PORT: u16 = 443;

pub(crate) type Ended = Result<(), Box<dyn Error>>;

/// The time of day of every host: that of the simulation.
#[derive(Debug)]
pub(crate) struct SimulatedClock;

impl WallClock for SimulatedClock {
    fn unix_us(&self) -> i64 {
        let since = turmoil::sim_elapsed().unwrap_or_default();
        1_750_000_000_000_000 + i64::try_from(since.as_micros()).unwrap()
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_unix_us(self.unix_us())
    }
}

/// What hosts leave for whoever looks at the simulation from outside.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) disk: MemoryDisk,
    pub(crate) orchestrator: Arc<Mutex<Weak<Orchestrator>>>,
    /// Connections of clients, as the gateway has them.
    pub(crate) at_gateway: Open,
    /// Connections of nodes and of the gateway, as the orchestrator has them.
    pub(crate) at_desk: Open,
    /// Connections that clients have.
    pub(crate) of_clients: Open,
    /// Connections that nodes and the gateway have.
    pub(crate) of_nodes: Open,
    /// How often an orchestrator was started.
    pub(crate) starts: Arc<AtomicUsize>,
    /// Reports of nodes that were accepted.
    pub(crate) accepted: Accepted,
}

/// Bounds that fit a world of seconds.
pub(crate) fn transport() -> TransportLimits {
    TransportLimits {
        connect_timeout_ms: 1_000,
        handshake_timeout_ms: 1_500,
        request_timeout_ms: 3_000,
        stream_idle_ms: 3_000,
        idle_connection_ms: 3_000,
        ping_ms: 1_000,
        ..TransportLimits::default()
    }
}

fn listen() -> ListenLimits {
    let seconds = Duration::from_secs;
    ListenLimits {
        handshake_timeout: seconds(2),
        head_timeout: seconds(3),
        idle_timeout: seconds(4),
        body_timeout: seconds(3),
        write_timeout: seconds(2),
        grace: seconds(2),
        ..ListenLimits::default()
    }
}

pub(crate) fn prices() -> Prices {
    Prices {
        million_tokens_in: krako_contract::Usd::from_micros(500_000),
        million_tokens_out: krako_contract::Usd::from_micros(2_000_000),
        thousand_cpu_units: krako_contract::Usd::from_micros(30_000),
    }
}

fn client(of: &str, endpoint: &str, open: Open) -> Client {
    let identities = Identities::of_this_process();
    let token = Secret::read(&identities.token_file(of), "token").unwrap();
    let trust = Trust::Pinned(identities.authority.clone());
    let endpoint = Endpoint::parse(endpoint).unwrap();
    Client::new(endpoint, trust, Some(token), Arc::new(SimulatedDial(open)), transport()).unwrap()
}

fn desk_of(of: &str, open: Open) -> Client {
    client(of, &format!("https://{ORCHESTRATOR}:{DESK_PORT}"), open)
}

/// A client of the gateway, for whoever looks at it from outside.
pub(crate) fn gateway_of(tenant: &str) -> Client {
    client(tenant, &format!("https://{GATEWAY}:{GATEWAY_PORT}"), Open::default())
}

/// An orchestrator over a disk that outlives it.
pub(crate) async fn orchestrator(seen: Seen, plan: Arc<Plan>, broken: Broken) -> Ended {
    seen.disk.delay_syncs(match broken {
        // The longer a sync takes, the more was promised that is lost.
        Broken::AcknowledgesEarly => Duration::from_millis(500),
        Broken::Nothing | Broken::TakesLateReports | Broken::SubmitsAnew => plan.sync,
    });
    let storage = seen.disk.attach()?;
    let limits = LogLimits { segment_bytes: plan.segment_bytes, ..LogLimits::default() };
    let clock = SimulatedClock;
    let (log, opened) = match broken {
        Broken::AcknowledgesEarly => EventLog::open(EarlyStorage::new(storage), limits, clock.now()).await?,
        Broken::Nothing | Broken::TakesLateReports | Broken::SubmitsAnew => {
            EventLog::open(storage, limits, clock.now()).await?
        }
    };
    let config = OrchestratorConfig {
        lease: Duration::from_millis(1_200),
        silence: Duration::from_secs(4),
        max_lost_claims: 1_000,
        max_claim_wait: Duration::from_secs(2),
        max_wait: Duration::from_secs(2),
        max_queued: Duration::from_secs(300),
        stop_grace: Duration::from_millis(800),
        backoff: quick(),
        prices: prices(),
        ..OrchestratorConfig::default()
    };
    let orchestrator = Orchestrator::open(config, log, opened, Arc::new(clock))?;
    seen.starts.fetch_add(1, Ordering::Relaxed);
    *seen.orchestrator.lock().unwrap() = Arc::downgrade(&orchestrator);
    let nodes: Arc<dyn NodeDesk> = match broken {
        Broken::TakesLateReports => Arc::new(ForgivingDesk::new(Arc::clone(&orchestrator) as _)),
        Broken::Nothing | Broken::AcknowledgesEarly | Broken::SubmitsAnew => Arc::clone(&orchestrator) as _,
    };
    let config = DeskConfig { listen: listen(), max_wait: Duration::from_secs(2), ..DeskConfig::default() };
    let desk = Desk::new(nodes, orchestrator, tokens(), config);
    let accept = SimulatedAccept::bind(DESK_PORT, seen.at_desk.clone()).await?;
    desk.serve(&accept, &Identities::of_this_process().server, std::future::pending()).await;
    Ok(())
}

/// A gateway that has nothing but its connections.
pub(crate) async fn gateway(seen: Seen) -> Ended {
    let sessions = RemoteSessions::new(desk_of("gateway", seen.of_nodes.clone()), WireLimits::default());
    let config = GatewayConfig {
        listen: listen(),
        max_wait: Duration::from_secs(2),
        answer_timeout: Duration::from_secs(2),
        keep_alive: Duration::from_secs(1),
        max_stream: Duration::from_secs(30),
        ..GatewayConfig::default()
    };
    let gateway = Gateway::new(Arc::new(sessions), tokens(), config);
    let accept = SimulatedAccept::bind(GATEWAY_PORT, seen.at_gateway.clone()).await?;
    gateway.serve(&accept, &Identities::of_this_process().server, std::future::pending()).await;
    Ok(())
}

fn node_config() -> NodeConfig {
    NodeConfig {
        claim_wait: Duration::from_secs(2),
        heartbeat: Duration::from_millis(400),
        retry: Duration::from_millis(50),
        max_retry: Duration::from_millis(800),
        max_report: Duration::from_secs(10),
        execution: Execution::Inline,
        ..NodeConfig::default()
    }
}

fn desk(seen: &Seen) -> Arc<dyn NodeDesk> {
    let remote = RemoteDesk::new(desk_of("node", seen.of_nodes.clone()), WireLimits::default());
    Arc::new(WatchedDesk::new(remote, seen.accepted.clone()))
}

/// A node that runs operations.
pub(crate) async fn cpu(name: &'static str, seen: Seen) -> Ended {
    let node = CpuNode::new(NodeId::new(name)?, desk(&seen), OperationRegistry::standard(), 2);
    Ok(node.with(node_config()).run(std::future::pending()).await?)
}

/// A node that asks models.
pub(crate) async fn pod(name: &'static str, seen: Seen, script: Script) -> Ended {
    let node = PodNode::new(NodeId::new(name)?, desk(&seen), router(script), 2);
    Ok(node.with(node_config()).run(std::future::pending()).await?)
}
