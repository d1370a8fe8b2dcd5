//! HTTP/1.1 to this machine: one connection for one request, driven by whoever waits; dropping it closes it.
//!
//! A case must be able to hang up and be seen doing so, hence no pool and no task in the background. To this machine
//! only: there is no way to ask for plaintext to another (I9).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{self, HeaderMap};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::TcpStream;
use url::{Host, Url};

/// To connect to this machine.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of a response's head.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// Headers of a response.
const MAX_HEADERS: usize = 100;

/// Where an HTTP interface of this machine is.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    // Invariant: `localhost` or an address of loopback.
    host: Host,
    port: u16,
    // Invariant: does not end in a stroke.
    path: String,
}

/// Why a text is not the address of a server on this machine.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum AddressError {
    /// It is no URL.
    #[error("no URL such as `http://127.0.0.1:7010`")]
    NoUrl,
    /// Its scheme is another.
    #[error("only `http` to this machine is spoken; put what speaks TLS behind an address of loopback")]
    NotHttp,
    /// It leads elsewhere.
    #[error(
        "not an address of this machine; use `http://127.0.0.1:PORT`, forwarded if the backend is elsewhere"
    )]
    NotLoopback,
    /// It has parts that no base address has.
    #[error("a base address has no user, no query and no fragment; leave them out")]
    Surplus,
}

impl Address {
    /// Reads a base address.
    pub(crate) fn parse(text: &str) -> Result<Self, AddressError> {
        let url = Url::parse(text).map_err(|_| AddressError::NoUrl)?;
        if url.scheme() != "http" {
            return Err(AddressError::NotHttp);
        }
        let host = url.host().ok_or(AddressError::NoUrl)?.to_owned();
        let is_here = match &host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        if !is_here {
            return Err(AddressError::NotLoopback);
        }
        let is_bare = url.username().is_empty() && url.password().is_none();
        if !is_bare || url.query().is_some() || url.fragment().is_some() {
            return Err(AddressError::Surplus);
        }
        let path = url.path().trim_end_matches('/').to_owned();
        Ok(Self { host, port: url.port().unwrap_or(80), path })
    }

    /// Sends one request, and waits for the head of its response.
    pub(crate) async fn send(
        &self,
        method: Method,
        below: &str,
        document: Option<Vec<u8>>,
    ) -> Result<Reply, Lost> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{below}", self.path))
            .header(header::HOST, format!("{}:{}", self.host, self.port))
            .header(header::USER_AGENT, concat!("kora-conformance/", env!("CARGO_PKG_VERSION")))
            .header(header::CONNECTION, "close");
        if document.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(Bytes::from(document.unwrap_or_default())))
            .map_err(|error| Lost::Unreachable(format!("`{self}`: no such request can be sent: {error}")))?;
        let (mut sender, driver) = http1::Builder::new()
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD_BYTES)
            .handshake(TokioIo::new(self.connect().await?))
            .await
            .map_err(|error| broken(&error))?;
        let mut driver = Some(Box::pin(driver));
        let response = sender.send_request(request);
        tokio::pin!(response);
        let response = loop {
            tokio::select! {
                biased;
                response = &mut response => break response,
                () = drive(&mut driver), if driver.is_some() => {}
            }
        };
        let (head, body) = response.map_err(|error| broken(&error))?.into_parts();
        Ok(Reply { status: head.status, headers: head.headers, body, driver })
    }

    async fn connect(&self) -> Result<TcpStream, Lost> {
        let connecting = tokio::time::timeout(CONNECT_PATIENCE, self.connect_to_any()).await;
        let stream = connecting
            .unwrap_or_else(|_| Err(format!("no connection within {} s", CONNECT_PATIENCE.as_secs())))
            .map_err(|what| Lost::Unreachable(format!("`{self}`: {what}")))?;
        // Small requests, small pieces. No harm if it cannot be set.
        drop(stream.set_nodelay(true));
        Ok(stream)
    }

    async fn connect_to_any(&self) -> Result<TcpStream, String> {
        let addresses: Vec<SocketAddr> = match &self.host {
            Host::Ipv4(address) => vec![SocketAddr::new(IpAddr::V4(*address), self.port)],
            Host::Ipv6(address) => vec![SocketAddr::new(IpAddr::V6(*address), self.port)],
            Host::Domain(name) => tokio::net::lookup_host((name.as_str(), self.port))
                .await
                .map_err(|error| format!("the name does not resolve: {error}"))?
                // Whatever a resolver says, `localhost` is this machine.
                .filter(|address| address.ip().is_loopback())
                .collect(),
        };
        let mut fault = String::from("the name has no address of this machine");
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => fault = format!("no connection: {error}; does anybody listen there?"),
            }
        }
        Err(fault)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}{}", self.host, self.port, self.path)
    }
}

