//! A whole fabric in this process, its parts put together as `kora-backend fabric up` does: gateway over TLS, orchestrator,
//! event log, one node of the `cpu` pool.

use std::path::Path;
use std::sync::Arc;

use backend_api::{BackendMode, ExecutionBackend, ExecutionContext, InterfaceVersion, RunId, TraceId};
use backend_krako::{KrakoBackend, KrakoConfig};
use kora_ir::CheckedGraph;
use krako_contract::NodeId;
use krako_fabric::worker::CpuNode;
use krako_fabric::{
    EventLog, FileStorage, Gateway, GatewayConfig, LogLimits, MemoryDisk, NodeDesk, Orchestrator,
    OrchestratorConfig, Sessions, SystemWallClock, TcpAccept, WallClock,
};
use krako_transport::{Endpoint, KeySource};
use operations::OperationRegistry;
use tempfile::TempDir;

use crate::keys::Keys;

/// Where the event log is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Log {
    Files,
    Memory,
}

impl Log {
    pub(crate) const ALL: [Self; 2] = [Self::Files, Self::Memory];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Memory => "memory",
        }
    }
}

/// As many operations run at once.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// It runs until the process ends.
pub(crate) struct Fabric {
    pub(crate) log: Log,
    pub(crate) port: u16,
    backend: KrakoBackend,
    // The log's directory is removed with it.
    _directory: TempDir,
}

impl Fabric {
    pub(crate) async fn start(log: Log, keys: &Keys, directory: &Path) -> Self {
        let folder = tempfile::tempdir_in(directory).unwrap();
        let clock = Arc::new(SystemWallClock::default());
        let (limits, at) = (LogLimits::default(), clock.now());
        let (written, opened) = match log {
            Log::Files => EventLog::open(FileStorage::open(folder.path()).unwrap(), limits, at).await,
            Log::Memory => EventLog::open(MemoryDisk::default().attach().unwrap(), limits, at).await,
        }
        .unwrap();
        let orchestrator = Orchestrator::open(OrchestratorConfig::default(), written, opened, clock).unwrap();
        let desk = Arc::clone(&orchestrator) as Arc<dyn NodeDesk>;
        let slots = u32::try_from(cores()).unwrap();
        let node = CpuNode::new(NodeId::new("cpu-1").unwrap(), desk, OperationRegistry::standard(), slots);
        tokio::spawn(node.run(std::future::pending()));
        while orchestrator.capabilities().await.unwrap().operations.is_empty() {
            tokio::task::yield_now().await;
        }
        // How much one tenant may ask is no part of what an answer costs.
        let config = GatewayConfig {
            requests_per_second: 1_000_000,
            burst: 1_000_000,
            max_requests_per_tenant: 1024,
            ..GatewayConfig::default()
        };
        let gateway = Gateway::new(orchestrator, keys.tokens.clone(), config);
        let accept = TcpAccept::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let (port, identity) = (accept.address().port(), keys.identity());
        tokio::spawn(async move { gateway.serve(&accept, &identity, std::future::pending()).await });
        let config = KrakoConfig {
            ca_file: Some(keys.folder.path().join("ca.pem")),
            token: Some(KeySource::File(keys.folder.path().join("token"))),
            ..KrakoConfig::new(Endpoint::parse(&format!("https://localhost:{port}")).unwrap())
        };
        let backend = KrakoBackend::connect(config).await.unwrap();
        Self { log, port, backend, _directory: folder }
    }

    /// A graph as a runtime has it run: submitted, followed, verified.
    pub(crate) async fn execute(&self, graph: &CheckedGraph, name: &str) {
        let context = ExecutionContext {
            run_id: RunId::new(name).unwrap(),
            trace_id: TraceId::new("bench").unwrap(),
            backend_mode: BackendMode::Krako,
            user_id: None,
            interface_version: InterfaceVersion::CURRENT,
        };
        let result = self.backend.execute_taskgraph(graph, &context).await.unwrap();
        assert!(result.final_output.is_some(), "{:?}", result.failure);
    }
}
