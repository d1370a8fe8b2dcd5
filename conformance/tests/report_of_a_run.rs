//! Reports of real runs: whole, sealed, and readable in every language.

#![expect(clippy::unwrap_used, reason = "what cannot be done here fails the test")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backend_local::{Backoff, LocalBackend, LocalConfig};
use backend_server::{Answer, BackendService, ExecuteRequest, Service};
use conformance::model::{BookAdapter, ModelEndpoint};
use conformance::registry::{Profile, Registry};
use conformance::{
    CaseInfo, Conformance, Day, Decision, Fault, InProcess, Introduction, KnownFailures, Plug, Policy,
    Report, RunOptions, Suite, Verdict, VerifiedReport, diff, gate, run_suite, verify,
};
use models::ModelRouter;
use serde_json::{Value, json};

/// A case in which a task is tried twice.
const RETRIED: &str = "C7.3-a-passing-fault-is-retried";

fn local(endpoint: &ModelEndpoint) -> BackendService<LocalBackend> {
    let adapter = Arc::new(BookAdapter::new(Arc::clone(&endpoint.book)));
    BackendService::new(Arc::new(LocalBackend::new(LocalConfig {
        models: ModelRouter::new(vec![adapter]).unwrap(),
        backoff: Backoff { initial: Duration::from_millis(1), max: Duration::from_millis(5) },
        ..LocalConfig::default()
    })))
}

/// Says of every task that it was tried once.
#[derive(Debug)]
struct Proud(BackendService<LocalBackend>);

#[async_trait]
impl Service for Proud {
    async fn execute_taskgraph(&self, request: ExecuteRequest) -> Answer {
        let mut answer = self.0.execute_taskgraph(request).await;
        if let Answer::Result(result) = &mut answer {
            for record in result["telemetry_bundle"]["tasks"].as_array_mut().into_iter().flatten() {
                record["retry_count"] = json!(0);
            }
        }
        answer
    }

    async fn health_check(&self) -> Value {
        self.0.health_check().await
    }

    fn capability_descriptor(&self) -> Value {
        self.0.capability_descriptor()
    }
}

fn run(suite: &Suite, service: fn(&ModelEndpoint) -> Arc<dyn Service>, only: Option<&str>) -> Report {
    let introduction =
        Introduction { name: "sample".into(), version: "1".into(), backend_mode: "local".into() };
    let plug: Arc<dyn Plug> = Arc::new(InProcess::new(introduction, service));
    let options =
        RunOptions { profile: Profile::Core, only: only.map(str::to_owned), ..RunOptions::default() };
    run_suite(suite, &plug, &options)
}

fn verified(suite: &Suite, report: &Report) -> Result<VerifiedReport, Vec<Fault>> {
    let json = serde_json::to_vec_pretty(report).unwrap();
    verify(&json, &report.suite, Registry::load(), &CaseInfo::all(suite))
}

fn today() -> Day {
    "2026-01-01".parse().unwrap()
}

#[test]
fn a_run_makes_a_report_that_can_be_verified() {
    let suite = Suite::embedded().unwrap();
    let report = run(&suite, |endpoint| Arc::new(local(endpoint)), Some(RETRIED));
    assert_eq!(report.conformance, Conformance::Incomplete);
    assert_eq!(report.cases.iter().filter(|case| case.verdict == Verdict::Pass).count(), 1);
    let whole = verified(&suite, &report).unwrap();
    let policy = Policy::parse("profiles = [\"core\"]").unwrap();
    assert_eq!(gate(&[&whole], &policy, None, today()).decision, Decision::Incomplete);
}

#[test]
fn a_liar_is_found_told_known_and_still_a_liar() {
    let suite = Suite::embedded().unwrap();
    let honest = run(&suite, |endpoint| Arc::new(local(endpoint)), Some(RETRIED));
    let mut liar = run(&suite, |endpoint| Arc::new(Proud(local(endpoint))), Some(RETRIED));
    let (conformance, counts) = (liar.conformance, liar.counts.clone());
    assert_ne!(conformance, Conformance::Conformant);
    assert!(diff(&honest, &liar).is_worse() && !diff(&liar, &honest).is_worse());

    let failed = liar.cases.iter().find(|case| case.verdict == Verdict::Fail).unwrap().clone();
    for text in [liar.to_terminal(), liar.to_markdown(), liar.to_junit(), liar.to_html()] {
        assert!(text.contains(&failed.id) && text.contains("retry_count"), "{text}");
    }

    let entry = format!(
        "[[known]]\ncase = \"{}\"\nreason = \"too proud\"\nissue = \"none yet\"\nexpires = 2026-12-31\n",
        failed.id
    );
    let faults = KnownFailures::parse(&entry).unwrap().apply(&mut liar, today());
    assert_eq!(faults, []);
    assert_eq!((liar.conformance, &liar.counts), (conformance, &counts));
    verified(&suite, &liar).unwrap();
}