type Driver = http1::Connection<TokioIo<TcpStream>, Full<Bytes>>;

/// The head of a response, and the connection that its body comes from.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    body: Incoming,
    // `None` once it is done: a finished future must not be polled.
    driver: Option<Pin<Box<Driver>>>,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Reply {
    /// What the body claims to be, without parameters.
    pub(crate) fn content_type(&self) -> &str {
        let claimed = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        claimed.and_then(|value| value.split(';').next()).unwrap_or("").trim()
    }

    /// The next bytes of the body, or `None` at its end.
    pub(crate) async fn bytes(&mut self) -> Result<Option<Bytes>, Lost> {
        loop {
            let frame = tokio::select! {
                biased;
                frame = self.body.frame() => frame,
                () = drive(&mut self.driver), if self.driver.is_some() => continue,
            };
            let Some(frame) = frame else { return Ok(None) };
            if let Ok(bytes) = frame.map_err(|error| broken(&error))?.into_data() {
                return Ok(Some(bytes));
            }
        }
    }

    /// The whole body.
    pub(crate) async fn whole(&mut self, max_bytes: usize) -> Result<Vec<u8>, Lost> {
        let mut whole = Vec::new();
        while let Some(bytes) = self.bytes().await? {
            if whole.len() + bytes.len() > max_bytes {
                return Err(Lost::TooLong { max_bytes });
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(whole)
    }
}

/// Why there is no response, or no whole one.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(crate) enum Lost {
    /// Nobody is there.
    #[error("{0}")]
    Unreachable(String),
    /// Somebody was there, and is no more.
    #[error("the connection broke before the response was complete: {0}")]
    Broken(String),
    /// What came is not HTTP, or has a head that is larger than any may be.
    #[error("the response is not HTTP, or its head is too large: {0}")]
    NotHttp(String),
    /// More came than any response may have.
    #[error("the response is longer than {max_bytes} bytes")]
    TooLong {
        /// The most that is read.
        max_bytes: usize,
    },
}

/// Moves the bytes. What goes wrong there also comes out of the response or its body.
async fn drive(driver: &mut Option<Pin<Box<Driver>>>) {
    if let Some(connection) = driver {
        drop(connection.as_mut().await);
    }
    *driver = None;
}

fn broken(error: &hyper::Error) -> Lost {
    if error.is_parse() { Lost::NotHttp(error.to_string()) } else { Lost::Broken(error.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_of_this_machine_and_bare() {
        let parse = |text| Address::parse(text).map(|address| address.to_string());
        assert_eq!(parse("http://127.0.0.1:7010/"), Ok("http://127.0.0.1:7010".into()));
        assert_eq!(parse("http://localhost/v1"), Ok("http://localhost:80/v1".into()));
        assert_eq!(parse("http://[::1]:9/a/b/"), Ok("http://[::1]:9/a/b".into()));
        assert_eq!(parse("127.0.0.1:7010"), Err(AddressError::NoUrl));
        assert_eq!(parse("https://127.0.0.1"), Err(AddressError::NotHttp));
        assert_eq!(parse("http://example.com"), Err(AddressError::NotLoopback));
        assert_eq!(parse("http://10.0.0.1"), Err(AddressError::NotLoopback));
        assert_eq!(parse("http://me:secret@127.0.0.1"), Err(AddressError::Surplus));
        assert_eq!(parse("http://127.0.0.1/?a"), Err(AddressError::Surplus));
    }

    #[tokio::test]
    async fn nobody_there_is_said_at_once() {
        // Bound and closed again, so that nobody listens there.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        drop(listener);
        let lost = address.send(Method::GET, "/", None).await.unwrap_err();
        assert!(matches!(&lost, Lost::Unreachable(what) if what.contains("does anybody listen")), "{lost}");
    }
}
