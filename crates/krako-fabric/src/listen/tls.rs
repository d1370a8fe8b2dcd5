//! Who this server is, to whoever connects: TLS 1.3 and nothing older (C11.4).

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig, version};

/// What HTTP/2 is called in a handshake.
pub(super) const HTTP_2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";

/// A certificate chain and its private key, ready to serve. Shows neither.
#[derive(Clone)]
pub struct TlsIdentity(Arc<ServerConfig>);

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsIdentity(secret)")
    }
}

/// Why a server cannot say who it is.
#[derive(Debug, Error)]
#[expect(clippy::exhaustive_enums, reason = "a file or what is in it")]
pub enum InvalidIdentity {
    /// A file cannot be read, or holds nothing of its kind.
    #[error("`{}` holds no {what} in PEM: {reason}; name the file that does", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What it must hold.
        what: &'static str,
        /// Why it cannot be read.
        reason: String,
    },
    /// The key does not go with the certificate, say.
    #[error(
        "the certificate cannot be served: {0}; the first certificate of the chain must be that of the key"
    )]
    Unusable(#[from] rustls::Error),
}

impl TlsIdentity {
    /// An identity of a chain, the server's own certificate first, and its key.
    ///
    /// # Errors
    ///
    /// [`InvalidIdentity::Unusable`].
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, InvalidIdentity> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1_1.to_vec()];
        // What is sent before the handshake is over could be sent again by somebody else.
        config.max_early_data_size = 0;
        Ok(Self(Arc::new(config)))
    }

    /// Reads a chain and a key from files in PEM.
    ///
    /// # Errors
    ///
    /// [`InvalidIdentity`].
    pub fn from_files(chain: &Path, key: &Path) -> Result<Self, InvalidIdentity> {
        let bad =
            |path: &Path, what, reason: String| InvalidIdentity::File { path: path.to_owned(), what, reason };
        let what = "certificate";
        let certificates = CertificateDer::pem_file_iter(chain)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| bad(chain, what, error.to_string()))?;
        if certificates.is_empty() {
            return Err(bad(chain, what, String::from("there is none")));
        }
        let key =
            PrivateKeyDer::from_pem_file(key).map_err(|error| bad(key, "private key", error.to_string()))?;
        Self::new(certificates, key)
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0))
    }
}
