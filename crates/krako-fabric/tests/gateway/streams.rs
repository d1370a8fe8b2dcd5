//! Streams of events: from the start, taken up again at every event, quiet, slow, too long.

use std::time::Duration;

use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use krako_contract::{Event, SseReader, WireLimits};

use crate::scripted::{Mood, events};
use crate::served::{BOTH, Http, Served, config, serve};

pub(crate) fn follow(served: &Served, after: Option<usize>) -> Request<Full<Bytes>> {
    let mut request = served.get("/v1/execution/ses_1/events");
    if let Some(after) = after {
        request.headers_mut().insert("last-event-id", after.to_string().parse().unwrap());
    }
    request
}

/// The text of what has come, until `enough`, or the end.
pub(crate) async fn text_until(body: &mut Incoming, enough: impl Fn(&str) -> bool) -> String {
    let mut text = String::new();
    while !enough(&text) {
        match body.frame().await {
            Some(Ok(frame)) => text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap()),
            Some(Err(_)) | None => break,
        }
    }
    text
}

fn read(text: &str) -> Vec<Event> {
    let mut reader = SseReader::new(WireLimits::default());
    let mut read = Vec::new();
    reader.push(text.as_bytes(), &mut read).unwrap();
    read
}

// shows C12.1
#[tokio::test]
async fn a_stream_is_taken_up_again_after_every_event() {
    let mut config = config();
    config.burst = 1000;
    let served = serve(config).await;
    let all = events();
    for http in BOTH {
        for after in 0..=all.len() {
            let reply = served.ask(http, follow(&served, (after > 0).then_some(after))).await;
            assert_eq!((reply.status, reply.header("content-type")), (200, "text/event-stream"));
            assert_eq!(reply.header("cache-control"), "no-store");
            assert_eq!(read(&reply.text), all[after..], "after {after}");
        }
    }
}

#[tokio::test]
async fn events_come_as_they_happen_and_a_quiet_stream_gives_signs_of_life() {
    let mut config = config();
    config.keep_alive = Duration::from_millis(5);
    let served = serve(config).await;
    for http in BOTH {
        served.sessions.show(0);
        let mut body = served.send(http, follow(&served, None)).await.into_body();
        let quiet = text_until(&mut body, |text| text.matches(": keep-alive\n\n").count() >= 3).await;
        assert_eq!(read(&quiet), Vec::new());
        served.sessions.show(2);
        let two = text_until(&mut body, |text| text.contains("id: 2\n") && text.ends_with("\n\n")).await;
        assert_eq!(read(&two), events()[..2]);
        served.sessions.show(events().len());
        let rest = text_until(&mut body, |_| false).await;
        assert_eq!(read(&rest), events()[2..]);
    }
}

#[tokio::test]
async fn a_stream_that_lasts_too_long_or_breaks_says_so_and_can_be_taken_up() {
    let mut config = config();
    config.max_stream = Duration::from_millis(50);
    let served = serve(config).await;
    served.sessions.show(3);
    let mut body = served.send(Http::Two, follow(&served, None)).await.into_body();
    let text = text_until(&mut body, |_| false).await;
    assert_eq!(read(&text), events()[..3]);
    assert!(
        text.ends_with(": this stream has lasted as long as one may; come back with `Last-Event-ID`\n\n"),
        "{text}"
    );

    let mut config = crate::served::config();
    config.keep_alive = Duration::from_millis(5);
    let served = serve(config).await;
    served.sessions.show(3);
    let mut body = served.send(Http::Two, follow(&served, None)).await.into_body();
    let before = text_until(&mut body, |text| text.contains("id: 3\n")).await;
    let error = krako_contract::ErrorResponse::new(krako_contract::ErrorType::Unavailable, "gone\nid: 9");
    served.sessions.set(Mood::Fails(Box::new(error)));
    let text = before + &text_until(&mut body, |_| false).await;
    assert_eq!(read(&text), events()[..3]);
    assert!(
        text.ends_with(": interrupted: UNAVAILABLE: goneid: 9; come back with `Last-Event-ID`\n\n"),
        "{text}"
    );
}

#[tokio::test]
async fn a_tenant_follows_no_more_than_it_may() {
    let mut config = config();
    config.max_streams_per_tenant = 1;
    config.keep_alive = Duration::from_millis(5);
    let served = serve(config).await;
    served.sessions.show(3);
    let first = served.send(Http::Two, follow(&served, None)).await;
    let told = served.ask(Http::One, follow(&served, None)).await;
    assert_eq!((told.status, told.header("retry-after")), (429, "5"));
    drop(first);
    // Once the first is seen to be gone.
    while served.send(Http::One, follow(&served, None)).await.status() != 200 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn whoever_does_not_read_is_cut_off() {
    for http in BOTH {
        let mut config = config();
        config.listen.write_timeout = Duration::from_millis(200);
        config.max_streams_per_tenant = 1;
        config.requests_per_second = 1000;
        let served = serve(config).await;
        served.sessions.set(Mood::Pours);
        let mut unread = served.send(http, follow(&served, None)).await;
        assert_eq!(unread.status(), 200);
        // The orchestrator is not asked for more than the network takes.
        while served.send(Http::Two, follow(&served, None)).await.status() != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(served.sessions.calls().len() < 200, "{http:?}: {}", served.sessions.calls().len());
        // Whoever comes to read now finds that it was cut off.
        let mut cut = false;
        while let Some(frame) = unread.body_mut().frame().await {
            if frame.is_err() {
                cut = true;
                break;
            }
        }
        assert!(cut, "{http:?}");
    }
}

#[tokio::test]
async fn a_quiet_stream_is_not_its_readers_fault() {
    for http in BOTH {
        let mut config = config();
        config.listen.write_timeout = Duration::from_millis(50);
        let served = serve(config).await;
        served.sessions.show(3);
        let mut body = served.send(http, follow(&served, None)).await.into_body();
        let before = text_until(&mut body, |text| text.contains("id: 3\n") && text.ends_with("\n\n")).await;
        // Several times as long as a caller may take who has something to read.
        tokio::time::sleep(Duration::from_millis(400)).await;
        served.sessions.show(events().len());
        let rest = text_until(&mut body, |_| false).await;
        assert_eq!(read(&(before + &rest)), events(), "{http:?}");
    }
}
