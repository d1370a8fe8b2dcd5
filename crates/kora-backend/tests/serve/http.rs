//! The local API with a real process: its output, its sockets, its signals.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::model::ModelServer;
use crate::{PATIENCE, fixture, serve, wait};

pub(crate) struct Server {
    child: Child,
    said: Value,
}

impl Server {
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut child = serve(&[&["--listen", "127.0.0.1:0", "--json"], args].concat()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let said = serde_json::from_str(&line).unwrap();
        Self { child, said }
    }

    fn connect(&self) -> TcpStream {
        let address = self.said["listening"].as_str().unwrap().strip_prefix("http://").unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn begin(&self, graph: &str) -> TcpStream {
        let graph: Value = serde_json::from_str(graph).unwrap();
        self.post(&json!({"api_version": "1.0", "taskgraph": graph, "execution_context": {"run_id": "r-1"}}))
    }

    pub(crate) fn post(&self, request: &Value) -> TcpStream {
        let (body, mut stream) = (request.to_string(), self.connect());
        let head = "POST /execute HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json";
        write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
        stream
    }

    fn get(&self, path: &str) -> Value {
        let mut stream = self.connect();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
        answer(stream)
    }

    fn signal(&mut self, signal: Signal) {
        assert_eq!(self.child.try_wait().unwrap(), None, "it is still there");
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended cannot be killed, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn answer(mut stream: TcpStream) -> Value {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (_, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    serde_json::from_str(body).unwrap()
}

// shows C1.1, C3.5, C3.6
#[test]
fn a_graph_runs_and_its_telemetry_can_be_asked_for() {
    let mut server = Server::start(&[]);
    assert_eq!(
        (&server.said["name"], &server.said["backend_mode"]),
        (&json!("kora-backend"), &json!("local"))
    );
    let result = answer(server.begin(&fixture("golden/support-triage.json")));
    let expected: Value = serde_json::from_str(&fixture("golden/support-triage.expected.json")).unwrap();
    assert_eq!(result["execution_metadata"]["semantic_digest"], expected["semantic_digest"]);
    assert_eq!(server.get("/telemetry/r-1")["summary"], result["telemetry"]["summary"]);
    assert_eq!(server.get("/health")["status"], "healthy");
    assert_eq!(server.get("/capabilities")["distributed"], false);
    server.signal(Signal::TERM);
    assert_eq!(wait(&mut server.child), Some(0));
}

fn with_model(model: &ModelServer, folder: &tempfile::TempDir) -> Server {
    let config = folder.path().join("models.toml");
    let text = format!(
        "[[openai]]\nname = \"played\"\nbase_url = \"{}\"\nmodels = [{{ id = \"m\", tier = \"small\" }}]\n",
        model.base_url()
    );
    std::fs::write(&config, text).unwrap();
    Server::start(&["--config", config.to_str().unwrap()])
}

// shows C4.2
#[test]
fn a_caller_who_goes_away_hangs_up_on_the_model() {
    let (model, folder) = (ModelServer::start(), tempfile::tempdir().unwrap());
    let server = with_model(&model, &folder);
    assert_eq!(server.get("/models")["models"][0]["model_id"], "m");
    let caller = server.begin(&fixture("clauses/C4.2-model.json"));
    let (_, mut question) = model.question();
    let gone = Instant::now();
    drop(caller);
    let _ = question.read_to_end(&mut Vec::new());
    assert!(gone.elapsed() < Duration::from_secs(3), "{:?}", gone.elapsed());
    // The next is served as if nothing had been.
    let caller = server.begin(&fixture("clauses/C4.2-model.json"));
    let (_, question) = model.question();
    ModelServer::answer(question, "m", &json!({"text": "red"}));
    assert_eq!(answer(caller)["status"], "success");
}

#[test]
fn a_signal_lets_the_run_end_that_is_under_way() {
    let (model, folder) = (ModelServer::start(), tempfile::tempdir().unwrap());
    let mut server = with_model(&model, &folder);
    let caller = server.begin(&fixture("clauses/C4.2-model.json"));
    let (_, question) = model.question();
    server.signal(Signal::INT);
    // It takes no more callers before it ends.
    let patience = Instant::now() + PATIENCE;
    while TcpStream::connect(server.said["listening"].as_str().unwrap().strip_prefix("http://").unwrap())
        .is_ok()
    {
        assert!(Instant::now() < patience, "it still listens");
        std::thread::sleep(Duration::from_millis(5));
    }
    ModelServer::answer(question, "m", &json!({"text": "red"}));
    assert_eq!(answer(caller)["status"], "success");
    assert_eq!(wait(&mut server.child), Some(0));
}

#[test]
fn a_second_ctrl_c_ends_it_at_once() {
    let (model, folder) = (ModelServer::start(), tempfile::tempdir().unwrap());
    let mut server = with_model(&model, &folder);
    let _caller = server.begin(&fixture("clauses/C4.2-model.json"));
    let _question = model.question();
    server.signal(Signal::INT);
    while TcpStream::connect(server.said["listening"].as_str().unwrap().strip_prefix("http://").unwrap())
        .is_ok()
    {
        std::thread::sleep(Duration::from_millis(5));
    }
    server.signal(Signal::INT);
    assert_eq!(wait(&mut server.child), Some(130));
}

fn refused(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn where_it_cannot_or_should_not_listen_is_said() {
    let (code, said) = refused(&mut serve(&["--listen", "0.0.0.0:0"]));
    assert_eq!(code, Some(2));
    insta::assert_snapshot!("open_to_others", said);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, said) = refused(&mut serve(&["--listen", &address, "--json"]));
    let document: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &document["error_type"]), (Some(2), &json!("USAGE_ERROR")));
    assert!(document["message"].as_str().unwrap().starts_with("cannot listen on `127.0.0.1:"), "{said}");
    assert_eq!(refused(&mut serve(&["--stdio", "--json"])).0, Some(2));
    assert_eq!(refused(&mut serve(&["--listen", "localhost"])).0, Some(2));
}
