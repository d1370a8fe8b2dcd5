//! The file of tokens: `tenants.toml`, which holds no token.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs4::FileExt;
use krako_contract::TenantId;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::time::{MissedTickBehavior, interval};

use super::{Holder, TokenDigest, Tokens};

/// Bytes of the file: about 100,000 tokens.
const MAX_BYTES: u64 = 16 << 20;
const HEAD: &str = "# Who may ask: `tenant`, `node` or `gateway` names whom a token stands for, `sha256` is its digest.\n\
                    # The tokens themselves are nowhere: one that was lost is replaced.\n\n";

/// One token, as the file has it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(try_from = "Written", into = "Written")]
#[expect(clippy::exhaustive_structs, reason = "whom, called what, known by what")]
pub struct TokenLine {
    /// Whom it stands for.
    pub holder: Holder,
    /// What people call it: whose machine it is on, say. At most 128 bytes, and may be absent.
    pub name: Option<String>,
    /// What it is known by.
    pub digest: TokenDigest,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<TenantId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gateway: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    sha256: TokenDigest,
}

impl TryFrom<Written> for TokenLine {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let holder = match (written.tenant, written.node, written.gateway) {
            (Some(tenant), None, None) => Holder::Tenant(tenant),
            (None, Some(node), None) => Holder::Node(node),
            (None, None, Some(gateway)) => Holder::Gateway(gateway),
            _ => return Err(String::from("a token stands for one `tenant`, one `node` or one `gateway`")),
        };
        let line = Self { holder, name: written.name, digest: written.sha256 };
        line.check()?;
        Ok(line)
    }
}

impl TokenLine {
    /// Whether its names can stand in the file, in a log and on a screen.
    fn check(&self) -> Result<(), String> {
        let plain = |text: &str| (1..=128).contains(&text.len()) && !text.chars().any(char::is_control);
        let named = match &self.holder {
            Holder::Node(name) | Holder::Gateway(name) => plain(name),
            // Of those, `TenantId` makes sure.
            Holder::Tenant(_) => true,
        };
        if named && self.name.as_deref().is_none_or(plain) {
            Ok(())
        } else {
            Err(String::from("a name is 1 to 128 bytes without control characters"))
        }
    }
}

impl From<TokenLine> for Written {
    fn from(line: TokenLine) -> Self {
        let mut written =
            Self { tenant: None, node: None, gateway: None, name: line.name, sha256: line.digest };
        match line.holder {
            Holder::Tenant(tenant) => written.tenant = Some(tenant),
            Holder::Node(node) => written.node = Some(node),
            Holder::Gateway(gateway) => written.gateway = Some(gateway),
        }
        written
    }
}

/// The file, as it was read.
#[derive(Clone, Debug)]
pub struct TokenFile {
    path: PathBuf,
    lines: Vec<TokenLine>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    token: Vec<TokenLine>,
}

