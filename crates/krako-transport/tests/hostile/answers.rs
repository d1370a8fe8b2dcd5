//! Answers that are too long, too slow, cut off or lead elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use krako_transport::{
    Call, Client, Endpoint, Secret, Started, TcpDial, TransportError, TransportFault, TransportLimits, Trust,
    Within,
};
use tokio::net::TcpListener;

use crate::server::{Piece, Reply, Server};

fn limits() -> TransportLimits {
    TransportLimits { max_body_bytes: 1_000, ..TransportLimits::default() }
}

fn client(server: &Server, limits: TransportLimits) -> Client {
    let endpoint = Endpoint::parse(&format!("https://{}/prefix/", server.address)).unwrap();
    let token = Secret::from_text("very-secret").unwrap();
    Client::new(endpoint, Trust::Pinned(server.ca.clone()), Some(token), Arc::new(TcpDial), limits).unwrap()
}

async fn outcome(reply: Reply, limits: TransportLimits) -> Result<usize, TransportError> {
    let server = Server::start(move |_| reply.clone()).await;
    let answer = client(&server, limits).request(Call::get("/x")).await;
    answer.map(|answer| answer.body.len())
}

fn pieces(pieces: Vec<Piece>) -> Reply {
    Reply { pieces, ..Reply::json(200, "") }
}

#[tokio::test]
async fn a_call_carries_the_token_and_nobody_else_sees_it() {
    let server = Server::start(|_| Reply::json(200, "{}")).await;
    let client = client(&server, limits());
    let call = Call::post("/v1/execute", "{\"a\": 1}");
    assert_eq!(format!("{call:?}"), "POST /v1/execute (8 bytes)");
    client.request(call).await.unwrap();
    let heard = server.heard();
    assert_eq!((heard[0].method.as_str(), heard[0].path.as_str()), ("POST", "/prefix/v1/execute"));
    assert_eq!(&heard[0].body[..], b"{\"a\": 1}");
    assert_eq!(heard[0].header("authorization"), Some("Bearer very-secret"));
    assert_eq!(heard[0].header("content-type"), Some("application/json"));
    let shown = format!("{client:?} {client:#?}");
    assert!(shown.contains("(secret)") && !shown.contains("very"), "{shown}");
}

