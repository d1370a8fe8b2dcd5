//! The built command, as a shell sees it: exit codes, what it prints, and what it does to signals and pipes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what cannot be set up is a failed test")]

#[path = "shared/output.rs"]
mod output;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use self::output::{code, err, json_of, out};

/// Far more than any of these takes, so that a command that hangs is a failed test.
const PATIENCE: Duration = Duration::from_secs(30);

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kora-backend"));
    command
        .args(args)
        .current_dir(fixtures())
        .env_remove("KORA_BACKEND_CONFIG")
        .env("KORA_BACKEND_NO_EMBEDDED", "1")
        .env_remove("NO_COLOR");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

fn with_stdin(args: &[&str], input: &[u8]) -> Output {
    let mut child = command(args).stdin(Stdio::piped()).spawn().unwrap();
    // Whoever refuses early reads no further.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// With a stand-in for its models if the fixture has a script.
fn run_fixture(name: &str, more: &[&str]) -> Output {
    let (graph, script) = (format!("{name}.json"), format!("{name}.script.json"));
    let mut args = vec!["run", &graph];
    if fixtures().join(&script).exists() {
        args.extend(["--scripted-model", &script]);
    }
    args.extend(more);
    run(&args)
}

/// A snapshot of a report without what changes from run to run.
fn snapshot(name: &str, report: &str) {
    let filters = [
        (r"\d+ ms  run \S+", "[time] ms  run [id]"),
        // That it is the right one is shown by `fixtures`.
        (r"digest sha256:[0-9a-f]{64}", "digest [digest]"),
        // Widths depend on times, so they are left out.
        (r" {2,}", "  "),
        (r"(?m)  \d+  (pass|fail|-)$", "  [ms]  $1"),
        (r"(?m), \d+ ms$", ", [time] ms"),
    ];
    insta::with_settings!({ filters => filters }, { insta::assert_snapshot!(name, report) });
}

// shows C9.1, C10.3, C3.7
#[test]
fn the_exit_code_says_how_it_ended() {
    for (name, expected) in [
        ("golden/support-triage", 0),
        ("golden/support-triage-with-model", 0),
        ("v0_1/hello-kora", 0),
        ("clauses/C9.1-validation-error", 10),
        ("clauses/C9.1-timeout", 11),
        ("clauses/C9.1-budget-breach", 12),
        ("clauses/C7.5-graph-calls", 12),
        ("clauses/C9.1-dependency-failure", 10),
        ("clauses/C9.1-execution-failure", 14),
        ("clauses/C11.2-no-model-in-a-deterministic-task", 20),
        ("clauses/C10.3-other-major", 21),
        ("clauses/C10.3-no-version", 21),
        ("clauses/C3.7-unknown-operation", 22),
        ("clauses/C11.3-unknown-model", 22),
    ] {
        let output = run_fixture(name, &["--quiet"]);
        assert_eq!(code(&output), expected, "{name}: {}", err(&output));
    }
    assert_eq!(code(&run(&["run", "absent.json"])), 2);
    assert_eq!(code(&run(&["run"])), 2);
    assert_eq!(code(&run(&["run", "golden/support-triage.json", "--backend", "krako"])), 2);
    assert_eq!(code(&run(&["run", "golden/support-triage.json", "--run-id", "a\nb"])), 2);
    assert_eq!(code(&run(&["run", "golden/support-triage.json", "--max-concurrency", "0"])), 2);
}

// shows C3.4, C8.1, C8.2
#[test]
fn the_result_as_json_has_every_part_of_the_contract() {
    let output = run_fixture(
        "golden/support-triage-with-model",
        &["--json", "--run-id", "r-1", "--trace-id", "t-1", "--user-id", "u-1"],
    );
    let result = json_of(&output);
    assert_eq!(result["status"], "success");
    assert_eq!(result["final_output"]["topic"], "reporting");
    let metadata = &result["execution_metadata"];
    assert_eq!((&metadata["run_id"], &metadata["trace_id"]), (&json!("r-1"), &json!("t-1")));
    assert_eq!((&metadata["backend"], &metadata["interface_version"]), (&json!("local"), &json!("1.0.0")));
    let expected = std::fs::read(fixtures().join("golden/support-triage-with-model.expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    assert_eq!(metadata["semantic_digest"], expected["semantic_digest"]);
    let fields = [
        "task_id",
        "task_type",
        "status",
        "duration_ms",
        "tokens_in",
        "tokens_out",
        "retry_count",
        "validation_status",
    ];
    for record in result["telemetry_bundle"]["tasks"].as_array().unwrap() {
        assert!(fields.iter().all(|field| !record[field].is_null()), "{record}");
    }
    for total in ["total_tokens", "total_latency_ms", "model_invocation_count", "deterministic_task_count"] {
        assert!(result["telemetry_bundle"]["summary"][total].is_u64(), "{total}");
    }
    assert_eq!(err(&output), "", "nothing beside the JSON");
}

// shows C10.3, C3.7
#[test]
fn a_refusal_as_json_has_the_words_of_the_api() {
    let refused = json_of(&run(&["run", "clauses/C10.3-other-major.json", "--json"]));
    assert_eq!(refused["error_type"], "VERSION_MISMATCH");
    assert_eq!(refused["details"]["violations"][0]["pointer"], "/kora_version");
    let refused = json_of(&run(&["run", "clauses/C3.7-unknown-operation.json", "--json"]));
    assert_eq!(refused["error_type"], "VALIDATION_ERROR");
    assert_eq!(refused["details"]["unmet"].as_array().unwrap().len(), 2);
    let refused = json_of(&run(&["run", "absent.json", "--json"]));
    assert_eq!(
        (&refused["error_type"], &refused["details"]["file"]),
        (&json!("USAGE_ERROR"), &json!("absent.json"))
    );
}

#[test]
fn people_get_a_table_the_output_and_how_to_mend_what_failed() {
    let output = run_fixture("golden/incident-severity", &[]);
    snapshot("success", &out(&output));
    let output = run_fixture("golden/newsletter-over-budget", &[]);
    snapshot("failure", &(out(&output) + &err(&output)));
}

#[test]
fn quiet_prints_the_final_output_and_nothing_else() {
    let output = run_fixture("golden/translation-qa", &["--quiet"]);
    assert_eq!(json_of(&output)["lost"], json!(["phone"]));
    assert_eq!(err(&output), "");
}

#[test]
fn a_graph_may_come_through_a_pipe() {
    let graph = std::fs::read(fixtures().join("golden/support-triage.json")).unwrap();
    let output = with_stdin(&["run", "-", "--quiet"], &graph);
    assert_eq!(json_of(&output)["queue"], "finance-support");
    let output = with_stdin(&["check", "-"], b"{\"kora_version\": \"1.0.0\",}");
    assert_eq!(code(&output), 20);
    assert!(out(&output).contains("<stdin>:1:"), "{}", out(&output));
}

#[test]
fn a_result_is_saved_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("result.json");
    std::fs::write(&kept, "before").unwrap();
    let to = kept.to_str().unwrap();
    assert_eq!(code(&run_fixture("clauses/C10.3-other-major", &["--output", to])), 21);
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), "before", "a refusal saves nothing");
    assert_eq!(code(&run_fixture("clauses/C9.1-execution-failure", &["--output", to])), 14);
    let saved: Value = serde_json::from_slice(&std::fs::read(&kept).unwrap()).unwrap();
    assert_eq!(saved["failure"]["error_type"], "EXECUTION_FAILURE");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    let output = run_fixture(
        "golden/support-triage",
        &["--output", folder.path().join("no/such.json").to_str().unwrap()],
    );
    assert_eq!(code(&output), 1);
    assert_eq!(out(&output), "", "told before the run, not after it");
}

