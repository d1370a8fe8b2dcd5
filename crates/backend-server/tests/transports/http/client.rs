//! A server on loopback, and a client that can misbehave because it writes its bytes itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use backend_server::{HttpConfig, HttpLimits, HttpService, Service, serve_http};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::puppet::identity;

/// Far more than anything here takes, so that what hangs is a failed test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(service: Arc<dyn Service>, limits: HttpLimits) -> Self {
        Self::of(HttpService::Plain(service), limits).await
    }

    pub(crate) async fn of(service: HttpService, limits: HttpLimits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let identity = identity();
        let config = HttpConfig { identity, allowed_hosts: vec![String::from("kora.test")], limits };
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve_http(listener, service, config, async {
            // A test that ends drops it, and its runtime ends the server.
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
        }));
        Self { address, stop, task }
    }

    /// Tells it to stop. The future resolves when it has.
    pub(crate) fn stop(self) -> impl Future<Output = ()> {
        self.stop.send(()).unwrap();
        async { timeout(PATIENCE, self.task).await.expect("the server stops").unwrap() }
    }
}

pub(crate) struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Value,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

impl Client {
    pub(crate) async fn of(server: &Server) -> Self {
        Self { stream: TcpStream::connect(server.address).await.unwrap(), read: Vec::new() }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1:7010\r\n\r\n")).await
    }

    pub(crate) async fn post(&mut self, request: &Value) -> Reply {
        self.begin(request).await;
        self.answer().await
    }

    /// Asks for a run, and does not wait for it.
    pub(crate) async fn begin(&mut self, request: &Value) {
        let body = request.to_string();
        let length = body.len();
        self.write(&format!("{POST}content-length: {length}\r\n\r\n{body}")).await;
    }

    pub(crate) async fn send(&mut self, request: &str) -> Reply {
        self.write(request).await;
        self.answer().await
    }

    pub(crate) async fn write(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Writes as much as the server takes.
    pub(crate) async fn try_write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    pub(crate) async fn answer(&mut self) -> Reply {
        timeout(PATIENCE, async {
            loop {
                if let Some(reply) = self.take() {
                    return reply;
                }
                assert!(self.fill().await > 0, "closed: {}", String::from_utf8_lossy(&self.read));
            }
        })
        .await
        .expect("the server answers")
    }

    /// Whether the server closes the connection without another word.
    pub(crate) async fn is_closed(&mut self) -> bool {
        timeout(PATIENCE, self.fill()).await.expect("the server closes it") == 0 && self.read.is_empty()
    }

    /// A streamed answer, to its end.
    pub(crate) async fn stream(&mut self) -> Streamed {
        timeout(PATIENCE, async {
            loop {
                let text = String::from_utf8_lossy(&self.read).into_owned();
                if let Some((head, body)) = text.split_once("\r\n\r\n")
                    && body.ends_with("\r\n0\r\n\r\n")
                {
                    return Streamed { head: head.to_owned(), text: unchunked(body) };
                }
                assert!(self.fill().await > 0, "closed: {text}");
            }
        })
        .await
        .expect("the server answers")
    }

    /// Reads until `text` has come.
    pub(crate) async fn waits_for(&mut self, text: &str) {
        timeout(PATIENCE, async {
            while !String::from_utf8_lossy(&self.read).contains(text) {
                assert!(self.fill().await > 0, "closed: {}", String::from_utf8_lossy(&self.read));
            }
        })
        .await
        .expect("the server tells it");
    }

    /// Says that it writes no more.
    pub(crate) async fn finish(&mut self) {
        // Whoever closed it first has said so already.
        let _ = self.stream.shutdown().await;
    }

    /// Reads to the end.
    pub(crate) async fn rest(&mut self) -> String {
        while timeout(PATIENCE, self.fill()).await.expect("there is an end") > 0 {}
        String::from_utf8_lossy(&self.read).into_owned()
    }

    async fn fill(&mut self) -> usize {
        let mut chunk = [0; 4096];
        // A connection that is reset is closed as well.
        let count = self.stream.read(&mut chunk).await.unwrap_or(0);
        self.read.extend_from_slice(&chunk[..count]);
        count
    }

    fn take(&mut self) -> Option<Reply> {
        let text = String::from_utf8_lossy(&self.read).into_owned();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let reply = |body| Reply {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_owned(),
            body,
        };
        let length: usize = reply(Value::Null).header("content-length").unwrap_or("0").parse().unwrap();
        let body = body.as_bytes().get(..length)?;
        let document = if body.is_empty() { Value::Null } else { serde_json::from_slice(body).unwrap() };
        self.read.drain(..head.len() + 4 + length);
        Some(reply(document))
    }
}

pub(crate) struct Streamed {
    head: String,
    pub(crate) text: String,
}

impl Streamed {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn unchunked(mut body: &str) -> String {
    let mut text = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        text.push_str(&rest[..length]);
        body = &rest[length + 2..];
    }
    text
}

/// A request as it begins.
pub(crate) const POST: &str =
    "POST /execute HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json; charset=utf-8\r\n";
