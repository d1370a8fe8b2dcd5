//! Where a server is: an address that was checked once, so that nothing after has to wonder.

use std::fmt;
use std::net::IpAddr;

use thiserror::Error;
use url::{Host, Url};

/// A server's address. Its paths are those below the base.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) encrypted: bool,
    pub(super) host: Host<String>,
    pub(super) port: u16,
    // Invariant: without a slash at the end.
    base_path: String,
}

impl Endpoint {
    /// Reads a base address. Unencrypted only on this machine, unless `allow_plaintext`.
    pub(super) fn parse(text: &str, allow_plaintext: bool) -> Result<Self, EndpointError> {
        let url = Url::parse(text).map_err(|source| EndpointError::NotAUrl { source })?;
        let encrypted = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(EndpointError::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::UserInfo);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(EndpointError::Query);
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(EndpointError::Scheme);
        };
        let base_path = url.path().trim_end_matches('/').to_owned();
        let endpoint = Self { encrypted, host: host.to_owned(), port, base_path };
        if !encrypted && !allow_plaintext && !endpoint.is_loopback() {
            return Err(EndpointError::Plaintext);
        }
        Ok(endpoint)
    }

    /// Whether the host is this machine by its very name. Connecting then refuses any other address.
    pub(super) fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Domain(name) => name == "localhost" || name == "localhost.",
            Host::Ipv4(address) => is_loopback(IpAddr::V4(*address)),
            Host::Ipv6(address) => is_loopback(IpAddr::V6(*address)),
        }
    }

    /// The path of `below`, such as `/chat/completions`.
    pub(super) fn path(&self, below: &str) -> String {
        format!("{}{below}", self.base_path)
    }

    /// Value of the `Host` header.
    pub(super) fn authority(&self) -> String {
        let default = if self.encrypted { 443 } else { 80 };
        if self.port == default { self.host.to_string() } else { format!("{}:{}", self.host, self.port) }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.encrypted { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.base_path)
    }
}

/// Whether `address` is this machine, also in IPv4-mapped form.
pub(super) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// An address that is not usable.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum EndpointError {
    /// Not an absolute URL.
    #[error("not an absolute URL such as `http://127.0.0.1:11434/v1`: {source}")]
    NotAUrl {
        /// What the parser says.
        source: url::ParseError,
    },
    /// Something else than the web.
    #[error("must begin with `https://`, or `http://` on this machine")]
    Scheme,
    /// A name or password in the address.
    #[error("must not hold a user name or password; put the key where `api_key` says")]
    UserInfo,
    /// A query or fragment in the address.
    #[error("must end with the path, without `?` or `#`")]
    Query,
    /// Unencrypted to another machine.
    #[error("`http` is for this machine only; use `https`, or say `allow_plaintext` if the network is yours")]
    Plaintext,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let found = match Endpoint::parse(text, false) {
            Ok(endpoint) => format!("{endpoint} {}", if endpoint.is_loopback() { "local" } else { "remote" }),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn addresses_are_read_once_and_for_all() {
        check("http://127.0.0.1:11434/v1", "http://127.0.0.1:11434/v1 local");
        check("http://127.9.9.9/v1/", "http://127.9.9.9/v1 local");
        check("http://[::1]:80/", "http://[::1] local");
        check("http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1] local");
        check("http://LOCALHOST:1/v1//", "http://localhost:1/v1 local");
        check("http://0x7f.1/v1", "http://127.0.0.1/v1 local");
        check("https://api.example.com/v1", "https://api.example.com/v1 remote");
    }

    #[test]
    fn addresses_that_leak_are_refused() {
        let plain = EndpointError::Plaintext.to_string();
        check("http://10.0.0.1/v1", &plain);
        check("http://localhost.example.com/v1", &plain);
        check("http://0.0.0.0/v1", &plain);
        check("http://127.0.0.1@example.com/v1", &EndpointError::UserInfo.to_string());
        check("https://user:pass@example.com/v1", &EndpointError::UserInfo.to_string());
        check("https://example.com/v1?key=1", &EndpointError::Query.to_string());
        check("file:///etc/passwd", &EndpointError::Scheme.to_string());
        check("ftp://localhost/", &EndpointError::Scheme.to_string());
        assert!(Endpoint::parse("/v1", false).is_err());
        assert!(Endpoint::parse("http://10.0.0.1/v1", true).is_ok());
    }
}