#[test]
fn files_that_are_no_graphs_are_told_for_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let mut minified = String::from("{\"kora_version\":\"1.0.0\",\"tasks\":[");
    minified += &"{},".repeat(20_000);
    minified += "{}]}";
    let deep = format!("{{\"kora_version\": \"1.0.0\", \"tasks\": {}", "[".repeat(100_000));
    for (name, bytes, says) in [
        ("empty", b"".as_slice(), "syntax"),
        ("not-utf8", b"{\"graph_id\": \"\xff\xfe\"}", "not-utf8"),
        ("bom", "\u{feff}{}".as_bytes(), "byte order mark"),
        ("null", b"null", "version"),
        ("deep", deep.as_bytes(), "json-too-deep"),
        ("minified", minified.as_bytes(), "more"),
        ("binary", &[0_u8; 4096], "syntax"),
    ] {
        let path = file(name, bytes);
        let output = run(&["check", &path]);
        assert!([20, 21].contains(&code(&output)), "{name}: {}{}", out(&output), err(&output));
        assert!(out(&output).contains(says), "{name}: {}", out(&output));
        assert!(out(&output).len() < 400_000, "{name}: {} bytes", out(&output).len());
    }
    let output = run(&["check", folder.path().to_str().unwrap()]);
    assert_eq!(code(&output), 2);
}

