//! Where a fabric is: an address that was checked once and is encrypted by being one.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;
use tokio_rustls::rustls::pki_types::ServerName;
use url::{Host, Url};

/// A fabric's address, `https://host[:port][/prefix]`. There is none that is unencrypted (C11.4).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Endpoint {
    host: Host<String>,
    port: u16,
    // Invariant: empty, or begins with a slash and does not end with one.
    prefix: String,
}

/// An address that is not used, and how to mend it.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum EndpointError {
    /// No address at all.
    #[error("not an absolute address such as `https://fabric.example:8443`: {source}")]
    NotAUrl {
        /// What the parser says.
        source: url::ParseError,
    },
    /// Unencrypted.
    #[error(
        "`http` is not encrypted, and nothing goes to a fabric in the clear; write `https://`, and name the fabric's own certificate authority if it has one"
    )]
    Unencrypted,
    /// Something else than the web.
    #[error("must begin with `https://`")]
    Scheme,
    /// A name or password in the address.
    #[error("must not hold a user name or password; a token is read from a file or the environment")]
    UserInfo,
    /// A query or fragment in the address.
    #[error("must end with the host, the port or a path, without `?` or `#`")]
    Query,
    /// A host that no certificate can be for.
    #[error("the host is not a name that a certificate can have; write it as the fabric's certificate does")]
    Host,
    /// Port 0 is nobody's.
    #[error("port 0 is nobody's; write the port that the fabric listens on")]
    Port,
}

impl Endpoint {
    /// Reads an address. A path is kept as a prefix of every call's.
    ///
    /// # Errors
    ///
    /// [`EndpointError`] says what is wrong with it and how to mend it.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let url = Url::parse(text.trim()).map_err(|source| EndpointError::NotAUrl { source })?;
        match url.scheme() {
            "https" => {}
            "http" => return Err(EndpointError::Unencrypted),
            _ => return Err(EndpointError::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::UserInfo);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(EndpointError::Query);
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(EndpointError::Scheme);
        };
        if port == 0 {
            return Err(EndpointError::Port);
        }
        let prefix = url.path().trim_end_matches('/').to_owned();
        let endpoint = Self { host: host.to_owned(), port, prefix };
        endpoint.server_name().map(|_| endpoint)
    }

    /// The host as it is dialed: a name, or an address without brackets.
    pub fn host(&self) -> String {
        match &self.host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the host is this machine by its very name.
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Domain(name) => name == "localhost" || name == "localhost.",
            Host::Ipv4(address) => IpAddr::V4(*address).is_loopback(),
            Host::Ipv6(address) => IpAddr::V6(*address).to_canonical().is_loopback(),
        }
    }

    /// Who the certificate must be for.
    pub(crate) fn server_name(&self) -> Result<ServerName<'static>, EndpointError> {
        Ok(match &self.host {
            Host::Domain(name) => {
                let name = name.strip_suffix('.').unwrap_or(name).to_owned();
                ServerName::try_from(name).map_err(|_| EndpointError::Host)?
            }
            Host::Ipv4(address) => ServerName::IpAddress((*address).into()),
            Host::Ipv6(address) => ServerName::IpAddress((*address).into()),
        })
    }

    /// The whole address of `path`, which begins with a slash.
    pub(crate) fn uri(&self, path: &str) -> String {
        format!("{self}{path}")
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.host)?;
        if self.port != 443 {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let found = match Endpoint::parse(text) {
            Ok(endpoint) => endpoint.to_string(),
            Err(error) => error.to_string(),
        };
        assert!(found.starts_with(expected), "{text}: {found}");
    }

    // shows C11.4
    #[test]
    fn an_address_is_encrypted_or_it_is_none() {
        check("https://fabric.example", "https://fabric.example");
        check("https://FABRIC.example:443/", "https://fabric.example");
        check(" https://127.0.0.1:8443/krako/ ", "https://127.0.0.1:8443/krako");
        check("https://[::1]:8443", "https://[::1]:8443");
        check("http://fabric.example", "`http` is not encrypted");
        check("http://127.0.0.1:8443", "`http` is not encrypted");
        check("HTTP://localhost", "`http` is not encrypted");
        check("fabric.example:8443", "must begin with `https://`");
        check("ftp://fabric.example", "must begin with `https://`");
        check("fabric.example", "not an absolute address");
        check("", "not an absolute address");
    }

    #[test]
    fn an_address_holds_no_secret_and_no_more_than_a_place() {
        check("https://me:hunter2@fabric.example", "must not hold a user name or password");
        check("https://token@fabric.example", "must not hold a user name or password");
        check("https://fabric.example/?a=b", "must end with the host");
        check("https://fabric.example/#a", "must end with the host");
        check("https://fabric.example:0", "port 0");
        check("https://a..b", "the host is not a name");
    }
}
