//! The processes.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use krako_contract::{TenantId, WireLimits};
use krako_fabric::{
    DevelopmentAuthority, Holder, RemoteSessions, SystemWallClock, Token, TokenFile, TokenLine,
};
use krako_transport::{Client, Endpoint, Secret, TcpDial, TransportLimits, Trust};
use models::Script;
use tempfile::TempDir;
use tokio::net::TcpSocket;

use crate::{agreed, support};

/// Whose sessions there are.
pub(crate) const TENANTS: [&str; 3] = ["northwind", "contoso", "fabrikam"];

/// One part: how it is started, and its process while it runs.
struct Part {
    arguments: Vec<String>,
    process: Option<Child>,
}

impl Part {
    fn start(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fabric-part"));
        // It ends when this end of its input is closed, however that comes.
        let command = command.args(&self.arguments).stdin(Stdio::piped());
        self.process = Some(command.spawn().unwrap());
    }

    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that nobody else is given while its owner is dead.
struct Port {
    number: u16,
    _kept: TcpSocket,
}

impl Port {
    fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self { number: socket.local_addr().unwrap().port(), _kept: socket }
    }
}

/// A fabric of processes.
pub(crate) struct Fleet {
    // First, so that they end before their folder.
    parts: Vec<Mutex<Part>>,
    desk: Port,
    gateway: Port,
    pub(crate) folder: TempDir,
}

impl Fleet {
    /// Its place among the parts.
    pub(crate) const ORCHESTRATOR: usize = 0;

    /// Every part, started once.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        DevelopmentAuthority::open_or_make(folder.path(), &SystemWallClock::default()).unwrap();
        write_tokens(folder.path());
        fs::write(folder.path().join(agreed::SCRIPT), serde_json::to_string(&script()).unwrap()).unwrap();
        let (desk, gateway) = (Port::new(), Port::new());
        let (of, at) = (desk.number.to_string(), gateway.number.to_string());
        let home = folder.path().to_str().unwrap();
        let lines = [
            vec!["orchestrator", home, &of],
            vec!["gateway", home, &of, &at],
            vec!["cpu", home, &of, "cpu-1"],
            vec!["cpu", home, &of, "cpu-2"],
            vec!["llm_pod", home, &of, "pod-1"],
        ];
        let parts = lines.map(|line| {
            let mut part = Part { arguments: line.into_iter().map(String::from).collect(), process: None };
            part.start();
            Mutex::new(part)
        });
        Self { parts: parts.into(), desk, gateway, folder }
    }

    pub(crate) fn parts(&self) -> usize {
        self.parts.len()
    }

    fn part(&self, which: usize) -> MutexGuard<'_, Part> {
        self.parts[which].lock().unwrap()
    }

    /// What a part is called.
    pub(crate) fn name(&self, which: usize) -> String {
        let part = self.part(which);
        if part.arguments.len() > 3 && part.arguments[0] != "gateway" {
            part.arguments[3].clone()
        } else {
            part.arguments[0].clone()
        }
    }

    /// Ends a part at once (SIGKILL).
    pub(crate) fn kill(&self, which: usize) {
        self.part(which).kill();
    }

    pub(crate) fn restart(&self, which: usize) {
        self.part(which).start();
    }

    /// Ends all of it.
    pub(crate) fn end(&self) {
        (0..self.parts()).for_each(|which| self.kill(which));
    }

    /// Resolves when a part ends that nobody killed.
    pub(crate) async fn someone_dies(&self) -> String {
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            for which in 0..self.parts() {
                let ended = self.part(which).process.as_mut().and_then(|process| process.try_wait().unwrap());
                if let Some(status) = ended {
                    return format!("{} ended by itself: {status}", self.name(which));
                }
            }
        }
    }

    pub(crate) fn at_gateway(&self) -> Endpoint {
        endpoint(&self.gateway)
    }

    pub(crate) fn ca_file(&self) -> std::path::PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The token of a tenant.
    pub(crate) fn token(&self, tenant: &str) -> std::path::PathBuf {
        self.folder.path().join(format!("{tenant}.token"))
    }

    fn client(&self, endpoint: Endpoint, token: &Path) -> Client {
        let token = Secret::from_text(&fs::read_to_string(token).unwrap()).unwrap();
        let trust = Trust::Pinned(self.ca_file());
        Client::new(endpoint, trust, Some(token), Arc::new(TcpDial), TransportLimits::default()).unwrap()
    }

    /// A tenant without KrakoBackend, who sees every byte.
    pub(crate) fn caller(&self, tenant: &str) -> Client {
        self.client(self.at_gateway(), &self.token(tenant))
    }

    /// The orchestrator itself.
    pub(crate) fn sessions(&self) -> RemoteSessions {
        let token = self.folder.path().join(agreed::GATEWAY_TOKEN);
        RemoteSessions::new(self.client(endpoint(&self.desk), &token), WireLimits::default())
    }
}

fn endpoint(port: &Port) -> Endpoint {
    Endpoint::parse(&format!("https://localhost:{}", port.number)).unwrap()
}

fn write_tokens(folder: &Path) {
    let mut file = TokenFile::open(&folder.join(agreed::TOKENS)).unwrap();
    let tenants = TENANTS.map(|name| (format!("{name}.token"), Holder::Tenant(TenantId::new(name).unwrap())));
    let parts = [
        (agreed::NODE_TOKEN.to_owned(), Holder::Node(String::from("nodes"))),
        (agreed::GATEWAY_TOKEN.to_owned(), Holder::Gateway(String::from("gateway"))),
    ];
    for (name, holder) in tenants.into_iter().chain(parts) {
        let token = Token::make().unwrap();
        fs::write(folder.join(name), token.reveal()).unwrap();
        file.add(TokenLine { holder, name: None, digest: token.digest() }).unwrap();
    }
}

/// One model for all golden graphs: no two of them call a task of a model alike.
fn script() -> Script {
    let mut all: Option<Script> = None;
    for script in support::golden().into_iter().filter_map(|fixture| fixture.script) {
        match &mut all {
            None => all = Some(script),
            Some(all) => {
                assert_eq!(all.models, script.models);
                for (task, steps) in script.tasks {
                    assert!(all.tasks.insert(task, steps).is_none());
                }
            }
        }
    }
    all.unwrap()
}
