//! What nobody who means well sends: each is answered with the right error, and does no harm.

use krako_contract::ErrorType::{self, *};

use crate::served::{Http, SUBMISSION, config, serve};

/// What must come back.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// An error document of this type, and its status.
    Error(ErrorType),
    /// One of these statuses without a document, from below HTTP; 0 is a connection that was closed without a word.
    Protocol(&'static [u16]),
}
use Expected::{Error, Protocol};

/// A request by its line and further headers, with northwind's token and a `Host`.
fn good(line: &str, headers: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer TOKEN\r\nConnection: close\r\n{headers}\r\n")
        .into_bytes()
}

/// A submission of this body.
fn submit(body: &[u8]) -> Vec<u8> {
    let headers = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    let mut request = good("POST /v1/execute", &headers);
    request.extend_from_slice(body);
    request
}

/// A request with these headers and no token.
fn bare(line: &str, headers: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n").into_bytes()
}

fn submission(from: &str, to: &str) -> Vec<u8> {
    assert!(SUBMISSION.contains(from), "{from}");
    submit(SUBMISSION.replace(from, to).as_bytes())
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn table() -> Vec<(&'static str, Vec<u8>, Expected)> {
    let get = |path: &str| good(&format!("GET {path}"), "");
    let long = "x".repeat(200);
    let chunk = |text: &str| {
        let headers = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n";
        let mut request = good("POST /v1/execute", headers);
        request.extend_from_slice(text.as_bytes());
        request
    };
    let deep = format!(
        "{{\"api_version\":\"1.0\",\"contract_version\":\"1.0.0\",\"taskgraph\":{}",
        "[".repeat(60_000)
    );
    let tasks = "{\"version\":\"1.0\",\"id\":\"a\"},".repeat(4000);
    let bomb = format!(
        "{{\"api_version\":\"1.0\",\"contract_version\":\"1.0.0\",\"taskgraph\":{{\"tasks\":[{tasks}{{}}]}}}}"
    );
    vec![
        // Who asks.
        ("no token", bare("GET /v1/health", ""), Error(Unauthenticated)),
        (
            "another scheme",
            bare("GET /v1/health", "Authorization: Basic dXNlcjpwYXNz\r\n"),
            Error(Unauthenticated),
        ),
        ("an empty token", bare("GET /v1/health", "Authorization: Bearer \r\n"), Error(Unauthenticated)),
        (
            "a token that is no text",
            bare("GET /v1/health", "Authorization: Bearer \u{e4}\u{f6}\r\n"),
            Error(Unauthenticated),
        ),
        ("a token in the address", bare("GET /v1/health?access_token=TOKEN", ""), Error(Unauthenticated)),
        ("two tokens", good("GET /v1/health", "Authorization: Bearer TOKEN\r\n"), Error(Unauthenticated)),
        (
            "no token, and a body",
            bare("POST /v1/execute", "Content-Length: 2\r\n\r\n{}"),
            Error(Unauthenticated),
        ),
        // Where.
        ("the root", get("/"), Error(NotFound)),
        ("another version", get("/v2/health"), Error(NotFound)),
        ("no session", get("/v1/execution/"), Error(NotFound)),
        ("a way up", get("/v1/execution/../../etc/passwd"), Error(NotFound)),
        ("a way up, escaped", get("/v1/execution/%2e%2e%2f%2e%2e"), Error(NotFound)),
        ("a zero byte", get("/v1/execution/%00"), Error(NotFound)),
        ("no UTF-8", get("/v1/execution/%ff%fe"), Error(NotFound)),
        ("a long name", get(&format!("/v1/execution/{long}")), Error(NotFound)),
        ("more than a path", get("/v1/execution/ses_1/events/more"), Error(NotFound)),
        ("another case", get("/V1/health"), Error(NotFound)),
        ("two slashes", get("//v1/health"), Error(NotFound)),
        ("a tunnel", good("CONNECT example.com:443", ""), Error(NotFound)),
        ("everything", good("OPTIONS *", ""), Error(NotFound)),
        // How.
        ("deleting", good("DELETE /v1/execution/ses_1", ""), Error(MethodNotAllowed)),
        ("getting what is posted", get("/v1/execute"), Error(MethodNotAllowed)),
        ("posting what is got", good("POST /v1/health", ""), Error(MethodNotAllowed)),
        ("tracing", good("TRACE /v1/health", ""), Error(MethodNotAllowed)),
        ("a method of one's own", good("KILL /v1/execution/ses_1", ""), Error(MethodNotAllowed)),
        // What.
        (
            "no kind of body",
            good("POST /v1/execute", "Content-Length: 2\r\n\r\n{}"),
            Error(UnsupportedMediaType),
        ),
        (
            "a form",
            good("POST /v1/execute", "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}"),
            Error(UnsupportedMediaType),
        ),
        ("nothing", submit(b""), Error(ValidationError)),
        ("no JSON", submit(b"graph"), Error(ValidationError)),
        ("a list", submit(b"[1, 2]"), Error(ValidationError)),
        ("no text", submit(b"{\"\xff\": 1}"), Error(ValidationError)),
        ("no versions", submit(b"{}"), Error(VersionMismatch)),
        (
            "another MAJOR",
            submission("\"api_version\": \"1.0\"", "\"api_version\": \"2.0\""),
            Error(VersionMismatch),
        ),
        (
            "two graphs",
            submission("\"taskgraph\"", "\"taskgraph\": {}, \"taskgraph\""),
            Error(ValidationError),
        ),
        ("a deep graph", submit(deep.as_bytes()), Error(ValidationError)),
        ("many broken tasks", submit(bomb.as_bytes()), Error(ValidationError)),
        (
            "a circle",
            submission("\"dependencies\": [\"message\"]", "\"dependencies\": [\"reply\"]"),
            Error(ValidationError),
        ),
        ("another tenant", submission("\"northwind\"", "\"contoso\""), Error(Forbidden)),
        // How much.
        (
            "a length beyond the limit",
            good("POST /v1/execute", "Content-Type: application/json\r\nContent-Length: 1000000000000\r\n"),
            Error(PayloadTooLarge),
        ),
        (
            "asking before sending too much",
            good(
                "POST /v1/execute",
                "Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n",
            ),
            Error(PayloadTooLarge),
        ),
        (
            "pieces beyond the limit",
            chunk(&format!("{:x}\r\n{}\r\n0\r\n\r\n", 200_000, "x".repeat(200_000))),
            Error(PayloadTooLarge),
        ),
        ("a piece that is none", chunk("zz\r\n{}\r\n0\r\n\r\n"), Error(ValidationError)),
        // Which event.
        ("event 0", good("GET /v1/execution/ses_1/events", "Last-Event-ID: 0\r\n"), Error(ValidationError)),
        (
            "a negative event",
            good("GET /v1/execution/ses_1/events", "Last-Event-ID: -1\r\n"),
            Error(ValidationError),
        ),
        (
            "an event beyond numbers",
            good("GET /v1/execution/ses_1/events", "Last-Event-ID: 99999999999999999999\r\n"),
            Error(ValidationError),
        ),
        (
            "an event beyond the log",
            good("GET /v1/execution/ses_1/events", "Last-Event-ID: 26\r\n"),
            Error(ValidationError),
        ),
        (
            "two last events",
            good("GET /v1/execution/ses_1/events", "Last-Event-ID: 1\r\nLast-Event-ID: 2\r\n"),
            Error(ValidationError),
        ),
        // Which period.
        ("no period", get("/v1/billing/usage?period_start=soon"), Error(ValidationError)),
        (
            "another period",
            get("/v1/billing/usage?period_start=1999-01-01T00:00:00Z"),
            Error(ValidationError),
        ),
        (
            "two starts",
            get("/v1/billing/usage?period_start=2026-03-01T00:00:00Z&period_start=2026-03-01T00:00:00Z"),
            Error(ValidationError),
        ),
        // What is no request at all.
        ("many headers", good("GET /v1/health", &"X: y\r\n".repeat(100)), Protocol(&[400, 431])),
        (
            "a long header",
            good("GET /v1/health", &format!("X: {}\r\n", "y".repeat(100_000))),
            Protocol(&[431]),
        ),
        ("a long address", get(&format!("/v1/{}", "x".repeat(100_000))), Protocol(&[414, 431])),
        ("no HTTP", b"\x00\x01\x02\x03\r\n\r\n".to_vec(), Protocol(&[400, 0])),
        ("another HTTP", b"GET /v1/health HTTP/9.9\r\n\r\n".to_vec(), Protocol(&[400, 0])),
        ("no version of HTTP", b"GET /v1/health\r\n\r\n".to_vec(), Protocol(&[400, 0])),
        (
            "two lengths",
            good("POST /v1/execute", "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
            Protocol(&[400]),
        ),
        ("a negative length", good("POST /v1/execute", "Content-Length: -2\r\n\r\n{}"), Protocol(&[400])),
        ("a header with a space", good("GET /v1/health", "X Y: z\r\n"), Protocol(&[400])),
        (
            "HTTP/2 where HTTP/1.1 was agreed on",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            Protocol(&[400, 0]),
        ),
    ]
}

#[tokio::test]
async fn whatever_is_sent_is_answered_with_the_right_error_and_does_no_harm() {
    let mut config = config();
    config.burst = 100_000;
    let served = serve(config).await;
    let token = &served.keys.held[0];
    let table = table();
    assert!(table.len() >= 25);
    // How far a log goes, and which period is the current one, the orchestrator knows.
    let is_asked = |call: &&String| call.starts_with("events") || call.starts_with("usage");
    let reached = |calls: &[String]| calls.iter().filter(|call| !is_asked(call)).count();
    for (what, request, expected) in table {
        let before = served.sessions.calls();
        let request = replaced(&request, token);
        let answer = served.raw(&request).await;
        let answer = String::from_utf8_lossy(&answer);
        let status: u16 = answer.split(' ').nth(1).map_or(0, |status| status.parse().unwrap_or(0));
        assert!(!answer.contains(token.as_str()), "{what}: {answer}");
        match expected {
            Error(error_type) => {
                assert_eq!(status, error_type.status(), "{what}: {answer}");
                let body = answer.split_once("\r\n\r\n").unwrap().1;
                let document: serde_json::Value =
                    serde_json::from_str(body).unwrap_or_else(|error| panic!("{what}: {error}: {answer}"));
                assert_eq!(document["error_type"], error_type.as_str(), "{what}");
                assert!(document["message"].as_str().unwrap().len() > 20, "{what}: {answer}");
                assert!(body.len() < 8000, "{what}: {}", body.len());
                if error_type == MethodNotAllowed {
                    assert!(answer.contains("allow: "), "{what}: {answer}");
                }
            }
            Protocol(statuses) => assert!(statuses.contains(&status), "{what}: {status}: {answer}"),
        }
        // A tenant's name is the orchestrator's to judge; nothing else got there.
        if !matches!(expected, Error(Forbidden)) {
            assert_eq!(reached(&served.sessions.calls()), reached(&before), "{what}");
        }
        assert_eq!(served.ask(Http::Two, served.get("/v1/health")).await.status, 200, "after {what}");
    }
}

fn replaced(request: &[u8], token: &str) -> Vec<u8> {
    const MARK: &[u8] = b"TOKEN";
    let mut out = Vec::with_capacity(request.len() + 64);
    let mut rest = request;
    while let Some(at) = rest.windows(MARK.len()).position(|window| window == MARK) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(token.as_bytes());
        rest = &rest[at + MARK.len()..];
    }
    out.extend_from_slice(rest);
    out
}
