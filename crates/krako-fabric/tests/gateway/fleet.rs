//! Everything over TLS, as on several machines: KrakoBackend, a gateway, an orchestrator behind its desk, nodes.

use std::sync::Arc;

use backend_api::{BackendMode, ExecutionBackend, ExecutionContext, InterfaceVersion, RunId, TraceId};
use backend_krako::{KrakoBackend, KrakoConfig};
use krako_contract::{NodeId, WireLimits};
use krako_fabric::worker::{CpuNode, PodNode};
use krako_fabric::{
    Desk, DeskConfig, Gateway, GatewayConfig, RemoteDesk, RemoteSessions, Sessions, TcpAccept,
};
use krako_transport::{Client, Endpoint, KeySource, Secret, TcpDial, TransportLimits, Trust};
use operations::OperationRegistry;

use crate::served::Keys;
use crate::support::{Fabric, config, golden, locally, router};

/// A listener on a free port, and its address.
async fn listener() -> (TcpAccept, Endpoint) {
    let accept = TcpAccept::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let endpoint = Endpoint::parse(&format!("https://localhost:{}", accept.address().port())).unwrap();
    (accept, endpoint)
}

fn client(keys: &Keys, endpoint: &Endpoint, token: &str) -> Client {
    let trust = Trust::Pinned(keys.authority.certificate_file());
    let token = Secret::from_text(token).unwrap();
    let limits = TransportLimits::default();
    Client::new(endpoint.clone(), trust, Some(token), Arc::new(TcpDial), limits).unwrap()
}

// shows C1.2, C1.3, C2.6, C5.1, C5.2, C11.4
#[tokio::test]
async fn a_fleet_means_what_one_machine_means() {
    let keys = Keys::new();
    let token = keys.folder.path().join("token");
    std::fs::write(&token, &keys.held[0]).unwrap();
    for fixture in golden() {
        let local = locally(&fixture.graph, fixture.script.as_ref()).await.unwrap();
        let fabric = Fabric::new(config()).await;
        let orchestrator = Arc::clone(&fabric.orchestrator);
        let desk = Desk::new(fabric.desk(), orchestrator as _, keys.tokens.clone(), DeskConfig::default());
        let (accept, at_desk) = listener().await;
        let identity = keys.identity.clone();
        let desk = tokio::spawn(async move { desk.serve(&accept, &identity, std::future::pending()).await });

        let remote = |held: usize| client(&keys, &at_desk, &keys.held[held]);
        let nodes: Arc<RemoteDesk> = Arc::new(RemoteDesk::new(remote(2), WireLimits::default()));
        let cpu = NodeId::new("cpu-1").unwrap();
        let cpu = CpuNode::new(cpu, Arc::clone(&nodes) as _, OperationRegistry::standard(), 4);
        let cpu = tokio::spawn(cpu.run(std::future::pending()));
        let pod = PodNode::new(NodeId::new("pod-1").unwrap(), nodes, router(fixture.script.as_ref()), 4);
        let pod = tokio::spawn(pod.run(std::future::pending()));

        let sessions = Arc::new(RemoteSessions::new(remote(3), WireLimits::default()));
        let gateway = Gateway::new(Arc::clone(&sessions) as _, keys.tokens.clone(), GatewayConfig::default());
        let (accept, at_gateway) = listener().await;
        let identity = keys.identity.clone();
        let gateway =
            tokio::spawn(async move { gateway.serve(&accept, &identity, std::future::pending()).await });

        // Once every node has said what it offers.
        let models = fixture.script.as_ref().map_or(0, |script| script.models.len());
        loop {
            let offered = sessions.capabilities().await;
            if offered.is_ok_and(|offer| !offer.operations.is_empty() && offer.models.len() >= models) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        let config = KrakoConfig {
            ca_file: Some(keys.authority.certificate_file()),
            token: Some(KeySource::File(token.clone())),
            ..KrakoConfig::new(at_gateway)
        };
        let backend = KrakoBackend::connect(config).await.unwrap();
        let context = ExecutionContext {
            run_id: RunId::new("run").unwrap(),
            trace_id: TraceId::new("trace").unwrap(),
            backend_mode: BackendMode::Krako,
            user_id: None,
            interface_version: InterfaceVersion::CURRENT,
        };
        let result = backend.execute_taskgraph(&fixture.graph, &context).await.unwrap();
        assert_eq!(
            result.execution_metadata.semantic_digest.to_string(),
            local.execution_metadata.semantic_digest.to_string(),
            "{}: {:?}",
            fixture.name,
            result.failure
        );
        let output = |result: &backend_api::ExecutionResult| {
            result.final_output.as_ref().map(|output| output.value().clone())
        };
        assert_eq!(output(&result), output(&local), "{}", fixture.name);
        for task in [desk.abort_handle(), gateway.abort_handle(), cpu.abort_handle(), pod.abort_handle()] {
            task.abort();
        }
    }
}