#[test]
fn no_graph_commands_the_terminal() {
    let graph = b"{\"kora_version\": \"1.0.0\", \"\\u001b[2J\\u009b\": 1, \"tasks\": [\"\x1b[2J\xc2\x9b\"]}";
    for output in [with_stdin(&["check", "-"], graph), with_stdin(&["run", "-"], graph)] {
        let said = out(&output) + &err(&output);
        assert!(said.contains("?[2J"), "{said}");
        assert!(!said.contains(['\u{1b}', '\u{9b}']), "{said:?}");
    }
}

#[test]
fn check_shows_everything_that_is_wrong_where_it_stands() {
    let graph = r#"{
  "kora_version": "1.0.0",
  "graph_id": "broken",
  "root": "reprot",
  "tasks": [
    { "version": "1.0", "id": "a", "type": "deterministic", "dependencies": ["b"], "input": {},
      "run": { "operation": "echo" }, "schema": { "type": "objekt" } },
    { "version": "1.0", "id": "b", "type": "deterministic", "dependencies": ["a"], "input": {},
      "run": { "operation": "echo" }, "schema": true },
    { "version": "1.0", "id": "a", "type": "model", "dependencies": [], "inptu": {},
      "run": { "model": "small", "prompt": "{{/x" }, "schema": true }
  ]
}
"#;
    let output = with_stdin(&["check", "-"], graph.as_bytes());
    assert_eq!(code(&output), 20);
    insta::assert_snapshot!("violations", out(&output));
    let found = json_of(&with_stdin(&["check", "-", "--json"], graph.as_bytes()));
    assert_eq!(found["valid"], false);
    assert_eq!(found["graphs"][0]["error_type"], "VALIDATION_ERROR");
    assert!(found["graphs"][0]["details"]["violations"].as_array().unwrap().len() >= 5, "{found}");
}

// shows C3.7
#[test]
fn check_shows_what_the_backend_lacks() {
    let output = run(&["check", "clauses/C3.7-unknown-operation.json", "golden/support-triage.json"]);
    assert_eq!(code(&output), 22);
    insta::assert_snapshot!("beyond", out(&output));
    assert_eq!(code(&run(&["check", "--graph-only", "clauses/C3.7-unknown-operation.json"])), 0);
}

#[test]
fn check_tells_the_order_of_a_valid_graph() {
    let script = "golden/incident-severity.script.json";
    let args = ["check", "golden/incident-severity.json", "--scripted-model", script, "--order"];
    let output = run(&args);
    assert_eq!(code(&output), 0, "{}", out(&output));
    insta::assert_snapshot!("valid", out(&output));
    let found = json_of(&run(&[args.as_slice(), &["--json"]].concat()));
    assert_eq!(
        found["graphs"][0]["order"],
        json!(["alerts", "thresholds", "exceeded", "rated", "rated-again", "page"])
    );
}

