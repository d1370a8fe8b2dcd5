//! Bounds on callers: how often, how many, how long, how slow.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::scripted::Mood;
use crate::served::{Http, SUBMISSION, config, reading, serve, whole};

const SOON: Duration = Duration::from_millis(100);

#[tokio::test]
async fn whoever_asks_too_often_is_told_when_to_come_back_and_others_are_not() {
    let mut config = config();
    (config.requests_per_second, config.burst) = (1, 3);
    let served = serve(config).await;
    let mut sender = served.http_1().await;
    let mut statuses = Vec::new();
    // As many as it takes, on a machine that is slow.
    while !statuses.contains(&429) {
        let reply = whole(sender.send_request(served.get("/v1/health")).await.unwrap()).await;
        if reply.status == 429 {
            assert_eq!(reply.error_type(), "TOO_MANY_REQUESTS");
            assert!((1..=4).contains(&reply.header("retry-after").parse::<u32>().unwrap()));
        }
        statuses.push(reply.status);
    }
    assert_eq!(statuses[..3], [200, 200, 200]);
    let contoso = served.keys.held[1].clone();
    assert_eq!(served.ask(Http::Two, reading(&contoso, "/v1/health")).await.status, 200);
}

#[tokio::test]
async fn a_tenant_has_no_more_requests_under_way_than_it_may() {
    let mut config = config();
    config.max_requests_per_tenant = 1;
    let served = serve(config).await;
    served.sessions.set(Mood::Holds);
    let mut sender = served.http_1().await;
    let held = tokio::spawn(sender.send_request(served.get("/v1/health")));
    while served.sessions.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    let told = served.ask(Http::Two, served.get("/v1/health")).await;
    assert_eq!((told.status, told.header("retry-after")), (429, "1"));
    served.sessions.release();
    assert_eq!(held.await.unwrap().unwrap().status().as_u16(), 200);
    served.sessions.set(Mood::Good);
    assert_eq!(served.ask(Http::Two, served.get("/v1/health")).await.status, 200);
}

#[tokio::test]
async fn all_requests_together_have_a_bound() {
    let mut config = config();
    config.listen.max_requests = 1;
    let served = serve(config).await;
    served.sessions.set(Mood::Holds);
    let mut sender = served.http_2().await;
    let held = tokio::spawn(sender.send_request(crate::served::for_http_2(served.get("/v1/health"))));
    while served.sessions.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    let told = served.ask(Http::One, served.get("/v1/health")).await;
    assert_eq!((told.status, told.error_type().as_str()), (503, "UNAVAILABLE"));
    served.sessions.release();
    assert_eq!(held.await.unwrap().unwrap().status().as_u16(), 200);
}

#[tokio::test]
async fn a_connection_too_many_is_told_so() {
    let mut config = config();
    config.listen.max_connections = 1;
    let served = serve(config).await;
    let mut first = served.http_1().await;
    assert_eq!(whole(first.send_request(served.get("/v1/health")).await.unwrap()).await.status, 200);
    for http in crate::served::BOTH {
        let told = served.ask(http, served.get("/v1/health")).await;
        assert_eq!((told.status, told.header("retry-after")), (503, "1"), "{http:?}");
    }
    assert_eq!(whole(first.send_request(served.get("/v1/health")).await.unwrap()).await.status, 200);
}

