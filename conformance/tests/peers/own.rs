//! One of the suite's own backends as a command: `own-backend NAME`, over stdio; with `wire-…`, one whose fault is in
//! how it speaks.
#![expect(clippy::unwrap_used, reason = "it is a test's other half, and may end in any way")]

use std::process::{ExitCode, exit};
use std::sync::Arc;
use std::time::Duration;

use backend_api::BackendMode;
use backend_server::{HelloModels, Identity, Served, StdioLimits, serve_stdio};
use conformance::model::ModelClient;
use conformance::own::{Behaviour, Plain};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

/// How a backend that is right spoils its answers on their way: what it writes instead of a line.
type Spoil = fn(&str, Value) -> String;

/// Faults of a process and its protocol, by name.
const WIRE: &[(&str, Spoil)] = &[
    ("wire-prints-to-stdout", |line, answer| match answer["ok"]["telemetry_bundle"].is_object() {
        true => format!("run finished\n{line}\n"),
        false => format!("{line}\n"),
    }),
    ("wire-ends-in-the-middle", |line, answer| {
        if answer["ok"]["telemetry_bundle"].is_object() {
            eprintln!("fatal: out of memory");
            exit(3);
        }
        format!("{line}\n")
    }),
    ("wire-answers-another-id", |_, mut answer| {
        if answer["ok"]["telemetry_bundle"].is_object() {
            answer["id"] = json!(1_000_000);
        }
        format!("{answer}\n")
    }),
    ("wire-writes-half-a-line", |line, answer| match answer["ok"]["telemetry_bundle"].is_object() {
        true => format!("{}\n", &line[..line.len() / 2]),
        false => format!("{line}\n"),
    }),
    ("wire-speaks-another-protocol", |_, mut answer| {
        if answer["ok"].get("protocol").is_some() {
            answer["ok"]["protocol"] = json!("2.0");
        }
        format!("{answer}\n")
    }),
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    let spoil = WIRE.iter().find(|(fault, _)| *fault == name).map(|(_, spoil)| *spoil);
    let slow = name == "slow-to-start";
    let does = if spoil.is_some() || slow { Some(Behaviour::Plain) } else { Behaviour::named(&name) };
    let Some(does) = does else {
        eprintln!("`{name}` is none of the suite's own backends");
        return ExitCode::FAILURE;
    };
    if slow {
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let make = |models: Option<&HelloModels>| {
        let base_url = &models.ok_or("there is no model")?.base_url;
        let client = ModelClient::at(base_url).map_err(|error| error.to_string())?;
        let identity = Identity { name: name.clone(), version: "0".into(), backend_mode: BackendMode::Local };
        Ok(Served { identity, service: Arc::new(Plain::asking(does, client)) })
    };
    let (output, lines) = tokio::io::duplex(1 << 16);
    let forwarding = tokio::spawn(async move {
        let (mut lines, mut stdout) = (BufReader::new(lines).lines(), tokio::io::stdout());
        while let Some(line) = lines.next_line().await.unwrap() {
            let answer = serde_json::from_str(&line).unwrap_or_default();
            let spoilt = spoil.map_or_else(|| format!("{line}\n"), |spoil| spoil(&line, answer));
            stdout.write_all(spoilt.as_bytes()).await.unwrap();
            stdout.flush().await.unwrap();
        }
    });
    serve_stdio(tokio::io::stdin(), output, StdioLimits::default(), make).await.unwrap();
    forwarding.await.unwrap();
    exit(0)
}
