//! The llama.cpp server as a child on a loopback port: started once, bounded, never left behind.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// The name under which the server has its model.
pub(crate) const ALIAS: &str = "smollm2";
/// What it wants to be let in with.
pub(crate) const KEY: &str = "sk-foreign-test";

/// What is installed has to be what is pinned here.
const REQUIREMENTS: &str = include_str!("requirements.txt");
/// Loading takes a second where nothing else is going on.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is asked whether it still computes.
const LOOKS: u32 = 300;

/// A running server. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Starts it: 512 tokens of context for each of two calls at once.
    pub(crate) fn start() -> Self {
        let peers = installed();
        let python = std::fs::read_to_string(peers.join("python")).unwrap();
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("foreign-server.log");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign/server.py");
        let mut child = Command::new(&python)
            .arg(script)
            .arg(model_store::testing::default_model())
            .args([ALIAS, KEY, "1024", "2"])
            .env("PYTHONPATH", &peers)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            // Waiting threads sleep: others want to compute, too.
            .env("OMP_WAIT_POLICY", "passive")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("{python} cannot be started: {error}; {HOW_TO_INSTALL}"));
        let said = first_line(&mut child);
        let mut server = Self { child, address: String::new() };
        let said = said.unwrap_or_else(|| {
            // Before its last words are read, so that they are its last.
            server.kill();
            panic!("the server did not start within {PATIENCE:?}; it said:\n{}", last_words(&log))
        });
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        said["address"].as_str().unwrap().clone_into(&mut server.address);
        server
    }

    /// Such as `http://127.0.0.1:1234`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Tokens that it generated since its start, whoever read them.
    pub(crate) fn tokens_generated(&self) -> u64 {
        self.metric("llamacpp:tokens_predicted_total")
    }

    /// Resolves once it computes nothing any more.
    pub(crate) async fn until_idle(&self) {
        for _ in 0..LOOKS {
            if self.metric("llamacpp:requests_processing") == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        unreachable!("it still computes, for nobody")
    }

    pub(crate) fn kill(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }

    fn metric(&self, name: &str) -> u64 {
        let host = self.address.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {KEY}\r\n");
        stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        let value = said.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or_else(|| panic!("no `{name}` in {said}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

const HOW_TO_INSTALL: &str = "install the foreign servers with `cargo xtask peers`";

/// Where the packages are, if they are those that are pinned.
fn installed() -> PathBuf {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers");
    let found = std::fs::read_to_string(peers.join("requirements.txt"));
    assert!(
        found.is_ok_and(|found| found == REQUIREMENTS),
        "this test talks to a real llama.cpp server, which is not installed, or not in the version that is pinned; \
         {HOW_TO_INSTALL}"
    );
    peers
}

/// The first line that the child says, unless it ends or takes too long.
fn first_line(child: &mut Child) -> Option<String> {
    let stdout = child.stdout.take()?;
    let (said, heard) = mpsc::channel();
    // Ends with the child, whose output it reads.
    std::thread::spawn(move || {
        let mut line = String::new();
        if BufReader::new(stdout).read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
            drop(said.send(line));
        }
    });
    heard.recv_timeout(PATIENCE).ok()
}

fn last_words(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
