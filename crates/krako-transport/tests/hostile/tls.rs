//! Whom to talk to: only whoever is vouched for, over TLS 1.3 and HTTP/2.

use std::path::PathBuf;
use std::sync::Arc;

use krako_transport::{Call, Client, Endpoint, TcpDial, TransportError, TransportLimits, Trust};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::rustls::version;

use crate::server::{Identity, Reply, Server};

fn client(host: &str, port: u16, ca: PathBuf) -> Client {
    let endpoint = Endpoint::parse(&format!("https://{host}:{port}")).unwrap();
    Client::new(endpoint, Trust::Pinned(ca), None, Arc::new(TcpDial), TransportLimits::default()).unwrap()
}

async fn asked(identity: Identity, host: &str, other_ca: bool) -> Result<u16, TransportError> {
    let server = Server::start_as(&identity, |_| Reply::json(200, "{}")).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let (_, other) = Identity::default().acceptor(elsewhere.path());
    let client = client(host, server.address.port(), if other_ca { other } else { server.ca.clone() });
    let answer = client.request(Call::get("/v1/health")).await;
    assert_eq!(server.heard().len(), usize::from(answer.is_ok()), "nothing is sent to who is not trusted");
    answer.map(|answer| answer.status.as_u16())
}

// shows C11.4
#[tokio::test]
async fn a_server_that_is_vouched_for_is_asked() {
    assert_eq!(asked(Identity::default(), "127.0.0.1", false).await, Ok(200));
    assert_eq!(asked(Identity::default(), "localhost", false).await, Ok(200));
}

async fn refused(identity: Identity, host: &str, other_ca: bool, words: &str) {
    let error = asked(identity, host, other_ca).await.unwrap_err();
    assert!(!error.is_passing() && !error.may_have_arrived, "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

// shows C11.4
#[tokio::test]
async fn whoever_is_not_vouched_for_is_told_apart_and_told_how_to_mend_it() {
    let good = Identity::default;
    refused(
        good(),
        "127.0.0.1",
        true,
        "does not vouch for its certificate; take the file of the authority from that very fabric",
    )
    .await;
    let expired = Identity { expired: true, ..good() };
    refused(expired, "127.0.0.1", false, "its certificate has expired; renew it at the fabric").await;
    let other = Identity { names: vec!["fabric.example"], ..good() };
    refused(other, "127.0.0.1", false, "its certificate is for another name (").await;
}

// shows C11.4
#[tokio::test]
async fn what_is_less_than_tls_1_3_and_http_2_is_refused() {
    let old = Identity { versions: vec![&version::TLS12], ..Identity::default() };
    refused(old, "127.0.0.1", false, "it speaks no TLS 1.3").await;
    let http1 = Identity { alpn: vec![b"http/1.1"], ..Identity::default() };
    refused(http1, "127.0.0.1", false, "no HTTP/2; is it a fabric?").await;
    let nothing = Identity { alpn: vec![], ..Identity::default() };
    refused(nothing, "127.0.0.1", false, "no HTTP/2; is it a fabric?").await;
}

#[tokio::test]
async fn what_speaks_no_tls_at_all_is_told_so() {
    for greeting in ["HTTP/1.1 400 Bad Request\r\n\r\n", "220 mail.example ESMTP\r\n", ""] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut hello = [0; 64];
            stream.read_exact(&mut hello).await.unwrap();
            stream.write_all(greeting.as_bytes()).await.unwrap();
        });
        let folder = tempfile::tempdir().unwrap();
        let (_, ca) = Identity::default().acceptor(folder.path());
        let error = client("127.0.0.1", port, ca).request(Call::get("/")).await.unwrap_err();
        assert!(error.to_string().contains("TLS"), "{greeting:?}: {error}");
        assert!(!error.may_have_arrived);
    }
}

#[tokio::test]
async fn nobody_there_is_told_with_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let folder = tempfile::tempdir().unwrap();
    let (_, ca) = Identity::default().acceptor(folder.path());
    let error = client("127.0.0.1", port, ca).request(Call::get("/")).await.unwrap_err();
    let said = error.to_string();
    assert!(said.starts_with(&format!("`https://127.0.0.1:{port}`: no connection: ")), "{said}");
    assert!(said.ends_with("is the fabric running, and are host and port right?"), "{said}");
    assert!(error.is_passing());
}