// shows C3.7
#[test]
fn a_check_tells_what_models_cannot_be_held_to() {
    let folder = tempfile::tempdir().unwrap();
    let (config, graph) = (folder.path().join("models.toml"), folder.path().join("graph.json"));
    let program = env!("CARGO_BIN_EXE_kora-backend");
    // A check starts nothing and reads no weights: that there are some is enough.
    let models = format!("models = [{{ id = \"own\", weights = {{ path = '{program}' }} }}]");
    std::fs::write(&config, format!("[[embedded]]\nworker = '{program}'\n{models}\n")).unwrap();
    let task = json!({
        "version": "1.0", "id": "ask", "type": "model", "dependencies": [], "input": {},
        "schema": {"type": "object", "properties": {"why": {"type": "string"}}},
        "budget": {"max_tokens": 10, "max_time_ms": 1000, "max_retries": 0},
        "run": {"model": "own", "prompt": "why?"},
    });
    let written = json!({"kora_version": "1.0.0", "graph_id": "g", "root": "ask", "tasks": [task]});
    std::fs::write(&graph, written.to_string()).unwrap();
    let args = ["check", graph.to_str().unwrap(), "--config", config.to_str().unwrap()];
    let output = run(&args);
    assert_eq!(code(&output), 0, "{}{}", out(&output), err(&output));
    let told = out(&output);
    assert!(told.contains("task `ask`: nothing but the token cap ends this `string` of `own`"), "{told}");
    assert!(told.contains("/tasks/0/schema/properties/why"), "{told}");
    assert!(told.contains("1 model, 1 note"), "{told}");
    let found = json_of(&run(&[args.as_slice(), &["--json"]].concat()));
    let note = &found["graphs"][0]["notes"][0];
    assert_eq!(
        (&note["task_id"], &note["model"], &note["kind"]),
        (&json!("ask"), &json!("own"), &json!("unbounded"))
    );
    assert_eq!(note["pointer"], "/properties/why");
}

// shows C3.5, C3.6, C10.1
#[test]
fn the_backend_tells_what_it_can_and_how_it_is() {
    let offered = json_of(&run(&["capabilities", "--json"]));
    assert_eq!(
        offered["supported_task_types"],
        json!(["deterministic", "aggregation"]),
        "no models are configured"
    );
    assert_eq!(offered["distributed"], false);
    let script = ["--scripted-model", "golden/incident-severity.script.json"];
    let offered = json_of(&run(&[&["capabilities", "--json"], script.as_slice()].concat()));
    assert_eq!(offered["supported_context_window"], 32768);
    let health = json_of(&run(&[&["health", "--json"], script.as_slice()].concat()));
    assert!(["healthy", "degraded"].contains(&health["status"].as_str().unwrap()), "{health}");
    let listed = json_of(&run(&[&["models", "--json"], script.as_slice()].concat()));
    assert_eq!(listed["adapters"][0]["health"]["status"], "healthy");
    assert_eq!(out(&run(&["--version"])), "kora-backend 0.1.0 (ExecutionBackend interface 1.0.0)\n");
}

#[test]
fn operations_are_listed_and_told_about() {
    assert!(out(&run(&["operations"])).contains("table_lookup"));
    let told = out(&run(&["operations", "table_lookup"]));
    assert!(told.contains("\"table_lookup\"") && told.contains("| `table` |"), "{told}");
    assert!(!told.contains("## "), "only this one: {told}");
    assert_eq!(json_of(&run(&["operations", "vote", "--json"]))["name"], "vote");
    let output = run(&["operations", "table_lokup"]);
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("did you mean `table_lookup`?"), "{}", err(&output));
}

#[test]
fn completions_know_the_subcommands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(out(&run(&["completions", shell])).contains("operations"), "{shell}");
    }
}

