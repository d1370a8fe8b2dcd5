//! KrakoBackend before a fabric of this process: TLS, HTTP/2 and event streams between the two, as between machines.

mod pipe;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backend_api::InterfaceVersion;
use backend_krako::{KrakoBackend, KrakoConfig};
use backend_server::{Answer, BackendService, ExecuteRequest, Service};
use credentials::KeySource;
use krako_contract::{NodeId, TenantId};
use krako_fabric::worker::{CpuNode, PodNode};
use krako_fabric::{
    Accept, DevelopmentAuthority, EventLog, Gateway, GatewayConfig, Holder, LogLimits, MemoryDisk, NodeDesk,
    Orchestrator, OrchestratorConfig, Sessions, SystemWallClock, TcpAccept, TlsIdentity, Token, Tokens,
    WallClock,
};
use krako_transport::{Dial, Endpoint, TcpDial};
use models::ModelRouter;
use operations::OperationRegistry;
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;

use self::pipe::Pipe;
use super::in_process::{caught, survived};
use crate::model::{BookAdapter, ModelEndpoint};
use crate::subject::{Clock, Introduction, Mishap, Plug, Subject, Transport};

/// Work units that each node has room for.
const SLOTS: u32 = 64;

/// What carries the encrypted bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "memory, so that time can be virtual, or a network")]
pub enum Carrier {
    /// Memory: time is virtual.
    Memory,
    /// TCP on loopback: time is real.
    Loopback,
}

/// Makes a new fabric for each case, and KrakoBackend before it: gateway, orchestrator with a log in memory, and a node of
/// each pool. The `llm_pod` node asks the suite's own model.
pub struct FabricPlug {
    carrier: Carrier,
    // Made once: keys cost more than most cases.
    keys: Keys,
}

/// Who may ask, and what vouches for the gateway.
struct Keys {
    folder: TempDir,
    ca_file: PathBuf,
    identity: TlsIdentity,
    tokens: Tokens,
}

impl FabricPlug {
    /// A plug whose fabrics are reached through `carrier`.
    ///
    /// # Errors
    ///
    /// In words, what kept keys from being made.
    pub fn new(carrier: Carrier) -> Result<Self, String> {
        Ok(Self { carrier, keys: Keys::new()? })
    }

    async fn raise(&self, endpoint: &ModelEndpoint) -> Result<Raised, String> {
        let clock: Arc<dyn WallClock> = Arc::new(SystemWallClock::default());
        let storage = MemoryDisk::default().attach().map_err(words)?;
        let (log, opened) =
            EventLog::open(storage, LogLimits::default(), clock.now()).await.map_err(words)?;
        let orchestrator = Orchestrator::open(OrchestratorConfig::default(), log, opened, clock);
        let orchestrator = orchestrator.map_err(words)?;

        let mut parts = JoinSet::new();
        let node = |name: &str| NodeId::new(name).map_err(words);
        let desk = || Arc::clone(&orchestrator) as Arc<dyn NodeDesk>;
        let cpu = CpuNode::new(node("cpu-1")?, desk(), OperationRegistry::standard(), SLOTS);
        parts.spawn(async move { drop(cpu.run(std::future::pending()).await) });
        let adapter = Arc::new(BookAdapter::new(Arc::clone(&endpoint.book)));
        let models = ModelRouter::new(vec![adapter]).map_err(words)?;
        let pod = PodNode::new(node("pod-1")?, desk(), models, SLOTS);
        parts.spawn(async move { drop(pod.run(std::future::pending()).await) });

        let (accept, dial, port) = self.network().await.map_err(words)?;
        let sessions = Arc::clone(&orchestrator) as Arc<dyn Sessions>;
        let gateway = Gateway::new(sessions, self.keys.tokens.clone(), generous());
        let identity = self.keys.identity.clone();
        parts.spawn(async move {
            gateway.serve(&*accept, &identity, std::future::pending()).await;
        });

        offered(&*orchestrator).await?;
        let config = KrakoConfig {
            ca_file: Some(self.keys.ca_file.clone()),
            token: Some(KeySource::File(self.keys.token_file())),
            ..KrakoConfig::new(Endpoint::parse(&format!("https://localhost:{port}")).map_err(words)?)
        };
        let backend = KrakoBackend::connect_through(config, dial).await.map_err(words)?;
        let service = BackendService::new(Arc::new(backend));
        Ok(Raised { service, _orchestrator: orchestrator, _parts: parts })
    }

