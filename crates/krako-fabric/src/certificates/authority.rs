//! The authority: made once, kept in a directory, and asked for leaves.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use thiserror::Error;
use time::{Duration, OffsetDateTime};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};

use crate::clock::WallClock;
use crate::listen::{InvalidIdentity, TlsIdentity};

const PUBLIC: &str = "ca.pem";
const PRIVATE: &str = "ca.key.pem";
/// Names that every leaf has.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// Days that the authority lasts.
const AUTHORITY_DAYS: i64 = 3650;
/// Days that a leaf lasts; the next start makes another.
const LEAF_DAYS: i64 = 397;

/// An authority for development, in a directory.
#[derive(Debug)]
pub struct DevelopmentAuthority {
    folder: PathBuf,
    certificate: CertificateDer<'static>,
    // As clients are given it.
    pem: String,
    key: KeyPair,
}

/// Why there are no certificates for development.
#[derive(Debug, Error)]
#[expect(clippy::exhaustive_enums, reason = "a file, what is in it, a name, or the making")]
pub enum DevelopmentError {
    /// A file cannot be read or written.
    #[error("`{}` cannot be read or written: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what was made.
    #[error("`{}` is not what was made here: {reason}; remove it and `ca.pem`, and new ones are made at the next start", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Others may read the private key.
    #[error("`{}` can be read by others than its owner; `chmod 600` it, or remove it and have another made", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// A certificate for a name that is none.
    #[error(
        "`{name}` is no name of DNS and no address, so that no certificate vouches for it; name it as callers do"
    )]
    Name {
        /// As given.
        name: String,
    },
    /// A certificate cannot be made.
    #[error("a certificate for development cannot be made: {0}")]
    Making(#[from] rcgen::Error),
    /// It cannot be served.
    #[error(transparent)]
    Unusable(#[from] InvalidIdentity),
}

impl DevelopmentAuthority {
    /// Opens the authority of a directory, and makes it if there is none. Two that make it at once have the same.
    ///
    /// # Errors
    ///
    /// [`DevelopmentError`]. An authority whose key others may read is not used.
    pub fn open_or_make(folder: &Path, clock: &dyn WallClock) -> Result<Self, DevelopmentError> {
        let path = folder.join(PRIVATE);
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| DevelopmentError::File { path, source }
        };
        fs::create_dir_all(folder).map_err(failed(folder))?;
        if !path.try_exists().map_err(failed(&path))? {
            let key = KeyPair::generate()?;
            let certificate = parameters(clock)?.self_signed(&key)?;
            let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed(folder))?;
            // Both in one file, so that there is never one without the other.
            file.write_all(certificate.pem().as_bytes())
                .and_then(|()| file.write_all(key.serialize_pem().as_bytes()))
                .and_then(|()| file.as_file().sync_all())
                .map_err(failed(&path))?;
            match file.persist_noclobber(&path) {
                Ok(_) => {}
                // Somebody else was first.
                Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(&path)(error.error)),
            }
        }
        let authority = Self::open(folder)?;
        authority.publish()?;
        Ok(authority)
    }

    fn open(folder: &Path) -> Result<Self, DevelopmentError> {
        let path = folder.join(PRIVATE);
        let file = |source| DevelopmentError::File { path: path.clone(), source };
        let content = |reason: String| DevelopmentError::Content { path: path.clone(), reason };
        let about = fs::metadata(&path).map_err(file)?;
        if is_exposed(&about) {
            return Err(DevelopmentError::Exposed { path });
        }
        if !about.is_file() || about.len() > 64 << 10 {
            return Err(content(String::from("it is no short file")));
        }
        let text = fs::read_to_string(&path).map_err(file)?;
        let certificate = CertificateDer::from_pem_slice(text.as_bytes());
        let certificate = certificate.map_err(|error| content(error.to_string()))?;
        let pem = section(&text).ok_or_else(|| content(String::from("it holds no certificate")))?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes());
        let key = key.map_err(|error| content(error.to_string()))?;
        let key =
            KeyPair::try_from(&PrivateKeyDer::Pkcs8(key)).map_err(|error| content(error.to_string()))?;
        Ok(Self { folder: folder.to_owned(), certificate, pem, key })
    }

    /// Writes what clients are given, if it is not there yet.
    fn publish(&self) -> Result<(), DevelopmentError> {
        let path = self.certificate_file();
        let failed = |source| DevelopmentError::File { path: path.clone(), source };
        let is_there = CertificateDer::from_pem_file(&path).is_ok_and(|there| there == self.certificate);
        if is_there {
            return Ok(());
        }
        let mut file = tempfile::NamedTempFile::new_in(&self.folder).map_err(failed)?;
        file.write_all(self.pem.as_bytes()).map_err(failed)?;
        readable(file.as_file()).map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// The file that clients are given to trust: `ca.pem`.
    pub fn certificate_file(&self) -> PathBuf {
        self.folder.join(PUBLIC)
    }

    /// A new leaf for `localhost`, `127.0.0.1`, `::1` and `names`, ready to serve. Its key is in no file.
    ///
    /// # Errors
    ///
    /// [`DevelopmentError::Name`] for a name that nobody could reach it by.
    pub fn leaf(&self, names: &[String], clock: &dyn WallClock) -> Result<TlsIdentity, DevelopmentError> {
        for name in names {
            // What is made for `*.` is asked for by any name there.
            let plain = name.strip_prefix("*.").unwrap_or(name);
            if ServerName::try_from(plain).is_err() {
                return Err(DevelopmentError::Name { name: name.clone() });
            }
        }
        let names: Vec<String> = NAMES.into_iter().map(String::from).chain(names.iter().cloned()).collect();
        let mut leaf = CertificateParams::new(names)?;
        leaf.distinguished_name = called("KORA fabric, for development");
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.use_authority_key_identifier_extension = true;
        (leaf.not_before, leaf.not_after) = lasting(LEAF_DAYS, clock);
        let key = KeyPair::generate()?;
        let issuer = Issuer::new(parameters(clock)?, &self.key);
        let leaf = leaf.signed_by(&key, &issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok(TlsIdentity::new(vec![leaf.der().clone(), self.certificate.clone()], key)?)
    }
}

/// The certificate's part of a file, and nothing of the key.
fn section(text: &str) -> Option<String> {
    const END: &str = "-----END CERTIFICATE-----";
    let start = text.find("-----BEGIN CERTIFICATE-----")?;
    let length = text.get(start..)?.find(END)? + END.len();
    Some(format!("{}\n", text.get(start..start + length)?))
}

fn parameters(clock: &dyn WallClock) -> Result<CertificateParams, rcgen::Error> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.distinguished_name = called("KORA fabric development authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (authority.not_before, authority.not_after) = lasting(AUTHORITY_DAYS, clock);
    Ok(authority)
}

fn called(name: &str) -> DistinguishedName {
    let mut called = DistinguishedName::new();
    called.push(DnType::CommonName, name);
    called
}

/// From a day ago, for clocks that differ.
fn lasting(days: i64, clock: &dyn WallClock) -> (OffsetDateTime, OffsetDateTime) {
    let now = OffsetDateTime::from_unix_timestamp(clock.unix_us().div_euclid(1_000_000));
    let now = now.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    (now.saturating_sub(Duration::DAY), now.saturating_add(Duration::days(days)))
}

#[cfg(unix)]
fn is_exposed(about: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    about.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn is_exposed(_: &fs::Metadata) -> bool {
    false
}

#[cfg(unix)]
fn readable(file: &fs::File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable(_: &fs::File) -> io::Result<()> {
    Ok(())
}