#[test]
fn a_configuration_tells_what_is_wrong_and_never_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let with = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        run(&["models", "--config", path.to_str().unwrap()])
    };
    let server =
        "[[openai]]\nname = \"here\"\nbase_url = \"http://127.0.0.1:9/v1\"\nmodels = [{ id = \"m\" }]\n";
    let output = with("good.toml", server);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(out(&output).contains("unavailable"), "nobody listens there: {}", out(&output));
    for (name, text) in [
        ("key.toml", format!("{server}api_key = \"sk-secret\"\n")),
        ("unclosed.toml", format!("{server}api_key = \"sk-secret\n")),
        ("unknown.toml", format!("{server}key = \"sk-secret\"\n")),
        (
            "key.json",
            String::from(
                r#"{"openai": [{"name": "x", "base_url": "http://127.0.0.1:9/v1", "models": [], "api_key": "sk-secret"}]}"#,
            ),
        ),
        ("twice.toml", format!("{server}{server}")),
        ("plaintext.toml", server.replace("127.0.0.1", "models.example")),
    ] {
        let output = with(name, &text);
        assert_eq!(code(&output), 2, "{name}: {}", out(&output));
        assert!(err(&output).contains(name), "{name}: {}", err(&output));
        assert!(!err(&output).contains("sk-secret"), "{name}: {}", err(&output));
    }
    assert_eq!(code(&run(&["models", "--config", "absent.toml"])), 2);
}

#[test]
fn colours_are_for_terminals_only() {
    let output = run_fixture("golden/newsletter-over-budget", &[]);
    assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b));
}

#[test]
fn a_reader_who_goes_away_is_no_panic() {
    let mut child = command(&["run", "golden/data-quality.json", "--json"]).spawn().unwrap();
    drop(child.stdout.take());
    let status = wait(&mut child);
    assert_eq!(status, Some(0));
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "");
}

fn wait(child: &mut Child) -> Option<i32> {
    let patience = Instant::now() + PATIENCE;
    while Instant::now() < patience {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    panic!("it hangs");
}

/// A run that waits for a server which took its question and never answers.
struct Hanging {
    child: Child,
    question: TcpStream,
    _folder: tempfile::TempDir,
}

impl Hanging {
    fn start(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let (graph, config) = (folder.path().join("graph.json"), folder.path().join("models.toml"));
        let document = std::fs::read_to_string(fixtures().join("clauses/C7.4-time-cap.json")).unwrap();
        std::fs::write(&graph, document.replace("\"max_time_ms\": 60,", "\"max_time_ms\": 600000,")).unwrap();
        let address = server.local_addr().unwrap();
        let server_config = format!(
            "[[openai]]\nname = \"mute\"\nbase_url = \"http://{address}/v1\"\nmodels = [{{ id = \"m\", tier = \"small\" }}]\n"
        );
        std::fs::write(&config, server_config).unwrap();
        let args = ["run", graph.to_str().unwrap(), "--config", config.to_str().unwrap()];
        let mut child = command(&[args.as_slice(), more].concat()).spawn().unwrap();
        server.set_nonblocking(true).unwrap();
        let patience = Instant::now() + PATIENCE;
        let question = loop {
            match server.accept() {
                Ok((question, _)) => break question,
                Err(_) if Instant::now() < patience => std::thread::sleep(Duration::from_millis(5)),
                Err(error) => panic!("nobody asked: {error}; it ended with {:?}", child.try_wait()),
            }
        };
        question.set_nonblocking(false).unwrap();
        question.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { child, question, _folder: folder }
    }

    fn interrupt(&mut self) {
        assert_eq!(self.child.try_wait().unwrap(), None, "it waits for its model");
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }
}

#[test]
fn ctrl_c_hangs_up_on_the_model_and_says_what_was_stopped() {
    let mut run = Hanging::start(&[]);
    let pressed = Instant::now();
    run.interrupt();
    assert_eq!(wait(&mut run.child), Some(130));
    assert!(pressed.elapsed() < Duration::from_secs(5), "{:?}", pressed.elapsed());
    let mut asked = Vec::new();
    // The end of the connection: from here on nothing is spent.
    let _ = run.question.read_to_end(&mut asked);
    let mut said = String::new();
    run.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "cancelled: 0 of 1 tasks had settled; stopped `answer`\n");
}

#[test]
fn ctrl_c_as_json_says_the_same() {
    let mut run = Hanging::start(&["--json", "--run-id", "r-1"]);
    run.interrupt();
    let output = run.child.wait_with_output().unwrap();
    assert_eq!(code(&output), 130);
    let said = json_of(&output);
    assert_eq!((&said["error_type"], &said["details"]["run_id"]), (&json!("CANCELLED"), &json!("r-1")));
    assert_eq!(said["details"]["at"]["stopped"], json!(["answer"]));
}