    async fn network(&self) -> std::io::Result<(Box<dyn Accept>, Arc<dyn Dial>, u16)> {
        match self.carrier {
            Carrier::Memory => {
                let (far, near) = Pipe::new();
                Ok((Box::new(far), Arc::new(near), 443))
            }
            Carrier::Loopback => {
                let accept = TcpAccept::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
                let port = accept.address().port();
                Ok((Box::new(accept), Arc::new(TcpDial), port))
            }
        }
    }
}

/// A suite asks more at once than one tenant should.
fn generous() -> GatewayConfig {
    GatewayConfig { requests_per_second: 10_000, burst: 10_000, ..GatewayConfig::default() }
}

/// Waits until a node of each pool has said what it can run, since nothing is offered before (C3.6).
async fn offered(sessions: &dyn Sessions) -> Result<(), String> {
    for _ in 0..1000 {
        let told = sessions.capabilities().await.map_err(|error| error.document.message)?;
        if !told.operations.is_empty() && !told.models.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Err(String::from("the fabric's nodes did not come"))
}

fn words(error: impl std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words += &format!(": {error}");
        cause = error.source();
    }
    words
}

impl Keys {
    fn new() -> Result<Self, String> {
        let clock = SystemWallClock::default();
        let folder = tempfile::tempdir().map_err(words)?;
        let authority = DevelopmentAuthority::open_or_make(folder.path(), &clock).map_err(words)?;
        let identity = authority.leaf(&[], &clock).map_err(words)?;
        let token = Token::make().ok_or("there is no randomness for a token")?;
        let tenant = Holder::Tenant(TenantId::new("conformance").map_err(words)?);
        let tokens = Tokens::new(vec![(token.digest(), tenant)]);
        let keys = Self { ca_file: authority.certificate_file(), identity, tokens, folder };
        std::fs::write(keys.token_file(), token.reveal()).map_err(words)?;
        Ok(keys)
    }

    fn token_file(&self) -> PathBuf {
        self.folder.path().join("token")
    }
}

impl fmt::Debug for FabricPlug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FabricPlug").field("carrier", &self.carrier).finish_non_exhaustive()
    }
}

#[async_trait]
impl Plug for FabricPlug {
    fn transport(&self) -> Transport {
        Transport::InProcess
    }

    fn clock(&self) -> Clock {
        match self.carrier {
            Carrier::Memory => Clock::Virtual,
            Carrier::Loopback => Clock::Real,
        }
    }

    async fn open(&self, endpoint: &ModelEndpoint) -> Result<Box<dyn Subject>, Mishap> {
        let raised = self.raise(endpoint).await.map_err(|detail| Mishap::Ended { detail })?;
        Ok(Box::new(raised))
    }
}

/// A fabric that is up, and the backend before it.
#[derive(Debug)]
struct Raised {
    service: BackendService<KrakoBackend>,
    // Dropping it ends its sessions, as a crash does.
    _orchestrator: Arc<Orchestrator>,
    // Aborted when dropped.
    _parts: JoinSet<()>,
}

#[async_trait]
impl Subject for Raised {
    async fn execute_taskgraph(&self, request: ExecuteRequest) -> Result<Answer, Mishap> {
        survived(self.service.execute_taskgraph(request)).await
    }

    async fn health_check(&self) -> Result<Value, Mishap> {
        survived(self.service.health_check()).await
    }

    async fn capability_descriptor(&self) -> Result<Value, Mishap> {
        caught(|| self.service.capability_descriptor())
    }

    fn introduction(&self) -> Introduction {
        Introduction {
            name: String::from("backend-krako"),
            version: InterfaceVersion::CURRENT.to_string(),
            backend_mode: String::from("krako"),
        }
    }

    async fn close(self: Box<Self>) -> Option<String> {
        None
    }
}