#[tokio::test]
async fn one_address_does_not_take_every_place() {
    let mut config = config();
    config.listen.max_connections_per_peer = 2;
    let served = serve(config).await;
    let (one, two) = (served.tls(Http::One).await.unwrap(), served.tls(Http::Two).await.unwrap());
    assert!(served.tls(Http::One).await.is_err());
    drop((one, two));
    // Once the others are seen to be gone.
    while served.tls(Http::One).await.is_err() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_stream_too_many_waits_for_its_turn() {
    let mut config = config();
    config.listen.max_streams = 1;
    let served = serve(config).await;
    let mut sender = served.http_2().await;
    // So that the bound is known to this end.
    let first = sender.send_request(crate::served::for_http_2(served.get("/v1/health"))).await.unwrap();
    assert_eq!(whole(first).await.status, 200);
    served.sessions.set(Mood::Holds);
    let mut ask = || sender.send_request(crate::served::for_http_2(served.get("/v1/health")));
    let (first, second) = (tokio::spawn(ask()), tokio::spawn(ask()));
    while served.sessions.calls().len() < 2 {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(SOON).await;
    assert_eq!(served.sessions.calls().len(), 2);
    served.sessions.release();
    served.sessions.release();
    for answer in [first, second] {
        assert_eq!(answer.await.unwrap().unwrap().status().as_u16(), 200);
    }
}

#[tokio::test]
async fn half_a_handshake_is_not_waited_for() {
    let mut config = config();
    config.listen.handshake_timeout = SOON;
    let served = serve(config).await;
    for bytes in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01"] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert_eq!(rest, b"");
    }
}

#[tokio::test]
async fn half_a_head_is_not_waited_for() {
    let mut config = config();
    config.listen.head_timeout = SOON;
    let served = serve(config).await;
    let answer = served.raw(b"GET /v1/health HTTP/1.1\r\nHost: local").await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn half_a_body_is_answered_without_the_other_half() {
    let mut config = config();
    config.listen.body_timeout = SOON;
    let served = serve(config).await;
    let half = format!(
        "POST /v1/execute HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{",
        served.keys.held[0]
    );
    let answer = String::from_utf8(served.raw(half.as_bytes()).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("REQUEST_TIMEOUT"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(served.sessions.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn a_connection_without_requests_is_closed() {
    let mut config = config();
    (config.listen.idle_timeout, config.listen.write_timeout) = (SOON, SOON);
    let served = serve(config).await;
    for bytes in [&b""[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"] {
        let http = if bytes.is_empty() { Http::One } else { Http::Two };
        let mut stream = served.tls(http).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    }
}

#[tokio::test]
async fn a_graph_that_is_long_is_read_all_the_same() {
    let mut config = config();
    config.graph.max_graph_bytes = 1 << 20;
    let served = serve(config).await;
    let long = SUBMISSION.replace("\"Our card", &format!("\"{} Our card", "x".repeat(200_000)));
    for http in crate::served::BOTH {
        let told = served.ask(http, served.post("/v1/execute", &long)).await;
        assert_eq!(told.status, 200, "{}", told.text);
    }
}

#[tokio::test]
async fn headers_without_end_are_not_read_over_http_2_either() {
    let served = serve(config()).await;
    let mut sender = served.http_2().await;
    let mut request = crate::served::for_http_2(served.get("/v1/health"));
    for number in 0..2000 {
        let name: hyper::header::HeaderName = format!("x-{number}").parse().unwrap();
        request.headers_mut().insert(name, "some text that is not short".parse().unwrap());
    }
    // Told so, or cut off: hyper's own business.
    if let Ok(answer) = sender.send_request(request).await {
        assert_eq!(answer.status().as_u16(), 431);
    }
    assert_eq!(served.sessions.calls(), Vec::<String>::new());
    assert_eq!(served.ask(Http::Two, served.get("/v1/health")).await.status, 200);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_before_it_is_read_over_either_http() {
    let served = serve(config()).await;
    let long = "x".repeat(1 << 20);
    for http in crate::served::BOTH {
        // Whoever goes on sending may miss the answer; the session is not there either way.
        let told = match http {
            Http::One => served.http_1().await.send_request(served.post("/v1/execute", &long)).await,
            Http::Two => {
                let request = crate::served::for_http_2(served.post("/v1/execute", &long));
                served.http_2().await.send_request(request).await
            }
        };
        if let Ok(told) = told {
            assert_eq!(told.status().as_u16(), 413, "{http:?}");
        }
    }
    assert_eq!(served.sessions.calls(), Vec::<String>::new());
}
