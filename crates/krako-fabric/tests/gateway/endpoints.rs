//! Every endpoint, and every error that can stand behind one.

use krako_contract::{ErrorResponse, ErrorType, SessionReport, WireLimits, read};

use crate::scripted::{Mood, events};
use crate::served::{BOTH, Http, SUBMISSION, config, serve};

// shows C5.1, C5.2
#[tokio::test]
async fn a_graph_is_submitted_followed_and_billed_over_either_http() {
    for http in BOTH {
        let served = serve(config()).await;
        served.sessions.show(8);
        let accepted = served.ask(http, served.post("/v1/execute", SUBMISSION)).await;
        assert_eq!(
            (accepted.status, accepted.header("location")),
            (202, "/v1/execution/ses_1"),
            "{}",
            accepted.text
        );
        assert_eq!(accepted.header("cache-control"), "no-store");
        assert_eq!(accepted.header("content-type"), "application/json");
        let report: SessionReport = read(accepted.text.as_bytes(), &WireLimits::default()).unwrap();
        report.check().unwrap();
        let running = served.ask(http, served.get("/v1/execution/ses_1")).await;
        assert_eq!((running.status, running.json()["status"].as_str()), (200, Some("running")));
        let stopping = served.ask(http, served.post("/v1/execution/ses_1/cancel", "")).await;
        assert_eq!(stopping.status, 202);
        served.sessions.show(events().len());
        let ended = served.ask(http, served.post("/v1/execution/ses_1/cancel", "")).await;
        assert_eq!((ended.status, ended.json()["status"].as_str()), (200, Some("success")));
        // An id may be written with escapes, as addresses have them.
        let escaped = served.ask(http, served.get("/v1/execution/ses%5F1?x=y")).await;
        assert_eq!(escaped.status, 200);
        for (path, field) in [
            ("/v1/billing/usage", "total_tokens"),
            (
                "/v1/billing/usage?period_start=2026-03-01T00:00:00Z&period_end=2026-04-01T00%3A00%3A00Z",
                "period_end",
            ),
            ("/v1/health", "backend_version"),
            ("/v1/capabilities", "max_concurrency"),
        ] {
            let told = served.ask(http, served.get(path)).await;
            assert_eq!(told.status, 200, "{path}: {}", told.text);
            assert!(!told.json()[field].is_null(), "{path}: {}", told.text);
        }
    }
}

#[tokio::test]
async fn whoever_would_rather_wait_gets_the_end() {
    let served = serve(config()).await;
    served.sessions.show(8);
    let submit = || {
        let mut request = served.post("/v1/execute", SUBMISSION);
        request.headers_mut().insert("prefer", "wait=100000".parse().unwrap());
        request
    };
    let waiting = served.ask(Http::Two, submit());
    let ending = async {
        // Once it waits; nothing else asks for a report.
        while !served.sessions.calls().iter().any(|call| call.starts_with("report")) {
            tokio::task::yield_now().await;
        }
        served.sessions.show(events().len());
    };
    let (ended, ()) = tokio::join!(waiting, ending);
    assert_eq!((ended.status, ended.header("preference-applied")), (200, "wait=60"));
    assert_eq!(ended.json()["status"], "success");
    // One that has ended is told at once, and the same submission is the same session.
    let again = served.ask(Http::One, submit()).await;
    assert_eq!((again.status, again.json()["execution_session_id"].as_str()), (200, Some("ses_1")));
}

#[tokio::test]
async fn every_error_has_its_status_its_word_and_its_wait() {
    let served = serve(config()).await;
    for &error_type in ErrorType::ALL {
        let mut error = ErrorResponse::new(error_type, "scripted");
        error.retry_after_s = error_type.is_passing().then_some(7);
        served.sessions.set(Mood::Fails(Box::new(error.clone())));
        for request in [
            served.post("/v1/execute", SUBMISSION),
            served.get("/v1/execution/ses_1"),
            served.get("/v1/execution/ses_1/events"),
            served.post("/v1/execution/ses_1/cancel", ""),
            served.get("/v1/billing/usage"),
            served.get("/v1/health"),
            served.get("/v1/capabilities"),
        ] {
            let told = served.ask(Http::One, request).await;
            let said = ErrorResponse::read(
                told.status,
                Some(told.header("retry-after")),
                told.text.as_bytes(),
                &WireLimits::default(),
            );
            assert_eq!(said, error);
        }
    }
}

#[tokio::test]
async fn a_panic_is_the_gateways_own_and_stays_in_its_request() {
    for http in BOTH {
        let served = serve(config()).await;
        served.sessions.set(Mood::Panics);
        let told = served.ask(http, served.get("/v1/health")).await;
        assert_eq!((told.status, told.error_type().as_str()), (500, "INTERNAL_ERROR"));
        assert!(!told.text.contains("scripted"), "{}", told.text);
        served.sessions.set(Mood::Good);
        assert_eq!(served.ask(http, served.get("/v1/health")).await.status, 200);
    }
}

#[tokio::test]
async fn an_orchestrator_that_does_not_answer_is_unavailable() {
    let mut config = config();
    config.answer_timeout = std::time::Duration::from_millis(20);
    let served = serve(config).await;
    served.sessions.set(Mood::Holds);
    let told = served.ask(Http::Two, served.get("/v1/health")).await;
    assert_eq!((told.status, told.header("retry-after")), (503, "1"));
}

#[tokio::test]
async fn one_anchor_for_two_graphs_is_a_conflict_and_another_tenants_name_forbidden() {
    let served = serve(config()).await;
    assert_eq!(served.ask(Http::One, served.post("/v1/execute", SUBMISSION)).await.status, 200);
    let other = SUBMISSION.replace("charged twice", "charged thrice");
    let told = served.ask(Http::One, served.post("/v1/execute", &other)).await;
    assert_eq!((told.status, told.error_type().as_str()), (409, "CONFLICT"));
    let other = SUBMISSION.replace("\"northwind\"", "\"contoso\"");
    let told = served.ask(Http::One, served.post("/v1/execute", &other)).await;
    assert_eq!((told.status, told.error_type().as_str()), (403, "FORBIDDEN"));
}
