//! One certificate and one token for everything.

use std::sync::Arc;

use krako_contract::TenantId;
use krako_fabric::{Holder, TlsIdentity, Token, Tokens};
use tempfile::TempDir;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, version};

/// Who is who.
pub(crate) struct Keys {
    pub(crate) folder: TempDir,
    pub(crate) tokens: Tokens,
    pub(crate) token: String,
    chain: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Keys {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec![String::from("localhost")]).unwrap();
        let token = Token::make().unwrap();
        std::fs::write(folder.path().join("ca.pem"), made.cert.pem()).unwrap();
        std::fs::write(folder.path().join("token"), token.reveal()).unwrap();
        let holder = Holder::Tenant(TenantId::new("northwind").unwrap());
        Self {
            folder,
            tokens: Tokens::new(vec![(token.digest(), holder)]),
            token: token.reveal().to_owned(),
            chain: made.cert.der().clone(),
            key: PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into()),
        }
    }

    pub(crate) fn identity(&self) -> TlsIdentity {
        TlsIdentity::new(vec![self.chain.clone()], self.key.clone_key()).unwrap()
    }

    /// What [`identity`](Self::identity) is made of, for the server that has nothing behind it.
    pub(crate) fn bare(&self) -> ServerConfig {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.chain.clone()], self.key.clone_key())
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }

    /// What a client of either server is made of.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.chain.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }
}