/// Why tokens cannot be read or kept.
#[derive(Debug, Error)]
#[expect(clippy::exhaustive_enums, reason = "the file, what is in it, or what was to stand in it")]
pub enum TokenFileError {
    /// The system's word.
    #[error("the tokens in `{}` cannot be {what}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Read, written or locked.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("`{}` holds no tokens: {reason}; mend it, or move it away and add tokens anew with `kora-backend fabric token add`", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// A token that cannot stand in the file: it could not be read again.
    #[error("the token cannot be added to `{}`: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl TokenFile {
    /// Reads the file. One that is not there holds none.
    ///
    /// # Errors
    ///
    /// [`TokenFileError`]; no line of the file is quoted in it.
    pub fn open(path: &Path) -> Result<Self, TokenFileError> {
        let mut text = String::new();
        match fs::File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(TokenFileError::File { path: path.to_owned(), what: "read", source }),
        }
        let bad = |reason| TokenFileError::Content { path: path.to_owned(), reason };
        if text.len() as u64 > MAX_BYTES {
            return Err(bad(format!("it has more than {MAX_BYTES} bytes")));
        }
        let document: Document = toml::from_str(&text).map_err(|error| {
            // The parser's own display would quote the line, which may hold a token that was put there by mistake.
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            bad(format!("line {line}: {}", error.message()))
        })?;
        Ok(Self { path: path.to_owned(), lines: document.token })
    }

    /// Every token.
    pub fn lines(&self) -> &[TokenLine] {
        &self.lines
    }

    /// What a listener asks.
    pub fn tokens(&self) -> Tokens {
        Tokens::new(self.known())
    }

    fn known(&self) -> Vec<(TokenDigest, Holder)> {
        self.lines.iter().map(|line| (line.digest, line.holder.clone())).collect()
    }

    /// Adds a token to what stands in the file by now, and writes it.
    ///
    /// # Errors
    ///
    /// [`TokenFileError`]; the file is then as it was.
    pub fn add(&mut self, line: TokenLine) -> Result<(), TokenFileError> {
        line.check().map_err(|reason| TokenFileError::Line { path: self.path.clone(), reason })?;
        self.change(|lines| lines.push(line))
    }

    /// Takes back every token that `revoked` says, of those that stand in the file by now; writes it, and tells how many.
    ///
    /// # Errors
    ///
    /// [`TokenFileError`]; the file is then as it was.
    pub fn revoke(&mut self, revoked: impl Fn(&TokenLine) -> bool) -> Result<usize, TokenFileError> {
        let mut taken = 0;
        self.change(|lines| {
            let before = lines.len();
            lines.retain(|line| !revoked(line));
            taken = before - lines.len();
        })?;
        Ok(taken)
    }

    /// Changes what stands in the file, while nobody else does.
    fn change(&mut self, change: impl FnOnce(&mut Vec<TokenLine>)) -> Result<(), TokenFileError> {
        let mut lock = self.path.clone().into_os_string();
        lock.push(".lock");
        let lock = PathBuf::from(lock);
        let failed = |source| TokenFileError::File { path: lock.clone(), what: "locked", source };
        // It stays: were it removed, one process could hold what is gone and another what is new.
        let held =
            fs::OpenOptions::new().write(true).create(true).truncate(false).open(&lock).map_err(failed)?;
        FileExt::lock(&held).map_err(failed)?;
        let mut lines = Self::open(&self.path)?.lines;
        change(&mut lines);
        self.write(lines)
    }

    /// Writes another file and puts it in the place of this one: whoever reads sees the one or the other.
    fn write(&mut self, lines: Vec<TokenLine>) -> Result<(), TokenFileError> {
        let failed = |source| TokenFileError::File { path: self.path.clone(), what: "written", source };
        let document = Document { token: lines };
        let text = toml::to_string(&document).map_err(|error| failed(io::Error::other(error)))?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        // Readable for its owner only, as temporary files are.
        let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(failed)?;
        file.write_all(HEAD.as_bytes())
            .and_then(|()| file.write_all(text.as_bytes()))
            .and_then(|()| file.as_file().sync_all())
            .map_err(failed)?;
        file.persist(&self.path).map_err(|error| failed(error.error))?;
        self.lines = document.token;
        Ok(())
    }

    /// Looks at the file again and again, and lets `tokens` know what stands in it: who was revoked is out within `every`.
    /// A file that cannot be read changes nothing; `told` hears of it, once for each new reason.
    ///
    /// # Cancel safety
    ///
    /// It never ends by itself, and can be dropped at any time.
    pub async fn follow(
        path: PathBuf,
        tokens: Tokens,
        every: Duration,
        told: impl Fn(&TokenFileError) + Send,
    ) {
        let mut ticks = interval(every.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut said = String::new();
        loop {
            ticks.tick().await;
            match Self::open(&path) {
                Ok(file) => {
                    tokens.replace(file.known());
                    said.clear();
                }
                Err(error) => {
                    let now = error.to_string();
                    if now != said {
                        told(&error);
                        said = now;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenants::Token;

    #[test]
    fn a_name_that_could_not_be_read_again_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.toml");
        let line = |holder, name: Option<&str>| {
            let digest = Token::make().unwrap().digest();
            TokenLine { holder, name: name.map(str::to_owned), digest }
        };
        let node = |name: &str| Holder::Node(name.to_owned());
        let mut file = TokenFile::open(&path).unwrap();
        for bad in [
            line(node(""), None),
            line(node("a\nb"), None),
            line(Holder::Gateway("x".repeat(129)), None),
            line(node("n"), Some("")),
            line(node("n"), Some("\u{1b}[2J")),
        ] {
            let error = file.add(bad.clone()).unwrap_err();
            assert!(matches!(error, TokenFileError::Line { .. }), "{bad:?}: {error}");
            assert!(!path.exists(), "{bad:?}");
        }
        file.add(line(node("n"), Some("of the cellar"))).unwrap();
        assert_eq!(TokenFile::open(&path).unwrap().lines().len(), 1);
    }
}
