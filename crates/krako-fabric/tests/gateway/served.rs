//! A gateway on loopback, and callers of it over either version of HTTP, or with bytes of their own.

use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kora_ir::Limits;
use krako_contract::TenantId;
use krako_fabric::{
    DevelopmentAuthority, Drained, Gateway, GatewayConfig, Holder, Sessions, SystemWallClock, TcpAccept,
    TlsIdentity, Token, Tokens,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};

use crate::scripted::ScriptedSessions;

/// The graph of the examples, submitted.
pub(crate) const SUBMISSION: &str = include_str!("../../../krako-contract/examples/submission.json");

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Http {
    One,
    Two,
}

pub(crate) const BOTH: [Http; 2] = [Http::One, Http::Two];

/// Certificates and tokens of one test.
pub(crate) struct Keys {
    pub(crate) folder: TempDir,
    pub(crate) authority: DevelopmentAuthority,
    pub(crate) identity: TlsIdentity,
    pub(crate) tokens: Tokens,
    /// Of northwind, contoso, a node, a gateway.
    pub(crate) held: [String; 4],
}

impl Keys {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority =
            DevelopmentAuthority::open_or_make(folder.path(), &SystemWallClock::default()).unwrap();
        let identity = authority.leaf(&[], &SystemWallClock::default()).unwrap();
        let tenant = |name| Holder::Tenant(TenantId::new(name).unwrap());
        let holders = [
            tenant("northwind"),
            tenant("contoso"),
            Holder::Node(String::from("n")),
            Holder::Gateway(String::from("g")),
        ];
        let made: Vec<Token> = holders.iter().map(|_| Token::make().unwrap()).collect();
        let known = made.iter().zip(holders).map(|(token, holder)| (token.digest(), holder)).collect();
        let held: Vec<String> = made.iter().map(|token| token.reveal().to_owned()).collect();
        Self { folder, authority, identity, tokens: Tokens::new(known), held: held.try_into().unwrap() }
    }

    fn client(&self, versions: &[&'static SupportedProtocolVersion], alpn: &[&[u8]]) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.authority.certificate_file()).unwrap()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }
}

pub(crate) struct Served {
    pub(crate) keys: Keys,
    pub(crate) sessions: Arc<ScriptedSessions>,
    pub(crate) address: SocketAddr,
    pub(crate) gateway: Gateway,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Drained>,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {:?}", self.text))
    }

    pub(crate) fn error_type(&self) -> String {
        self.json()["error_type"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A small bound for everything that a test waits for.
pub(crate) fn config() -> GatewayConfig {
    let graph = Limits { max_graph_bytes: 64 << 10, ..Limits::default() };
    GatewayConfig { graph, ..GatewayConfig::default() }
}

pub(crate) async fn serve(config: GatewayConfig) -> Served {
    let keys = Keys::new();
    let sessions = Arc::new(ScriptedSessions::new());
    let scripted: Arc<dyn Sessions> = Arc::clone(&sessions) as _;
    let gateway = Gateway::new(scripted, keys.tokens.clone(), config);
    let accept = TcpAccept::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = accept.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let (identity, serving) = (keys.identity.clone(), gateway.clone());
    let shutdown = async {
        let _ = stopped.await;
    };
    let task = tokio::spawn(async move { serving.serve(&accept, &identity, shutdown).await });
    Served { keys, sessions, address, gateway, stop: Some(stop), task }
}

impl Served {
    pub(crate) fn begin_to_drain(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    pub(crate) async fn drained(self) -> Drained {
        self.task.await.unwrap()
    }

    pub(crate) async fn tls_of(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        alpn: &[&[u8]],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        self.keys.client(versions, alpn).connect(name, stream).await
    }

    pub(crate) async fn tls(&self, http: Http) -> std::io::Result<TlsStream<TcpStream>> {
        let alpn: &[u8] = if http == Http::Two { b"h2" } else { b"http/1.1" };
        self.tls_of(&[&version::TLS13], &[alpn]).await
    }

    pub(crate) async fn http_2(&self) -> http2::SendRequest<Full<Bytes>> {
        let stream = TokioIo::new(self.tls(Http::Two).await.unwrap());
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(65_535)
            .handshake(stream)
            .await
            .unwrap();
        tokio::spawn(connection);
        sender
    }

    pub(crate) async fn http_1(&self) -> http1::SendRequest<Full<Bytes>> {
        let stream = TokioIo::new(self.tls(Http::One).await.unwrap());
        let (sender, connection) = http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    /// Sends a request on a connection of its own; gives its answer's head.
    pub(crate) async fn send(&self, http: Http, request: Request<Full<Bytes>>) -> Response<Incoming> {
        match http {
            Http::One => self.http_1().await.send_request(request).await.unwrap(),
            Http::Two => self.http_2().await.send_request(for_http_2(request)).await.unwrap(),
        }
    }

    pub(crate) async fn ask(&self, http: Http, request: Request<Full<Bytes>>) -> Reply {
        whole(self.send(http, request).await).await
    }

    /// As northwind.
    pub(crate) fn get(&self, path: &str) -> Request<Full<Bytes>> {
        reading(&self.keys.held[0], path)
    }

    /// As northwind.
    pub(crate) fn post(&self, path: &str, body: &str) -> Request<Full<Bytes>> {
        posting(&self.keys.held[0], path, body)
    }

    /// Sends bytes over HTTP/1.1 and reads until the other end closes. `TOKEN` in them is northwind's.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.tls(Http::One).await.unwrap();
        // Whoever was answered before the end of what it sends may not get rid of the rest.
        let _ = stream.write_all(bytes).await;
        let _ = stream.flush().await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    }
}

pub(crate) fn reading(token: &str, path: &str) -> Request<Full<Bytes>> {
    Request::get(path)
        .header(HOST, "localhost")
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .body(Full::default())
        .unwrap()
}

pub(crate) fn posting(token: &str, path: &str, body: &str) -> Request<Full<Bytes>> {
    Request::post(path)
        .header(HOST, "localhost")
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap()
}

/// The same with the whole address in its line, and no `Host`.
pub(crate) fn for_http_2(mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
    let uri = format!("https://localhost{}", request.uri());
    *request.uri_mut() = uri.parse().unwrap();
    request.headers_mut().remove(HOST);
    request
}

pub(crate) async fn whole(response: Response<Incoming>) -> Reply {
    let (head, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    Reply { status: head.status.as_u16(), headers: head.headers, text }
}