#[tokio::test]
async fn one_connection_serves_all_and_is_made_again_when_it_is_lost() {
    let calls = AtomicUsize::new(0);
    let server = Server::start(move |_| match calls.fetch_add(1, Ordering::Relaxed) {
        5 => pieces(vec![Piece::Bytes(b"{".to_vec()), Piece::Drop]),
        _ => Reply::json(200, "{}"),
    })
    .await;
    let client = client(&server, limits());
    for _ in 0..5 {
        client.request(Call::get("/x")).await.unwrap();
    }
    assert_eq!(server.connections(), 1);
    let error = client.request(Call::get("/x")).await.unwrap_err();
    assert!(error.is_passing() && error.may_have_arrived, "{error}");
    for _ in 0..5 {
        client.request(Call::get("/x")).await.unwrap();
    }
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn more_calls_than_places_wait_for_each_other() {
    let server = Server::start(|_| Reply::json(200, "{}")).await;
    let limits = TransportLimits { max_connections: 2, max_streams_per_connection: 3, ..limits() };
    let client = client(&server, limits);
    let calls: Vec<_> = (0..40)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.request(Call::get("/x")).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert!(server.connections() <= 2);
}

#[tokio::test]
async fn a_connection_that_takes_no_more_calls_ends_those_it_has_and_another_is_made() {
    let server = Server::start(|_| pieces(vec![Piece::GoAway, Piece::Bytes(b"{}".to_vec())])).await;
    let client = client(&server, limits());
    for _ in 0..5 {
        assert_eq!(&client.request(Call::get("/x")).await.unwrap().body[..], b"{}");
    }
    assert_eq!(server.heard().len(), 5, "nothing was sent twice");
    assert!(server.connections() > 1);
}

#[tokio::test]
async fn a_call_that_is_dropped_gives_its_place_back() {
    let never = Arc::new(AtomicBool::new(false));
    let calls = AtomicUsize::new(0);
    let server = Server::start(move |_| match calls.fetch_add(1, Ordering::Relaxed) {
        0 => pieces(vec![Piece::Until(Arc::clone(&never))]),
        _ => Reply::json(200, "{}"),
    })
    .await;
    let limits = TransportLimits { max_connections: 1, max_streams_per_connection: 1, ..limits() };
    let client = client(&server, limits);
    tokio::select! {
        answer = client.request(Call::get("/x")) => panic!("it is never answered: {answer:?}"),
        () = async { while server.heard().is_empty() { tokio::task::yield_now().await } } => {}
    }
    client.request(Call::get("/x")).await.unwrap();
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn no_redirect_is_followed() {
    for status in [300, 301, 302, 303, 307, 308] {
        let reply = Reply::json(status, "").header("location", "https://evil.example/");
        let error = outcome(reply, limits()).await.unwrap_err();
        assert_eq!(error.what, TransportFault::Redirect { status });
        assert!(!error.to_string().contains("evil"), "{error}");
    }
}

#[tokio::test]
async fn an_answer_is_read_as_far_as_it_may_be_long() {
    let of = |bytes: usize| {
        pieces(vec![Piece::Bytes(vec![b'x'; bytes / 2]), Piece::Bytes(vec![b'x'; bytes - bytes / 2])])
    };
    assert_eq!(outcome(of(1_000), limits()).await, Ok(1_000));
    let error = outcome(of(1_001), limits()).await.unwrap_err();
    assert_eq!(error.what, TransportFault::TooMuch { max: 1_000, what: "bytes" });
    let endless = pieces(vec![Piece::Endless(vec![b'x'; 100])]);
    let error = outcome(endless, limits()).await.unwrap_err();
    assert_eq!(error.what, TransportFault::TooMuch { max: 1_000, what: "bytes" });
}

#[tokio::test]
async fn a_flood_of_headers_is_not_read() {
    let many = (0..150).fold(Reply::json(200, "{}"), |reply, at| reply.header("x-flood", at.to_string()));
    let error = outcome(many, limits()).await.unwrap_err();
    assert_eq!(error.what, TransportFault::TooMuch { max: 100, what: "headers" });
    let large = Reply::json(200, "{}").header("x-flood", "x".repeat(100_000));
    let error = outcome(large, limits()).await.unwrap_err();
    assert!(matches!(error.what, TransportFault::Protocol { .. } | TransportFault::Lost { .. }), "{error:?}");
}

#[tokio::test]
async fn silence_ends_at_its_limit() {
    let hasty = TransportLimits { request_timeout_ms: 50, stream_idle_ms: 50, ..limits() };
    let silent = || pieces(vec![Piece::Bytes(b"{".to_vec()), Piece::Silence]);
    let error = outcome(silent(), hasty).await.unwrap_err();
    assert_eq!(error.what, TransportFault::TimedOut { within: Within::Call, limit_ms: 50 });
    assert!(error.may_have_arrived && error.is_passing());

    let server = Server::start(move |_| silent()).await;
    let started = client(&server, hasty).stream(Call::get("/x")).await.unwrap();
    let Started::Streaming(mut stream) = started else { panic!("no stream") };
    assert_eq!(stream.next().await.unwrap().as_deref(), Some(&b"{"[..]));
    let error = stream.next().await.unwrap_err();
    assert_eq!(error.what, TransportFault::TimedOut { within: Within::Silence, limit_ms: 50 });
}

#[tokio::test]
async fn whoever_never_answers_a_handshake_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::start(|_| Reply::json(200, "{}")).await;
    let endpoint = Endpoint::parse(&format!("https://{address}")).unwrap();
    let hasty = TransportLimits { handshake_timeout_ms: 50, ..limits() };
    let trust = Trust::Pinned(server.ca.clone());
    let client = Client::new(endpoint, trust, None, Arc::new(TcpDial), hasty).unwrap();
    let error = client.request(Call::get("/")).await.unwrap_err();
    assert_eq!(error.what, TransportFault::TimedOut { within: Within::Handshake, limit_ms: 50 });
    assert!(!error.may_have_arrived);
}

#[tokio::test]
async fn a_stream_that_is_cut_says_so() {
    for cut in [Piece::Reset, Piece::Drop] {
        let reply = pieces(vec![Piece::Bytes(b"abc".to_vec()), cut]);
        let error = outcome(reply, limits()).await.unwrap_err();
        assert!(matches!(error.what, TransportFault::Lost { .. }), "{error:?}");
        assert!(error.is_passing() && error.may_have_arrived);
    }
}

#[tokio::test]
async fn a_stream_that_is_refused_is_an_answer() {
    let server = Server::start(|_| Reply::json(404, "{\"why\": 1}")).await;
    let started = client(&server, limits()).stream(Call::get("/x")).await.unwrap();
    let Started::Answer(answer) = started else { panic!("a stream") };
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (404, &b"{\"why\": 1}"[..]));
}
