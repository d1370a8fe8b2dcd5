//! Why a TLS handshake failed, in words that say how to mend it.

use std::io;

use tokio_rustls::rustls::{AlertDescription, CertificateError, Error as TlsError};

use crate::{TransportFault, Trust};

/// How many of a certificate's names are told: they are the other end's words.
const MAX_NAMES: usize = 5;

/// What a failed handshake means.
#[expect(clippy::wildcard_enum_match_arm, reason = "an open enum of another crate")]
pub(super) fn of_tls(error: &io::Error, trust: &Trust) -> TransportFault {
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) else {
        return TransportFault::Lost {
            said: "the connection was lost during the TLS handshake; does a fabric listen there?",
        };
    };
    match tls {
        TlsError::InvalidCertificate(fault) => TransportFault::NotTrusted { said: certificate(fault, trust) },
        TlsError::InvalidMessage(_) => TransportFault::Protocol {
            said: "what it answers is no TLS; does a fabric listen on that port, and with TLS?",
        },
        TlsError::AlertReceived(AlertDescription::NoApplicationProtocol)
        | TlsError::NoApplicationProtocol => {
            TransportFault::Protocol { said: "it speaks TLS, and no HTTP/2; is it a fabric?" }
        }
        TlsError::AlertReceived(AlertDescription::ProtocolVersion) | TlsError::PeerIncompatible(_) => {
            TransportFault::NotTrusted {
                said: String::from(
                    "it speaks no TLS 1.3, which is the least that is used; update what answers there",
                ),
            }
        }
        other => TransportFault::NotTrusted {
            said: format!("the TLS handshake failed: {}", cut(&other.to_string())),
        },
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "an open enum of another crate")]
fn certificate(fault: &CertificateError, trust: &Trust) -> String {
    match fault {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => trust.hint(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => String::from(
            "its certificate has expired; renew it at the fabric, or mend this machine's clock if that is wrong",
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            String::from("its certificate is not valid yet; this machine's clock or the fabric's is wrong")
        }
        CertificateError::NotValidForName => {
            String::from("its certificate is for another name; write the address as the certificate does")
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names: Vec<String> = presented.iter().take(MAX_NAMES).map(|name| cut(name)).collect();
            format!(
                "its certificate is for another name ({}); write the address as the certificate does",
                if names.is_empty() { String::from("it has none") } else { names.join(", ") }
            )
        }
        CertificateError::Revoked => String::from("its certificate was revoked; the fabric needs another"),
        other => format!("its certificate is not accepted: {}", cut(&other.to_string())),
    }
}

/// At most 200 characters that can be shown: some of it may be the other end's.
fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
