//! Encrypted connections: whom to trust is configured, and nobody else is.

use std::path::PathBuf;
use std::sync::Arc;

use models::{AdapterErrorKind, OpenAiAdapter, Usage};
use serde_json::json;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::peer::{Peer, good};
use crate::world::{ask, config, request};

/// A server with a new certificate for `name`, and the file that vouches for it: one for each test, as they run at once.
fn server(name: &str, test: &str) -> (TlsAcceptor, PathBuf) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}.pem"));
    std::fs::write(&path, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), path)
}

async fn asked(
    served: &str,
    test: &str,
    trusted: Option<PathBuf>,
) -> Result<models::RawReply, models::AdapterError> {
    let (acceptor, own) = server(served, test);
    let peer = Peer::start_with(vec![good()], Some(acceptor)).await;
    let ca_file = trusted.unwrap_or(own);
    let base_url = format!("https://{}/v1", peer.address);
    let adapter =
        OpenAiAdapter::new(config(&peer, json!({"ca_file": ca_file, "base_url": base_url}))).unwrap();
    ask(&adapter, &request()).await
}

#[tokio::test]
async fn a_trusted_server_is_asked() {
    assert!(asked("127.0.0.1", "trusted", None).await.is_ok());
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_not_asked_and_not_asked_again() {
    let (_, other) = server("127.0.0.1", "other");
    let error = asked("127.0.0.1", "untrusted", Some(other)).await.unwrap_err();
    assert_eq!((error.kind, error.transient), (AdapterErrorKind::Unreachable, false));
    assert_eq!(error.usage, Usage::NOTHING);
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[tokio::test]
async fn a_certificate_of_another_name_is_refused() {
    let error = asked("127.0.0.3", "misnamed", None).await.unwrap_err();
    assert_eq!((error.kind, error.transient), (AdapterErrorKind::Unreachable, false));
}
