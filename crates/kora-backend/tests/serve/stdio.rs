//! The protocol with a real process: its pipes, its exit code, the models of its hello.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::model::ModelServer;
use crate::{fixture, serve, wait};

pub(crate) struct Conversation {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Conversation {
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut child = serve(&[&["--stdio"], args].concat()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        Self { child, input, output: BufReader::new(output) }
    }

    fn say(&mut self, request: &Value) {
        writeln!(self.input.as_mut().unwrap(), "{request}").unwrap();
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    pub(crate) fn ask(&mut self, request: &Value) -> Value {
        self.say(request);
        self.hear()
    }

    /// The exit code, once it is known that nothing more was said.
    pub(crate) fn end(mut self) -> Option<i32> {
        self.input = None;
        let code = wait(&mut self.child);
        let (mut more, mut said) = (String::new(), String::new());
        self.output.read_to_string(&mut more).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!((more.as_str(), said.as_str()), ("", ""));
        code
    }
}

fn hello(server: &ModelServer) -> Value {
    json!({"id": 1, "verb": "hello", "protocol": "1.0", "models": {
        "base_url": server.base_url(),
        "models": [{"id": "suite-small", "tier": "small", "context_tokens": 8192}],
    }})
}

fn execute(id: u64, graph: &str) -> Value {
    let graph: Value = serde_json::from_str(graph).unwrap();
    json!({"id": id, "verb": "execute_taskgraph", "taskgraph": graph,
        "execution_context": {"run_id": format!("r-{id}"), "trace_id": "t-1", "backend_mode": "local"}})
}

// shows C1.1, C3.1, C3.5, C3.6
#[test]
fn a_program_runs_graphs_without_a_model_and_ends_it_by_a_word() {
    let mut conversation = Conversation::start(&[]);
    let hello = conversation.ask(&json!({"id": 1, "verb": "hello", "protocol": "1.0"}));
    assert_eq!(hello["ok"]["name"], "kora-backend");
    assert_eq!(hello["ok"]["backend_mode"], "local");
    let capabilities = conversation.ask(&json!({"id": 2, "verb": "capability_descriptor"}));
    assert_eq!(capabilities["ok"]["models"], json!([]));
    assert_eq!(conversation.ask(&json!({"id": 3, "verb": "health_check"}))["ok"]["status"], "healthy");
    let result = conversation.ask(&execute(4, &fixture("golden/support-triage.json")));
    let expected: Value = serde_json::from_str(&fixture("golden/support-triage.expected.json")).unwrap();
    assert_eq!(result["ok"]["execution_metadata"]["semantic_digest"], expected["semantic_digest"]);
    assert_eq!(result["ok"]["execution_metadata"]["run_id"], "r-4");
    assert_eq!(conversation.ask(&json!({"id": 5, "verb": "shutdown"})), json!({"id": 5, "ok": {}}));
    assert_eq!(conversation.end(), Some(0));
}

// shows C4.2, C11.3
#[test]
fn the_models_of_hello_answer_and_nothing_else_does() {
    let server = ModelServer::start();
    let mut conversation = Conversation::start(&[]);
    assert_eq!(conversation.ask(&hello(&server))["ok"]["protocol"], "1.0");
    let capabilities = conversation.ask(&json!({"id": 2, "verb": "capability_descriptor"}));
    assert_eq!(capabilities["ok"]["models"][0]["model_id"], "suite-small");
    assert_eq!(capabilities["ok"]["supported_context_window"], 8192);
    conversation.say(&execute(3, &fixture("clauses/C4.2-model.json")));
    let (question, stream) = server.question();
    assert_eq!(question["model"], "suite-small");
    ModelServer::answer(stream, "suite-small", &json!({"text": "red"}));
    let result = conversation.hear();
    assert_eq!(result["ok"]["status"], "success", "{result}");
    assert_eq!(result["ok"]["telemetry_bundle"]["summary"]["model_invocation_count"], 1);
    assert_eq!(conversation.end(), Some(0));
}

#[test]
fn a_cancelled_run_hangs_up_on_its_model() {
    let server = ModelServer::start();
    let mut conversation = Conversation::start(&[]);
    conversation.ask(&hello(&server));
    conversation.say(&execute(2, &fixture("clauses/C4.2-model.json")));
    let (_, mut stream) = server.question();
    let asked = Instant::now();
    conversation.say(&json!({"id": 3, "verb": "cancel", "target": 2}));
    let mut answers = [conversation.hear(), conversation.hear()];
    answers.sort_by_key(|answer| answer["id"].as_u64());
    assert_eq!(answers, [json!({"id": 2, "cancelled": {}}), json!({"id": 3, "ok": {}})]);
    let _ = stream.read_to_end(&mut Vec::new());
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert_eq!(conversation.end(), Some(0));
}

#[test]
fn the_end_of_input_hangs_up_on_models_too() {
    let server = ModelServer::start();
    let mut conversation = Conversation::start(&[]);
    conversation.ask(&hello(&server));
    conversation.say(&execute(2, &fixture("clauses/C4.2-model.json")));
    let (_, mut stream) = server.question();
    conversation.input = None;
    assert_eq!(conversation.hear(), json!({"id": 2, "cancelled": {}}));
    let _ = stream.read_to_end(&mut Vec::new());
    assert_eq!(conversation.end(), Some(0));
}

#[test]
fn models_that_cannot_be_used_are_said_to_be() {
    let mut conversation = Conversation::start(&[]);
    let mut refused = Vec::new();
    for (base_url, models) in [
        ("http://192.0.2.1/v1", json!([{"id": "m"}])),
        ("not a url", json!([{"id": "m"}])),
        ("http://127.0.0.1:1/v1", json!([{"id": "m", "tier": "m"}])),
        ("http://127.0.0.1:1/v1", json!([{"id": "m"}, {"id": "m"}])),
        ("http://127.0.0.1:1/v1", json!([{"tier": "m"}])),
    ] {
        let models = json!({"base_url": base_url, "models": models});
        let hello = json!({"id": 1, "verb": "hello", "protocol": "1.0", "models": models});
        refused.push(conversation.ask(&hello)["error"]["message"].clone());
    }
    insta::assert_json_snapshot!(refused);
    assert_eq!(conversation.end(), Some(0));
}

#[test]
fn a_configuration_that_cannot_be_used_is_told_before_any_conversation() {
    let mut child = serve(&["--stdio", "--config", "absent.toml"]).spawn().unwrap();
    assert_eq!(wait(&mut child), Some(2));
}

#[test]
fn without_models_in_hello_those_of_the_command_line_answer() {
    let script = "clauses/C4.2-model.script.json";
    let mut conversation = Conversation::start(&["--scripted-model", script]);
    conversation.ask(&json!({"id": 1, "verb": "hello", "protocol": "1.0"}));
    let result = conversation.ask(&execute(2, &fixture("clauses/C4.2-model.json")));
    assert_eq!(result["ok"]["status"], "success", "{result}");
    assert_eq!(conversation.end(), Some(0));
}
