//! A backend behind a command, good or bad as its first argument says. The tests of the stdio plug start it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "it is a test's other half, and may end in any way")]

use std::io::{self, BufRead, Write};
use std::process::{Command, Stdio, exit};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use backend_api::BackendMode;
use backend_local::{LocalBackend, LocalConfig};
use backend_server::{BackendService, HelloModels, Identity, Served, StdioLimits, serve_stdio};
use models::{ModelRouter, OpenAiAdapter};
use serde_json::{Value, json};

fn main() {
    // A stack of calls after its last words would push them out where `RUST_BACKTRACE` is set.
    std::panic::set_hook(Box::new(|info| eprintln!("{info}")));
    let behaviour = std::env::args().nth(1).unwrap_or_default();
    match behaviour.as_str() {
        "good" => good(),
        "crashes-at-start" => {
            eprintln!("no configuration\nset BACKEND_HOME");
            exit(3);
        }
        "prints-a-banner" => say("Listening on stdin …"),
        _ => {}
    }
    let mut held_back = Vec::new();
    for line in io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let (id, verb) = (&request["id"], request["verb"].as_str().unwrap());
        let ok = |document: Value| json!({"id": id, "ok": document}).to_string();
        let hello = |protocol| {
            ok(json!({"protocol": protocol, "name": "peer", "version": "7", "backend_mode": "local"}))
        };
        match (verb, behaviour.as_str()) {
            ("hello", "is-silent-at-hello") => {}
            ("hello", "speaks-another-protocol") => say(&hello("2.0")),
            ("hello", "refuses-hello") => {
                say(&json!({"id": id, "error": {"message": "1.0 is too old"}}).to_string())
            }
            ("hello", "has-no-name") => say(&ok(json!({"protocol": "1.0"}))),
            ("hello", _) => say(&hello("1.3")),
            ("execute_taskgraph", "crashes") => {
                eprintln!("about to divide by zero");
                panic!("attempt to divide by zero");
            }
            ("execute_taskgraph", "exits") => exit(0),
            ("execute_taskgraph", "says-garbage") => {
                println!("DEBUG running");
                say(&ok(json!({"status": "success"})));
            }
            ("execute_taskgraph", "answers-twice") => {
                say(&ok(json!({"status": "success"})));
                say(&ok(json!({"status": "success"})));
            }
            ("execute_taskgraph", "answers-another") => say(&json!({"id": 99, "ok": {}}).to_string()),
            ("execute_taskgraph", "says-too-much") => say(&ok(json!({"output": "x".repeat(100_000)}))),
            ("execute_taskgraph", "answers-backwards") => {
                held_back.push(ok(request["execution_context"].clone()));
                if held_back.len() == 3 {
                    held_back.drain(..).rev().for_each(|line| say(&line));
                }
            }
            ("execute_taskgraph", "remembers-cancel") => {}
            ("cancel", "remembers-cancel") => {
                eprintln!("cancel {}", request["target"]);
                say(&ok(json!({})));
                say(&json!({"id": request["target"], "cancelled": {}}).to_string());
            }
            ("health_check", "does-not-do-everything") => {
                say(&json!({"id": id, "unsupported": {"reason": "not yet"}}).to_string());
            }
            ("health_check", "logs-a-lot") => {
                (0..10_000).for_each(|n| eprintln!("line {n}"));
                say(&ok(json!({"status": "healthy"})));
            }
            ("health_check", "starts-another") => say(&ok(json!({"another": another()}))),
            ("health_check", "is-silent") => {}
            ("shutdown", "is-deaf" | "starts-another") => loop {
                thread::sleep(Duration::from_secs(3600));
            },
            ("shutdown", _) => {
                say(&ok(json!({})));
                exit(0);
            }
            _ => say(&ok(json!({"pid": std::process::id()}))),
        }
    }
    if behaviour == "is-deaf" {
        thread::sleep(Duration::from_secs(3600));
    }
}

fn say(line: &str) {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}").unwrap();
    output.flush().unwrap();
}

/// Starts a process that outlives this one if nobody ends it, and gives its number.
fn another() -> u32 {
    let this = std::env::current_exe().unwrap();
    let streams = || Stdio::null();
    let started =
        Command::new(this).arg("is-deaf").stdin(streams()).stdout(streams()).stderr(streams()).spawn();
    started.unwrap().id()
}

fn good() -> ! {
    let make = |models: Option<&HelloModels>| {
        let models = models.ok_or("no models")?;
        let config = json!({"name": "hello", "base_url": models.base_url, "models": models.models});
        let config = serde_json::from_value(config).map_err(|error| error.to_string())?;
        let adapter = OpenAiAdapter::new(config).map_err(|error| error.to_string())?;
        let models = ModelRouter::new(vec![Arc::new(adapter)]).map_err(|error| error.to_string())?;
        let backend = LocalBackend::new(LocalConfig { models, ..LocalConfig::default() });
        let identity =
            Identity { name: "good".into(), version: "1".into(), backend_mode: BackendMode::Local };
        Ok(Served { identity, service: Arc::new(BackendService::new(Arc::new(backend))) })
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let served = serve_stdio(tokio::io::stdin(), tokio::io::stdout(), StdioLimits::default(), make);
    runtime.block_on(served).unwrap();
    exit(0)
}
