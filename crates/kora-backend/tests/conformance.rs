//! The suite as people run it: this build's backend in process, as a command and behind a URL, and what reads reports.
#![expect(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_kora-backend");

fn conformance(arguments: &[&str]) -> Output {
    Command::new(BINARY).arg("conformance").args(arguments).output().unwrap()
}

/// The report of a run with so many generated graphs of each family.
fn report(graphs: &str, subject: &[&str]) -> Value {
    let run = ["run", "--profile", "local", "--graphs", graphs, "--json"];
    let output = conformance(&[&run[..], subject].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| unreachable!("{error}: {said}"))
}

fn verdicts(report: &Value) -> BTreeMap<String, String> {
    let cases = report["cases"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    cases.iter().map(|case| (text(&case["id"]), text(&case["verdict"]))).collect()
}

#[track_caller]
fn conforms(report: &Value) {
    let failed: Vec<&Value> = report["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|case| !matches!(case["verdict"].as_str(), Some("pass" | "not_applicable" | "not_run")))
        .collect();
    assert_eq!(report["conformance"], "conformant", "{failed:#?}");
}

/// A server that ends with the test.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    /// LocalBackend over HTTP, whose model will be at `model_port`.
    fn start(folder: &Path, model_port: u16) -> Self {
        let config = folder.join("models.toml");
        let text = format!(
            r#"[[openai]]
name = "suite"
base_url = "http://127.0.0.1:{model_port}/v1"
models = [
    {{ id = "suite-small", tier = "small", context_tokens = 8192 }},
    {{ id = "suite-large", tier = "large", context_tokens = 32768 }},
]
"#
        );
        std::fs::write(&config, text).unwrap();
        let mut child = Command::new(BINARY)
            .args(["serve", "--listen", "127.0.0.1:0", "--json", "--config"])
            .arg(&config)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        let url = said.as_object().unwrap().values().find_map(|value| Some(value.as_str()?.to_owned()));
        Self { child, url: url.unwrap() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

// shows C2.6, C1.3
#[test]
fn the_verdicts_are_the_same_in_process_as_a_command_and_behind_a_url() {
    let here = report("6", &["--backend", "local"]);
    conforms(&here);
    let command = report("6", &["--cmd", &format!("'{BINARY}' serve --stdio")]);
    conforms(&command);
    let folder = TempDir::new().unwrap();
    let model_port = free_port();
    let server = Server::start(folder.path(), model_port);
    let behind = report("6", &["--url", &server.url, "--model-listen", &format!("127.0.0.1:{model_port}")]);
    conforms(&behind);
    assert_eq!(verdicts(&here), verdicts(&command));
    assert_eq!(verdicts(&here), verdicts(&behind));
}

// shows C2.1, C6.1
#[test]
fn ten_runs_give_ten_equal_reports() {
    let digests: Vec<Value> =
        (0..10).map(|_| report("2", &["--backend", "local"])["digest"].clone()).collect();
    assert!(digests.iter().all(|digest| *digest == digests[0] && digest.is_string()), "{digests:?}");
}

// shows C2.6
#[test]
fn a_report_is_kept_verified_compared_and_decided_on() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let output = conformance(&["run", "--graphs", "2", "--report", &path("one")]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    let report = path("one/report.json");
    for form in ["one/report.html", "one/junit.xml", "one/summary.md"] {
        assert!(std::fs::metadata(path(form)).unwrap().len() > 0, "{form}");
    }
    assert_eq!(conformance(&["verify", &report]).status.code(), Some(0));
    assert_eq!(conformance(&["diff", &report, &report]).status.code(), Some(0));
    std::fs::write(path("policy.toml"), "profiles = [\"local\"]\n").unwrap();
    let gate = conformance(&["gate", "--policy", &path("policy.toml"), &report]);
    assert_eq!(gate.status.code(), Some(0), "{}", String::from_utf8_lossy(&gate.stdout));

    let edited = std::fs::read_to_string(&report).unwrap().replace("\"seed\": 1,", "\"seed\": 2,");
    std::fs::write(path("edited.json"), edited).unwrap();
    assert_eq!(conformance(&["verify", &path("edited.json")]).status.code(), Some(30));
    let gate = conformance(&["gate", "--policy", &path("policy.toml"), &path("edited.json")]);
    assert_eq!(gate.status.code(), Some(2), "a report that is not whole decides nothing");
}

// shows C2.6
#[test]
fn a_filtered_run_is_incomplete_whatever_it_finds() {
    let output = conformance(&["run", "--only", "C7.3", "--graphs", "0"]);
    assert_eq!(output.status.code(), Some(31), "{}", String::from_utf8_lossy(&output.stdout));
    let nothing = conformance(&["run", "--only", "C99.9"]);
    assert_eq!(nothing.status.code(), Some(2));
}

#[test]
fn a_doctor_tells_what_to_do() {
    let well = conformance(&["doctor", "--cmd", &format!("'{BINARY}' serve --stdio")]);
    assert_eq!(well.status.code(), Some(0), "{}", String::from_utf8_lossy(&well.stdout));
    let ill = conformance(&["doctor", "--cmd", "false"]);
    let said = String::from_utf8_lossy(&ill.stdout);
    assert_eq!(ill.status.code(), Some(30), "{said}");
    assert!(said.contains("help: start it by hand"), "{said}");
}

#[test]
fn a_case_and_a_clause_are_explained() {
    for what in ["C7.3", "7", "C7.3-two-retries"] {
        let output = conformance(&["explain", what]);
        assert_eq!(output.status.code(), Some(0), "{what}");
        assert!(output.stdout.len() > 100, "{what}");
    }
    assert_eq!(conformance(&["explain", "C99"]).status.code(), Some(2));
}
