//! One part of a fabric as a process, for a test that kills it. It ends when its standard input does.
//!
//! `fabric-part orchestrator FOLDER DESK`, `gateway FOLDER DESK PORT`, `cpu FOLDER DESK NAME`, `llm_pod FOLDER DESK NAME`:
//! in the folder are certificates, tokens, the model's script and the event log; `DESK` is the orchestrator's port.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a part that cannot be what it is told to be ends and says why"
)]

#[path = "../crash/agreed.rs"]
mod agreed;

use std::future::pending;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use backend_local::Backoff;
use krako_contract::{NodeId, WireLimits};
use krako_fabric::worker::{CpuNode, PodNode};
use krako_fabric::{
    Desk, DeskConfig, DevelopmentAuthority, EventLog, FileStorage, Gateway, GatewayConfig, ListenLimits,
    LogLimits, NodeConfig, Orchestrator, OrchestratorConfig, RemoteDesk, RemoteSessions, SystemWallClock,
    TcpAccept, TlsIdentity, TokenFile, Tokens, WallClock,
};
use krako_transport::{Client, Endpoint, Secret, TcpDial, TransportLimits, Trust};
use models::{ModelRouter, Script, ScriptedAdapter};
use operations::OperationRegistry;

/// Orders that one node holds at once.
const SLOTS: u32 = 16;

#[tokio::main(worker_threads = 2)]
async fn main() {
    // Whatever becomes of the test, nothing of it stays.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["orchestrator", folder, desk] => orchestrator(&Home::new(folder), desk).await,
        ["gateway", folder, desk, port] => gateway(&Home::new(folder), desk, port).await,
        ["cpu", folder, desk, name] => cpu(&Home::new(folder), desk, name).await,
        ["llm_pod", folder, desk, name] => llm_pod(&Home::new(folder), desk, name).await,
        _ => panic!("no part of a fabric: {arguments:?}"),
    }
}

/// The folder that all parts share.
struct Home(PathBuf);

impl Home {
    fn new(folder: &str) -> Self {
        Self(PathBuf::from(folder))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn authority(&self) -> DevelopmentAuthority {
        DevelopmentAuthority::open_or_make(Path::new(&self.0), &SystemWallClock::default()).unwrap()
    }

    fn identity(&self) -> TlsIdentity {
        self.authority().leaf(&[], &SystemWallClock::default()).unwrap()
    }

    fn tokens(&self) -> Tokens {
        TokenFile::open(&self.file(agreed::TOKENS)).unwrap().tokens()
    }

    /// Whoever calls the orchestrator.
    fn client(&self, desk: &str, token: &str) -> Client {
        let endpoint = Endpoint::parse(&format!("https://localhost:{desk}")).unwrap();
        let trust = Trust::Pinned(self.authority().certificate_file());
        let token = std::fs::read_to_string(self.file(token)).unwrap();
        let limits =
            TransportLimits { connect_timeout_ms: 2_000, ping_ms: 2_000, ..TransportLimits::default() };
        Client::new(endpoint, trust, Some(Secret::from_text(&token).unwrap()), Arc::new(TcpDial), limits)
            .unwrap()
    }
}

async fn listener(port: &str) -> TcpAccept {
    let address: SocketAddr = format!("127.0.0.1:{port}").parse().unwrap();
    TcpAccept::bind(address).await.unwrap()
}

/// All that come are from one address.
fn listen() -> ListenLimits {
    ListenLimits { max_connections_per_peer: 1024, max_streams: 1024, ..ListenLimits::default() }
}

async fn orchestrator(home: &Home, desk: &str) {
    let clock = Arc::new(SystemWallClock::default());
    let storage = FileStorage::open(home.file(agreed::LOG)).unwrap();
    let (log, opened) = EventLog::open(storage, LogLimits::default(), clock.now()).await.unwrap();
    let config = OrchestratorConfig {
        max_sessions_per_tenant: 1000,
        // So often is nothing lost, and so much happens here.
        max_lost_claims: 1000,
        lease: Duration::from_secs(1),
        backoff: Backoff { initial: Duration::from_millis(1), max: Duration::from_millis(5) },
        log_retry: Duration::from_millis(20),
        max_usage_lines: 100_000,
        prices: agreed::prices(),
        ..OrchestratorConfig::default()
    };
    let orchestrator = Orchestrator::open(config, log, opened, clock).unwrap();
    let config = DeskConfig { listen: listen(), ..DeskConfig::default() };
    let desk_of = Desk::new(Arc::clone(&orchestrator) as _, orchestrator, home.tokens(), config);
    desk_of.serve(&listener(desk).await, &home.identity(), pending()).await;
}

async fn gateway(home: &Home, desk: &str, port: &str) {
    let sessions = RemoteSessions::new(home.client(desk, agreed::GATEWAY_TOKEN), WireLimits::default());
    let config = GatewayConfig {
        listen: listen(),
        requests_per_second: 100_000,
        burst: 100_000,
        max_requests_per_tenant: 1000,
        max_streams_per_tenant: 1000,
        keep_alive: Duration::from_secs(2),
        ..GatewayConfig::default()
    };
    let gateway = Gateway::new(Arc::new(sessions), home.tokens(), config);
    gateway.serve(&listener(port).await, &home.identity(), pending()).await;
}

fn node() -> NodeConfig {
    NodeConfig {
        claim_wait: Duration::from_secs(5),
        heartbeat: Duration::from_millis(200),
        retry: Duration::from_millis(5),
        max_retry: Duration::from_millis(100),
        ..NodeConfig::default()
    }
}

fn nodes(home: &Home, desk: &str) -> Arc<RemoteDesk> {
    Arc::new(RemoteDesk::new(home.client(desk, agreed::NODE_TOKEN), WireLimits::default()))
}

async fn cpu(home: &Home, desk: &str, name: &str) {
    let id = NodeId::new(name).unwrap();
    let cpu = CpuNode::new(id, nodes(home, desk), OperationRegistry::standard(), SLOTS).with(node());
    cpu.run(pending()).await.unwrap();
}

async fn llm_pod(home: &Home, desk: &str, name: &str) {
    let script = std::fs::read_to_string(home.file(agreed::SCRIPT)).unwrap();
    let script: Script = serde_json::from_str(&script).unwrap();
    let models = ModelRouter::new(vec![Arc::new(ScriptedAdapter::new(script)) as _]).unwrap();
    let pod = PodNode::new(NodeId::new(name).unwrap(), nodes(home, desk), models, SLOTS).with(node());
    pod.run(pending()).await.unwrap();
}
