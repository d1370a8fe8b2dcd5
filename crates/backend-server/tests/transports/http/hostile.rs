//! Callers who send too much, too slowly, half of it, or what is no HTTP at all.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use backend_server::HttpLimits;
use serde_json::json;

use super::client::{Client, POST, Server};
use super::told;
use crate::puppet::Puppet;

fn impatient() -> HttpLimits {
    HttpLimits {
        head_timeout: Duration::from_millis(200),
        body_timeout: Duration::from_millis(200),
        write_timeout: Duration::from_millis(200),
        max_body_bytes: 1000,
        ..HttpLimits::default()
    }
}

async fn server(limits: HttpLimits) -> (Server, Arc<Puppet>) {
    let puppet = Arc::new(Puppet::default());
    (Server::start(Arc::clone(&puppet) as _, limits).await, puppet)
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_cut_off() {
    let (server, _) = server(impatient()).await;
    let mut client = Client::of(&server).await;
    let start = Instant::now();
    for byte in POST.as_bytes() {
        if client.try_write(&[*byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(client.is_closed().await);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_caller_who_says_nothing_is_hung_up_on() {
    let (server, _) = server(impatient()).await;
    assert!(Client::of(&server).await.is_closed().await);
    let mut idle = Client::of(&server).await;
    assert_eq!(idle.get("/health").await.status, 200);
    assert!(idle.is_closed().await);
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_answered_and_cut_off() {
    let (server, puppet) = server(impatient()).await;
    let mut client = Client::of(&server).await;
    client.write(&format!("{POST}content-length: 500\r\n\r\n{{\"api_version\"")).await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.header("connection")), (408, Some("close")));
    insta::assert_json_snapshot!("too_slow", answer.body);
    assert!(client.is_closed().await);
    assert_eq!(puppet.started.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn half_a_body_runs_nothing() {
    let (server, puppet) = server(HttpLimits::default()).await;
    let mut client = Client::of(&server).await;
    client.write(&format!("{POST}content-length: 500\r\n\r\n{{\"api_version\": \"1.0\"")).await;
    drop(client);
    let mut chunked = Client::of(&server).await;
    let answer = chunked.send(&format!("{POST}transfer-encoding: chunked\r\n\r\nzz\r\n")).await;
    assert_eq!((answer.status, answer.header("connection")), (400, Some("close")));
    insta::assert_json_snapshot!("broken_body", answer.body);
    assert_eq!(Client::of(&server).await.get("/health").await.status, 200);
    assert_eq!(puppet.started.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_body_is_too_long_as_declared_and_as_it_comes() {
    let (server, puppet) = server(impatient()).await;
    let mut client = Client::of(&server).await;
    let answer = client.send(&format!("{POST}expect: 100-continue\r\ncontent-length: 1001\r\n\r\n")).await;
    assert_eq!((answer.status, answer.header("connection")), (413, Some("close")));
    insta::assert_json_snapshot!("too_large", answer.body);
    let mut chunked = Client::of(&server).await;
    let chunk = format!("1f4\r\n{}\r\n", " ".repeat(500));
    chunked.write(&format!("{POST}transfer-encoding: chunked\r\n\r\n{chunk}{chunk}{chunk}0\r\n\r\n")).await;
    assert_eq!(chunked.answer().await.status, 413);
    // One that writes on gets its answer too, before it is cut off.
    let mut eager = Client::of(&server).await;
    let body = " ".repeat(100_000);
    let _ = eager.try_write(format!("{POST}content-length: 100000\r\n\r\n{body}").as_bytes()).await;
    assert_eq!(eager.answer().await.status, 413);
    assert_eq!(puppet.started.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_head_is_bounded_in_bytes_and_in_headers() {
    let (server, _) = server(HttpLimits::default()).await;
    let long = "x".repeat(40 << 10);
    for head in [
        format!("GET /{long} HTTP/1.1\r\nhost: localhost\r\n\r\n"),
        format!("GET /health HTTP/1.1\r\nhost: localhost\r\nx: {long}\r\n\r\n"),
        format!("GET /health HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x: y\r\n".repeat(64)),
    ] {
        let mut client = Client::of(&server).await;
        let _ = client.try_write(head.as_bytes()).await;
        let status = client.answer().await.status;
        assert!((400..500).contains(&status), "{status} for {} bytes", head.len());
    }
}

#[tokio::test]
async fn what_is_no_http_is_answered_or_closed_and_the_server_goes_on() {
    let (server, _) = server(HttpLimits::default()).await;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"[..],
        b"GET\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /health HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\n",
        b"GET /health HTTP/1.1\r\nhost : localhost\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let mut client = Client::of(&server).await;
        client.try_write(bytes).await.unwrap();
        client.finish().await;
        let said = client.rest().await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 400 "), "{bytes:?}: {said}");
    }
    assert_eq!(Client::of(&server).await.get("/health").await.status, 200);
}

#[tokio::test]
async fn bodies_share_one_room() {
    let limits = HttpLimits { max_body_bytes: 4096, max_pending_bytes: 4096, ..HttpLimits::default() };
    let (server, _) = server(limits).await;
    let mut waiting = Client::of(&server).await;
    waiting.write(&format!("{POST}content-length: 4000\r\n\r\n{{")).await;
    let mut other = Client::of(&server).await;
    loop {
        let answer = other.post(&told("echo")).await;
        if answer.status == 503 {
            assert_eq!(answer.header("retry-after"), Some("1"));
            insta::assert_json_snapshot!("no_memory", answer.body);
            break;
        }
        // The first has not been read as far as its head.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop(waiting);
    while other.post(&told("echo")).await.status != 200 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let (server, _) = server(HttpLimits { max_connections: 1, ..HttpLimits::default() }).await;
    let mut first = Client::of(&server).await;
    assert_eq!(first.get("/health").await.status, 200);
    let mut second = Client::of(&server).await;
    let answer = second.get("/health").await;
    assert_eq!((answer.status, answer.header("connection")), (503, Some("close")));
    insta::assert_json_snapshot!("full", answer.body);
    assert_eq!(first.get("/health").await.status, 200);
}

#[tokio::test]
async fn a_caller_who_does_not_read_is_cut_off() {
    let limits =
        HttpLimits { max_body_bytes: 32 << 20, body_timeout: Duration::from_secs(20), ..impatient() };
    let (server, _) = server(limits).await;
    let mut client = Client::of(&server).await;
    // More than the system buffers between the two.
    let request = json!({"api_version": "1.0", "taskgraph": {"do": "x".repeat(14 << 20)}});
    client.begin(&request).await;
    let over = server.stop();
    over.await;
    assert!(client.rest().await.len() < 14 << 20, "all of it arrived, and nobody had to wait");
}

#[tokio::test]
async fn requests_that_come_at_once_are_answered_one_by_one() {
    let (server, _) = server(HttpLimits::default()).await;
    let mut client = Client::of(&server).await;
    let get = "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";
    client.write(&get.repeat(3)).await;
    for _ in 0..3 {
        assert_eq!(client.answer().await.status, 200);
    }
}
