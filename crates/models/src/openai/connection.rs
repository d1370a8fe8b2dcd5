//! One connection for one request, driven by whoever waits for it: dropping it closes it.
//!
//! On hyper itself and not on a client above it. A call must stop spending when its future is dropped, so nothing may
//! live on in a pool or a background task; and redirects, proxies, cookies and decompression are what a hostile server
//! would use. What is left of a client then is this file, with hyper's bounds on headers within reach.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use credentials::Secret;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto, version};
use url::Host;

use crate::openai::endpoint::{Endpoint, is_loopback};
use crate::{AdapterError, AdapterErrorKind, OpenAiLimits};

/// How many addresses of a name are tried.
const MAX_ADDRESSES: usize = 8;

/// How to reach an endpoint.
#[derive(Clone)]
pub(super) struct Dialer {
    pub(super) endpoint: Endpoint,
    pub(super) limits: OpenAiLimits,
    pub(super) key: Option<Secret>,
    pub(super) tls: Option<TlsConnector>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

type Driver = http1::Connection<TokioIo<Box<dyn Stream>>, Full<Bytes>>;

/// The head of a response, and the connection that its body comes from.
pub(super) struct Response {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: Incoming,
    // `None` once it is done: a finished future must not be polled.
    driver: Option<Pin<Box<Driver>>>,
    left: usize,
    max_response_bytes: usize,
}

impl Dialer {
    /// Sends one request. `sent` is called once it can have reached the server.
    pub(super) async fn send(
        &self,
        method: Method,
        below: &str,
        body: Vec<u8>,
        sent: impl FnOnce(),
    ) -> Result<Response, AdapterError> {
        let request = self.request(method, below, body)?;
        let patience = Duration::from_millis(self.limits.connect_timeout_ms);
        let stream = tokio::time::timeout(patience, self.connect()).await.unwrap_or_else(|_| {
            Err(self.unreachable(format_args!("no connection within {} ms", patience.as_millis())))
        })?;
        let (mut sender, driver) = http1::Builder::new()
            .max_headers(self.limits.max_headers)
            .max_buf_size(self.limits.max_header_bytes)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.broken(&error))?;
        let mut driver = Some(Box::pin(driver));
        sent();
        let response = sender.send_request(request);
        tokio::pin!(response);
        let response = loop {
            tokio::select! {
                biased;
                response = &mut response => break response,
                () = drive(&mut driver), if driver.is_some() => {}
            }
        };
        let (head, body) = response.map_err(|error| self.broken(&error))?.into_parts();
        Ok(Response {
            status: head.status,
            headers: head.headers,
            body,
            driver,
            left: self.limits.max_response_bytes,
            max_response_bytes: self.limits.max_response_bytes,
        })
    }

