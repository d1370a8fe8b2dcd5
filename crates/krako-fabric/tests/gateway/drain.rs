//! The end: what is under way is answered, streams end with a comment, whoever is new is told to come back.

use krako_fabric::Drained;

use crate::scripted::Mood;
use crate::served::{BOTH, Http, SUBMISSION, config, for_http_2, serve, whole};
use crate::streams::{follow, text_until};

#[tokio::test]
async fn what_is_under_way_is_answered_and_whoever_is_new_comes_back_later() {
    let mut served = serve(config()).await;
    served.sessions.show(3);
    // A stream, a submission that waits for its end, and a connection that is idle.
    let mut body = served.send(Http::Two, follow(&served, None)).await.into_body();
    let before = text_until(&mut body, |text| text.contains("id: 3\n")).await;
    let mut submit = served.post("/v1/execute", SUBMISSION);
    submit.headers_mut().insert("prefer", "wait=60".parse().unwrap());
    let mut one = served.http_1().await;
    let waiting = tokio::spawn(one.send_request(submit));
    while !served.sessions.calls().iter().any(|call| call.starts_with("report")) {
        tokio::task::yield_now().await;
    }
    let _idle = served.http_2().await;
    // And one that the orchestrator holds.
    served.sessions.set(Mood::Holds);
    let mut two = served.http_2().await;
    let held = tokio::spawn(two.send_request(for_http_2(served.get("/v1/health"))));
    while !served.sessions.calls().iter().any(|call| call == "health") {
        tokio::task::yield_now().await;
    }
    served.begin_to_drain();
    let waited = whole(waiting.await.unwrap().unwrap()).await;
    assert_eq!((waited.status, waited.json()["status"].as_str()), (202, Some("running")));
    let text = before + &text_until(&mut body, |_| false).await;
    assert!(text.ends_with(": draining; come back with `Last-Event-ID`\n\n"), "{text}");
    for http in BOTH {
        let told = served.ask(http, served.get("/v1/capabilities")).await;
        assert_eq!((told.status, told.error_type().as_str()), (503, "UNAVAILABLE"));
        assert_eq!(told.header("retry-after"), "1");
    }
    served.sessions.release();
    assert_eq!(whole(held.await.unwrap().unwrap()).await.status, 200);
    drop((one, two));
    assert_eq!(served.drained().await.cut, 0);
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut_off() {
    let mut config = config();
    config.listen.grace = std::time::Duration::from_millis(50);
    let mut served = serve(config).await;
    served.sessions.set(Mood::Holds);
    let mut sender = served.http_1().await;
    let held = tokio::spawn(sender.send_request(served.get("/v1/health")));
    while served.sessions.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    served.begin_to_drain();
    assert!(held.await.unwrap().is_err());
    assert_eq!(served.drained().await, Drained { ended: 0, cut: 1 });
}
