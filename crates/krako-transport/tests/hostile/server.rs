//! A scripted server: real TLS and HTTP/2 on loopback, and answers that a test wrote, piece by piece.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, SupportedProtocolVersion, crypto, version};

/// What a certificate is to be like.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) names: Vec<&'static str>,
    pub(crate) expired: bool,
    pub(crate) versions: Vec<&'static SupportedProtocolVersion>,
    pub(crate) alpn: Vec<&'static [u8]>,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            names: vec!["127.0.0.1", "localhost"],
            expired: false,
            versions: vec![&version::TLS13],
            alpn: vec![b"h2"],
        }
    }
}

impl Identity {
    /// An acceptor, and the file of the authority that vouches for it, in a folder of the test's own.
    pub(crate) fn acceptor(&self, folder: &Path) -> (TlsAcceptor, PathBuf) {
        let mut authority = CertificateParams::new(Vec::<String>::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().unwrap();
        let authority_made = authority.self_signed(&authority_key).unwrap();
        let issuer = Issuer::new(authority, authority_key);
        let names: Vec<String> = self.names.iter().map(|name| (*name).to_owned()).collect();
        let mut leaf = CertificateParams::new(names).unwrap();
        if self.expired {
            leaf.not_before = date_time_ymd(2020, 1, 1);
            leaf.not_after = date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let made = leaf.signed_by(&key, &issuer).unwrap();
        let path = folder.join("ca.pem");
        std::fs::write(&path, authority_made.pem()).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_protocol_versions(&self.versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.der().clone()], key)
            .unwrap();
        config.alpn_protocols = self.alpn.iter().map(|name| name.to_vec()).collect();
        (TlsAcceptor::from(Arc::new(config)), path)
    }
}

/// A request that came whole.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Heard {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// What a test has its server answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) pieces: Vec<Piece>,
}

/// A part of a body, or what happens in its place.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    Bytes(Vec<u8>),
    /// Nothing more, for ever.
    Silence,
    /// Nothing, until this is so.
    Until(Arc<AtomicBool>),
    /// The stream is reset.
    Reset,
    /// The connection is dropped.
    Drop,
    /// The connection takes no more calls; what is on it goes on.
    GoAway,
    /// The same bytes again and again.
    Endless(Vec<u8>),
}

impl Reply {
    pub(crate) fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type", String::from("application/json"))];
        Self { status, headers, pieces: vec![Piece::Bytes(body.into())] }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

struct Script {
    pieces: VecDeque<Piece>,
    signals: Arc<Signals>,
}

/// What a body asks of its connection.
#[derive(Default)]
struct Signals {
    drop: Notify,
    go_away: Notify,
}

impl Body for Script {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.pieces.pop_front() {
            None => Poll::Ready(None),
            Some(Piece::Bytes(bytes)) => Poll::Ready(Some(Ok(Frame::data(Bytes::from(bytes))))),
            Some(Piece::Silence) => {
                self.pieces.push_front(Piece::Silence);
                Poll::Pending
            }
            Some(Piece::Until(so)) if so.load(Ordering::Relaxed) => self.poll_frame(context),
            Some(Piece::Until(so)) => {
                self.pieces.push_front(Piece::Until(so));
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Piece::Reset) => Poll::Ready(Some(Err(std::io::Error::other("as the test wants it")))),
            Some(Piece::Drop) => {
                self.signals.drop.notify_one();
                self.pieces.push_front(Piece::Silence);
                Poll::Pending
            }
            Some(Piece::GoAway) => {
                self.signals.go_away.notify_one();
                self.poll_frame(context)
            }
            Some(Piece::Endless(bytes)) => {
                self.pieces.push_front(Piece::Endless(bytes.clone()));
                Poll::Ready(Some(Ok(Frame::data(Bytes::from(bytes)))))
            }
        }
    }
}

/// A server that answers what `answer` says, request by request.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) ca: PathBuf,
    // Where `ca` is.
    _folder: tempfile::TempDir,
    heard: Arc<Mutex<Vec<Heard>>>,
    connections: Arc<Mutex<usize>>,
}

impl Server {
    pub(crate) async fn start(answer: impl Fn(&Heard) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_as(&Identity::default(), answer).await
    }

    pub(crate) async fn start_as(
        identity: &Identity,
        answer: impl Fn(&Heard) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (acceptor, ca) = identity.acceptor(folder.path());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
        let connections: Arc<Mutex<usize>> = Arc::default();
        let (log, count) = (Arc::clone(&heard), Arc::clone(&connections));
        let answer: Arc<dyn Fn(&Heard) -> Reply + Send + Sync> = Arc::new(answer);
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                stream.set_nodelay(true).unwrap();
                *count.lock().unwrap() += 1;
                let (acceptor, log, answer) = (acceptor.clone(), Arc::clone(&log), Arc::clone(&answer));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let signals = Arc::<Signals>::default();
                    let asked = Arc::clone(&signals);
                    let service = service_fn(move |request: Request<Incoming>| {
                        let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                        let signals = Arc::clone(&signals);
                        async move { Ok::<_, Infallible>(answered(request, &log, answer.as_ref(), signals).await) }
                    });
                    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    let connection = builder.serve_connection(TokioIo::new(stream), service);
                    tokio::pin!(connection);
                    loop {
                        tokio::select! {
                            _ = &mut connection => return,
                            () = asked.drop.notified() => return,
                            () = asked.go_away.notified() => connection.as_mut().graceful_shutdown(),
                        }
                    }
                });
            }
        });
        Self { address, ca, _folder: folder, heard, connections }
    }

    /// Every request so far.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

async fn answered(
    request: Request<Incoming>,
    log: &Mutex<Vec<Heard>>,
    answer: &(dyn Fn(&Heard) -> Reply + Send + Sync),
    signals: Arc<Signals>,
) -> Response<Script> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let heard = Heard { method: head.method, path: head.uri.path().to_owned(), headers: head.headers, body };
    log.lock().unwrap().push(heard.clone());
    let reply = answer(&heard);
    let mut response = Response::new(Script { pieces: reply.pieces.into(), signals });
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap();
    for (name, value) in reply.headers {
        response.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap());
    }
    response
}