    fn request(
        &self,
        method: Method,
        below: &str,
        body: Vec<u8>,
    ) -> Result<Request<Full<Bytes>>, AdapterError> {
        let mut request = Request::builder()
            .method(method)
            .uri(self.endpoint.path(below))
            .header(header::HOST, self.endpoint.authority())
            .header(header::USER_AGENT, concat!("kora-models/", env!("CARGO_PKG_VERSION")))
            .header(header::ACCEPT, "text/event-stream, application/json")
            .header(header::CONNECTION, "close");
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(key) = &self.key {
            request = request.header(header::AUTHORIZATION, key.authorization());
        }
        request.body(Full::new(Bytes::from(body))).map_err(|error| {
            AdapterError::new(AdapterErrorKind::Internal, format!("the request cannot be written: {error}"))
        })
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, AdapterError> {
        let stream = self.connect_tcp().await?;
        // Small requests, small pieces: waiting to fill packets only adds delay. No harm if it cannot be set.
        drop(stream.set_nodelay(true));
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        let name = match &self.endpoint.host {
            Host::Domain(name) => ServerName::try_from(name.clone())
                .map_err(|_| self.unreachable("the host is not a name that a certificate can have"))?,
            Host::Ipv4(address) => ServerName::IpAddress((*address).into()),
            Host::Ipv6(address) => ServerName::IpAddress((*address).into()),
        };
        let stream = tls.connect(name, stream).await.map_err(|error| {
            // A certificate that is not trusted now will not be trusted in a second.
            let final_ = error.get_ref().is_some_and(|inner| inner.is::<tokio_rustls::rustls::Error>());
            self.unreachable(format_args!("no TLS connection: {error}")).with_transient(!final_)
        })?;
        Ok(Box::new(stream))
    }

    async fn connect_tcp(&self) -> Result<TcpStream, AdapterError> {
        let port = self.endpoint.port;
        let addresses: Vec<SocketAddr> = match &self.endpoint.host {
            Host::Ipv4(address) => vec![SocketAddr::new(IpAddr::V4(*address), port)],
            Host::Ipv6(address) => vec![SocketAddr::new(IpAddr::V6(*address), port)],
            Host::Domain(name) => tokio::net::lookup_host((name.as_str(), port))
                .await
                .map_err(|error| self.unreachable(format_args!("the name does not resolve: {error}")))?
                // Whatever a resolver says, `localhost` is this machine.
                .filter(|address| !self.endpoint.is_loopback() || is_loopback(address.ip()))
                .take(MAX_ADDRESSES)
                .collect(),
        };
        let mut last = None;
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        Err(match last {
            Some(error) => self.unreachable(format_args!("no connection: {error}; is the server running?")),
            None => self.unreachable("the name has no usable address"),
        })
    }

    fn unreachable(&self, what: impl std::fmt::Display) -> AdapterError {
        AdapterError::new(AdapterErrorKind::Unreachable, format!("`{}`: {what}", self.endpoint))
    }

    fn broken(&self, error: &hyper::Error) -> AdapterError {
        let error = broken(error);
        let message = format!("`{}`: {}", self.endpoint, error.message);
        AdapterError { message, ..error }
    }
}

impl Response {
    /// The next bytes of the body, or `None` at its end.
    pub(super) async fn bytes(&mut self) -> Result<Option<Bytes>, AdapterError> {
        loop {
            let frame = tokio::select! {
                biased;
                frame = self.body.frame() => frame,
                () = drive(&mut self.driver), if self.driver.is_some() => continue,
            };
            let Some(frame) = frame else { return Ok(None) };
            let Ok(bytes) = frame.map_err(|error| broken(&error))?.into_data() else { continue };
            self.left = self.left.checked_sub(bytes.len()).ok_or_else(|| {
                let message = format!("the response is longer than {} bytes", self.max_response_bytes);
                AdapterError::new(AdapterErrorKind::ReplyTooLarge, message)
            })?;
            return Ok(Some(bytes));
        }
    }

    /// The whole body, or its first `max` bytes.
    pub(super) async fn first_bytes(&mut self, max: usize) -> Result<Vec<u8>, AdapterError> {
        let mut all = Vec::new();
        while let Some(bytes) = self.bytes().await? {
            all.extend_from_slice(&bytes[..bytes.len().min(max - all.len())]);
            if all.len() == max {
                break;
            }
        }
        Ok(all)
    }

    /// A header's value, if it is text.
    pub(super) fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name).map(HeaderValue::to_str).and_then(Result::ok)
    }
}

/// Moves the bytes. What goes wrong there also comes out of the response or its body.
async fn drive(driver: &mut Option<Pin<Box<Driver>>>) {
    if let Some(connection) = driver {
        drop(connection.as_mut().await);
    }
    *driver = None;
}

fn broken(error: &hyper::Error) -> AdapterError {
    let (kind, what) = if error.is_parse() || error.is_parse_status() {
        (AdapterErrorKind::Protocol, "the response is not HTTP, or its headers are larger than is allowed")
    } else if error.is_incomplete_message() || error.is_closed() {
        (AdapterErrorKind::Unreachable, "the connection was closed before the response was complete")
    } else {
        (AdapterErrorKind::Unreachable, "the connection was lost before the response was complete")
    };
    AdapterError::new(kind, what)
}

/// TLS 1.2 or later on ring, trusting `ca_file` alone or else what the system trusts.
pub(super) fn tls(ca_file: Option<&Path>) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            let unreadable = |error| format!("`{}` cannot be read as PEM: {error}", path.display());
            for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
                let added = roots.add(certificate.map_err(unreadable)?);
                added.map_err(|error| {
                    format!("`{}` holds a certificate that is none: {error}", path.display())
                })?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
    }
    if roots.is_empty() {
        return Err(match ca_file {
            Some(path) => format!("`{}` holds no certificate", path.display()),
            None => {
                String::from("the system has none; install its package of CA certificates, or set `ca_file`")
            }
        });
    }
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
