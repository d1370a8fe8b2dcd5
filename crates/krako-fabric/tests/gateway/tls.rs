//! TLS 1.3 and nothing else.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::rustls::version;

use crate::served::{Keys, config, serve};

// shows C11.4
#[tokio::test]
async fn what_is_not_encrypted_is_told_so_and_not_read() {
    let served = serve(config()).await;
    for request in [
        format!(
            "GET /v1/health HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
            served.keys.held[0]
        ),
        String::from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
        let document: serde_json::Value =
            serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!(document["error_type"], "VALIDATION_ERROR");
        assert!(document["message"].as_str().unwrap().contains("https://"), "{answer}");
        assert!(!answer.contains(&served.keys.held[0]));
    }
    // No HTTP either: closed without a word.
    for bytes in [&b"\x00\x00"[..], b"\xff", b"ssh-2.0\r\n"] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert_eq!(answer, b"");
    }
    assert_eq!(served.sessions.calls(), Vec::<String>::new());
}

// shows C11.4
#[tokio::test]
async fn tls_1_2_is_refused() {
    let served = serve(config()).await;
    let refused = served.tls_of(&[&version::TLS12], &[b"h2"]).await.unwrap_err();
    assert!(refused.to_string().contains("ProtocolVersion"), "{refused}");
    assert!(served.tls_of(&[&version::TLS13], &[b"h2"]).await.is_ok());
}

#[tokio::test]
async fn what_is_spoken_is_what_the_handshake_agreed_on() {
    let served = serve(config()).await;
    assert!(served.tls_of(&[&version::TLS13], &[b"spdy/3"]).await.is_err());
    let both = served.tls_of(&[&version::TLS13], &[b"http/1.1", b"h2"]).await.unwrap();
    assert_eq!(both.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    // Whoever says nothing speaks HTTP/1.1.
    let mut none = served.tls_of(&[&version::TLS13], &[]).await.unwrap();
    none.write_all(b"GET /v1/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = none.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 401"));
}

#[tokio::test]
async fn a_development_authority_is_made_once_and_its_key_is_nobody_elses() {
    let keys = Keys::new();
    let again = krako_fabric::DevelopmentAuthority::open_or_make(
        keys.folder.path(),
        &krako_fabric::SystemWallClock::default(),
    );
    let pem = std::fs::read_to_string(again.unwrap().certificate_file()).unwrap();
    assert_eq!(pem, std::fs::read_to_string(keys.authority.certificate_file()).unwrap());
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----") && !pem.contains("PRIVATE"), "{pem}");
    let private = keys.folder.path().join("ca.key.pem");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&private).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o640)).unwrap();
        let said = open(&keys).unwrap_err();
        assert!(said.contains("chmod 600"), "{said}");
        std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    std::fs::write(&private, "no certificate").unwrap();
    let said = open(&keys).unwrap_err();
    assert!(said.contains("ca.key.pem") && said.contains("remove it"), "{said}");
}

fn open(keys: &Keys) -> Result<(), String> {
    let opened = krako_fabric::DevelopmentAuthority::open_or_make(
        keys.folder.path(),
        &krako_fabric::SystemWallClock::default(),
    );
    opened.map(drop).map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_certificate_of_ones_own_is_served_from_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
    let made = rcgen::generate_simple_self_signed([String::from("localhost")]).unwrap();
    std::fs::write(&chain, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    assert!(krako_fabric::TlsIdentity::from_files(&chain, &key).is_ok());
    let said = krako_fabric::TlsIdentity::from_files(&key, &key).unwrap_err().to_string();
    assert!(said.contains("holds no certificate"), "{said}");
    let said = krako_fabric::TlsIdentity::from_files(&chain, &chain).unwrap_err().to_string();
    assert!(said.contains("holds no private key"), "{said}");
    let other = rcgen::generate_simple_self_signed([String::from("localhost")]).unwrap();
    std::fs::write(&key, other.signing_key.serialize_pem()).unwrap();
    assert!(krako_fabric::TlsIdentity::from_files(&chain, &key).is_err());
}
