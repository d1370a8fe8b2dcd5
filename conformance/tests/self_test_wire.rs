//! The suite's test of itself over real pipes and sockets: the same backends have the same verdicts there.
#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use backend_api::BackendMode;
use backend_server::{HttpConfig, HttpLimits, HttpService, Identity, serve_http};
use conformance::model::{ModelBook, ModelClient, ModelServer};
use conformance::own::{Behaviour, Defect, Plain, Quirk};
use conformance::registry::Profile;
use conformance::self_test::{failed, judge, plug};
use conformance::{Http, Plug, Report, RunOptions, Stdio, StdioLimits, Suite, Verdict, run_suite};
use tokio::net::TcpListener;

fn command(name: &str) -> Arc<dyn Plug> {
    let command = vec![env!("CARGO_BIN_EXE_own-backend").to_owned(), name.to_owned()];
    Arc::new(Stdio::new(command, StdioLimits::default()).unwrap())
}

fn over_stdio(name: &str, only: Option<&str>) -> Report {
    let options = RunOptions {
        profile: Profile::Local,
        only: only.map(str::to_owned),
        // As many as `judge` draws, so that the same are found.
        graphs: 8,
        jobs: 4,
        answer_deadline: Duration::from_secs(5),
        ..RunOptions::default()
    };
    run_suite(&Suite::embedded().unwrap(), &command(name), &options)
}

fn in_process(does: Behaviour) -> BTreeSet<String> {
    failed(&judge(&Suite::embedded().unwrap(), &plug(does)))
}

#[test]
fn the_plain_backend_passes_over_stdio() {
    assert_eq!(failed(&over_stdio("plain", None)), BTreeSet::new());
}

#[test]
fn odd_backends_pass_over_stdio() {
    for name in [Quirk::FourLanes.name(), "slow-to-start"] {
        assert_eq!(failed(&over_stdio(name, Some("C8.1"))), BTreeSet::new(), "{name}");
    }
}

#[test]
fn a_mutant_fails_over_stdio_what_it_fails_in_process() {
    for defect in [Defect::RetriesFinalFaults, Defect::LastNameWins, Defect::TimeoutIsExecutionFailure] {
        let report = over_stdio(defect.name(), None);
        let mut expected = in_process(Behaviour::Defective(defect));
        // On a busy machine nobody can tell of some cases, and the suite says so.
        for case in report.cases.iter().filter(|case| case.verdict == Verdict::Inconclusive) {
            expected.remove(&case.id);
        }
        assert_eq!(failed(&report), expected, "{}", defect.name());
    }
}

#[test]
fn a_fault_of_the_wire_fails_whatever_needs_an_answer() {
    for fault in [
        "wire-prints-to-stdout",
        "wire-ends-in-the-middle",
        "wire-answers-another-id",
        "wire-writes-half-a-line",
        "wire-speaks-another-protocol",
    ] {
        let report = over_stdio(fault, Some("C3.1-one-operation"));
        assert!(failed(&report).contains("C3.1-one-operation"), "{fault}: {:?}", report.counts);
    }
}

#[test]
fn the_plain_backend_passes_over_http() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (server, base_url) = runtime.block_on(async {
        let server = ModelServer::start(ModelBook::new(), 0).await.unwrap();
        let client = ModelClient::at(&server.base_url()).unwrap();
        let service = HttpService::Plain(Arc::new(Plain::asking(Behaviour::Plain, client)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let identity =
            Identity { name: "plain".into(), version: "0".into(), backend_mode: BackendMode::Local };
        let config = HttpConfig { identity, allowed_hosts: Vec::new(), limits: HttpLimits::default() };
        tokio::spawn(serve_http(listener, service, config, std::future::pending()));
        (server, base_url)
    });
    let plug: Arc<dyn Plug> =
        Arc::new(Http::new(&base_url, "local", conformance::HttpLimits::default()).unwrap());
    let options = RunOptions {
        profile: Profile::Local,
        model: Some(server.endpoint()),
        jobs: 4,
        ..RunOptions::default()
    };
    let report = run_suite(&Suite::embedded().unwrap(), &plug, &options);
    assert_eq!(failed(&report), BTreeSet::new());
}
