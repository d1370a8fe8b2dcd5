//! Who may vouch for a fabric: the system's certificate authorities, or one that is named.

use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto, version};

/// Bytes of a file of certificates: a wrong path may name anything.
const MAX_PEM_BYTES: u64 = 4 << 20;

/// Whose word is taken for who a fabric is. There is no way to take nobody's.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the system's, or one's own")]
pub enum Trust {
    /// Every certificate authority that this system trusts.
    #[default]
    System,
    /// Those of this PEM file, and nobody else.
    Pinned(PathBuf),
}

/// Certificate authorities that cannot be used, and how to mend it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The file cannot be read.
    #[error("`{}`, which should hold the certificate authority, cannot be read", .path.display())]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("`{}`, which should hold the certificate authority, {fault}", .path.display())]
    BadFile {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        fault: String,
    },
    /// The system trusts nobody.
    #[error(
        "this system trusts no certificate authority; install its package of CA certificates, or name one of your own"
    )]
    NoneFound,
    /// A bug of ours.
    #[error("TLS cannot be set up: {fault}")]
    Internal {
        /// What the library says.
        fault: String,
    },
}

impl Trust {
    /// Reads the authorities. TLS 1.3 on ring, HTTP/2 asked for, no early data, no certificate of our own.
    pub(crate) fn connector(&self) -> Result<TlsConnector, TrustError> {
        let roots = match self {
            Self::System => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if roots.is_empty() {
                    return Err(TrustError::NoneFound);
                }
                roots
            }
            Self::Pinned(path) => pinned(path)?,
        };
        let internal = |error: tokio_rustls::rustls::Error| TrustError::Internal { fault: error.to_string() };
        let mut config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_protocol_versions(&[&version::TLS13])
            .map_err(internal)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }

    /// How to mend that nobody trusted vouches for the fabric.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::System => String::from(
                "no authority that this system trusts vouches for its certificate; if the fabric has an authority of its own, name its file",
            ),
            Self::Pinned(path) => format!(
                "`{}` does not vouch for its certificate; take the file of the authority from that very fabric",
                path.display()
            ),
        }
    }
}

fn pinned(path: &PathBuf) -> Result<RootCertStore, TrustError> {
    let unreadable = |source| TrustError::Unreadable { path: path.clone(), source };
    let bad = |fault: String| TrustError::BadFile { path: path.clone(), fault };
    // Asked before opening: opening a pipe would wait for whoever writes to it.
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(bad(String::from("is not a regular file")));
    }
    if metadata.len() > MAX_PEM_BYTES {
        return Err(bad(format!(
            "has {} bytes, more than any such file; is it the right one?",
            metadata.len()
        )));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|error: pem::Error| bad(format!("is not PEM: {error}")))?;
        roots.add(certificate).map_err(|error| bad(format!("holds a certificate that is none: {error}")))?;
    }
    if roots.is_empty() {
        return Err(bad(String::from("holds no certificate; it begins with `-----BEGIN CERTIFICATE-----`")));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_vouches_for_nobody_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let check = |text: &str, expected: &str| {
            std::fs::write(&path, text).unwrap();
            let error = Trust::Pinned(path.clone()).connector().err().unwrap().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("", "holds no certificate");
        check("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "holds no certificate");
        check(
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "holds a certificate that is none",
        );
        check("-----BEGIN CERTIFICATE-----\nAAAA\n", "is not PEM");
        let error = Trust::Pinned(folder.path().join("none.pem")).connector().err().unwrap();
        assert!(error.to_string().contains("cannot be read"), "{error}");
        let error = Trust::Pinned(folder.path().to_owned()).connector().err().unwrap();
        assert!(error.to_string().contains("is not a regular file"), "{error}");
    }
}
