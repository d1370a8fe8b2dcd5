//! Text that is used and never shown.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use http::HeaderValue;
use thiserror::Error;

use crate::KeySource;

/// Bytes of a key file: keys are short, and a wrong path may name anything.
const MAX_KEY_BYTES: u64 = 16 << 10;

/// A key or token. Shown as `(secret)` wherever it would be printed.
#[derive(Clone)]
pub struct Secret(HeaderValue);

impl Secret {
    /// Reads `what`, as people call it (`API key`, `token`), from its place.
    ///
    /// # Errors
    ///
    /// [`SecretError`] says what is wrong with the place, and nothing of what stands there.
    pub fn read(source: &KeySource, what: &'static str) -> Result<Self, SecretError> {
        match source {
            KeySource::Env(name) => {
                let bad = |fault| SecretError::BadEnv { name: name.clone(), what, fault };
                match std::env::var(name) {
                    Ok(text) => Self::from_text(&text).map_err(bad),
                    Err(_) => Err(bad("is not set, or is not text")),
                }
            }
            KeySource::File(path) => Self::from_file(path, what),
        }
    }

    fn from_file(path: &Path, what: &'static str) -> Result<Self, SecretError> {
        let unreadable = |source| SecretError::Unreadable { path: path.to_owned(), what, source };
        let bad = |fault| SecretError::BadFile { path: path.to_owned(), what, fault };
        // Asked before opening: opening a pipe would wait for whoever writes to it.
        if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(bad("is not a regular file"));
        }
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(MAX_KEY_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > MAX_KEY_BYTES {
            return Err(bad("is longer than a key (16 KiB)"));
        }
        Self::from_text(&text).map_err(bad)
    }

    /// The key itself, where somebody has it already: white space around it is ignored.
    ///
    /// # Errors
    ///
    /// What is wrong with it, without quoting it.
    pub fn from_text(text: &str) -> Result<Self, &'static str> {
        let key = text.trim();
        if key.is_empty() {
            return Err("is empty");
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("holds white space or characters that no key has");
        }
        let mut value =
            HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| "cannot be sent in a header")?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    /// `text` without the key: a server may repeat it where a code word or a name is expected.
    pub fn redact(&self, text: String) -> String {
        let sent = self.0.to_str().unwrap_or_default();
        match sent.strip_prefix("Bearer ") {
            Some(key) if !key.is_empty() && text.contains(key) => text.replace(key, "(key withheld)"),
            Some(_) | None => text,
        }
    }

    /// As sent: `Bearer …`, marked as sensitive.
    pub fn authorization(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// A key that cannot be read. Says which and why, and nothing of the key.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The variable is not usable.
    #[error("environment variable `{name}`, which should hold the {what}, {fault}")]
    BadEnv {
        /// Its name.
        name: String,
        /// What it should hold.
        what: &'static str,
        /// What is wrong.
        fault: &'static str,
    },
    /// The file is not usable.
    #[error("file `{}`, which should hold the {what}, {fault}", .path.display())]
    BadFile {
        /// Its path.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What is wrong.
        fault: &'static str,
    },
    /// The file cannot be read.
    #[error("file `{}`, which should hold the {what}, cannot be read", .path.display())]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_shown() {
        let secret = Secret::from_text("  sk-very-secret\n").unwrap();
        assert_eq!(format!("{secret:?}"), "(secret)");
        assert!(!format!("{:?}", secret.authorization()).contains("very"));
        assert_eq!(secret.authorization().to_str().unwrap(), "Bearer sk-very-secret");
        assert_eq!(secret.redact("no `sk-very-secret` here".into()), "no `(key withheld)` here");
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_shown() {
        for text in ["", " \n", "two words", "line\nbreak", "naïve"] {
            assert!(Secret::from_text(text).is_err(), "{text:?}");
        }
        let error = Secret::read(&KeySource::Env("KORA_NO_SUCH_VARIABLE".into()), "API key").unwrap_err();
        assert_eq!(
            error.to_string(),
            "environment variable `KORA_NO_SUCH_VARIABLE`, which should hold the API key, is not set, or is not text"
        );
        let error = Secret::read(&KeySource::File("/".into()), "token").unwrap_err();
        assert_eq!(error.to_string(), "file `/`, which should hold the token, is not a regular file");
    }
}
