//! The client that asks echo and fabric alike: one connection, one request at a time.

use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::keys::Keys;

/// Asks a server over HTTP/2.
pub(crate) struct Caller {
    sender: SendRequest<Full<Bytes>>,
    authorization: String,
}

impl Caller {
    /// On a connection of its own.
    pub(crate) async fn connect(keys: &Keys, port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(keys.client())).connect(name, stream).await.unwrap();
        let (sender, connection) =
            Builder::new(TokioExecutor::new()).handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender, authorization: format!("Bearer {}", keys.token) }
    }

    /// Submits and waits for the end; the answer's whole body.
    pub(crate) async fn submit(&mut self, submission: String) -> Bytes {
        let request = Request::post("https://localhost/v1/execute")
            .header(AUTHORIZATION, &self.authorization)
            .header(CONTENT_TYPE, "application/json")
            .header("prefer", "wait=30")
            .body(Full::new(Bytes::from(submission)))
            .unwrap();
        self.sender.ready().await.unwrap();
        let response = self.sender.send_request(request).await.unwrap();
        assert!(response.status().is_success(), "answered {}", response.status());
        response.into_body().collect().await.unwrap().to_bytes()
    }
}

/// Stops the benchmark if a session did not do all its work: what failed soon is not fast.
pub(crate) fn succeeded(answer: &[u8]) {
    let text = std::str::from_utf8(answer).unwrap();
    assert!(text.contains(r#""stop_reason":"success""#), "{text}");
}
