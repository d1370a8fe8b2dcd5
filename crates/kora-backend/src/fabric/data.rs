//! The directory of a fabric: its event log, its tokens, its certificates.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use krako_contract::TenantId;
use krako_fabric::{
    DevelopmentAuthority, EventLog, FileStorage, Holder, Orchestrator, SystemWallClock, TlsIdentity, Token,
    TokenFile, TokenLine, WallClock as _,
};

use super::section::FabricSection;
use crate::adapters::with_causes;
use crate::refused::CommandError;
use crate::screen::{self, ODD};

const WHAT: &str = "fabric's directory";

/// Where a fabric keeps what outlives it.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct DataArgs {
    /// Directory of the fabric: event log, tokens, certificates. Inputs and outputs stand in its log in plain text
    #[arg(long, value_name = "DIR", env = "KORA_BACKEND_FABRIC", default_value = "krako-fabric")]
    pub(super) data: PathBuf,
}

/// Which certificate is served.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct IdentityArgs {
    /// PEM file of the certificate to serve, and those above it; without it, one is made for `localhost`, to try things out
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// PEM file of its private key
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Another name or address that the certificate made here vouches for
    #[arg(long = "name", value_name = "HOST", conflicts_with = "cert")]
    names: Vec<String>,
}

impl DataArgs {
    /// Makes the directory if there is none; only its owner may look into it.
    ///
    /// # Errors
    ///
    /// [`CommandError::Unusable`].
    pub(super) fn make(&self) -> Result<(), CommandError> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.data).map_err(|error| self.unusable(&error))
    }

    pub(super) fn log(&self) -> PathBuf {
        self.data.join("log")
    }

    pub(super) fn token_file(&self) -> PathBuf {
        self.data.join("tokens.toml")
    }

    /// The certificate that callers are given to trust, where it was made here.
    pub(super) fn ca_file(&self, identity: &IdentityArgs) -> Option<PathBuf> {
        identity.cert.is_none().then(|| self.data.join("ca.pem"))
    }

    /// What is served, made here if none was named.
    ///
    /// # Errors
    ///
    /// [`CommandError::Unusable`].
    pub(super) fn identity(&self, args: &IdentityArgs) -> Result<TlsIdentity, CommandError> {
        if let (Some(cert), Some(key)) = (&args.cert, &args.key) {
            return TlsIdentity::from_files(cert, key)
                .map_err(|error| CommandError::Usage(with_causes(&error)));
        }
        let clock = SystemWallClock::default();
        let authority =
            DevelopmentAuthority::open_or_make(&self.data, &clock).map_err(|error| self.unusable(&error))?;
        authority.leaf(&args.names, &clock).map_err(|error| self.unusable(&error))
    }

    /// The tokens that are known.
    ///
    /// # Errors
    ///
    /// [`CommandError::Unusable`].
    pub(super) fn tokens(&self) -> Result<TokenFile, CommandError> {
        TokenFile::open(&self.token_file()).map_err(|error| self.unusable(&error))
    }

    /// The file with the token of `holder` that was made at first start: made now if the holder has no token yet. `None` if
    /// it has one that somebody else keeps.
    ///
    /// # Errors
    ///
    /// [`CommandError::Unusable`].
    pub(super) fn first_token(
        &self,
        tokens: &mut TokenFile,
        name: &str,
        holder: Holder,
    ) -> Result<Option<PathBuf>, CommandError> {
        let path = self.data.join(format!("{name}.token"));
        if tokens.lines().iter().any(|line| line.holder == holder) {
            return Ok(path.exists().then_some(path));
        }
        let token = Token::make().ok_or_else(|| self.unusable(&"this machine gives no randomness"))?;
        private(&path, token.reveal()).map_err(|error| self.unusable(&error))?;
        let line = TokenLine { holder, name: Some(String::from("first start")), digest: token.digest() };
        tokens.add(line).map_err(|error| self.unusable(&error))?;
        Ok(Some(path))
    }

    /// The orchestrator over this directory's log. Tells what a crash had left.
    ///
    /// # Errors
    ///
    /// [`CommandError::Unusable`] names what is wrong with the log.
    pub(super) async fn orchestrator(
        &self,
        section: &FabricSection,
    ) -> Result<Arc<Orchestrator>, CommandError> {
        let clock = SystemWallClock::default();
        let storage = FileStorage::open(self.log()).map_err(|error| self.unusable(&error))?;
        let log = EventLog::open(storage, section.log(), clock.now()).await;
        let (log, opened) = log.map_err(|error| self.unusable(&error))?;
        if let Some(cut) = &opened.cut {
            let krako_fabric::Cut { file, offset, bytes, what } = cut;
            screen::tell(&format!(
                "{ODD}the log ended in a record that was not finished{ODD:#}: {bytes} bytes of {file} from {offset} on were \
                 cut off ({what}); nothing that was answered stood there\n"
            ));
        }
        Orchestrator::open(section.orchestrator(), log, opened, Arc::new(clock))
            .map_err(|error| self.unusable(&error))
    }

    pub(super) fn unusable(&self, error: &dyn std::fmt::Display) -> CommandError {
        CommandError::Unusable { what: WHAT, path: self.data.clone(), fault: error.to_string() }
    }
}

/// The holder that a whole fabric is used by until there are others.
pub(super) fn first_tenant() -> Result<Holder, CommandError> {
    let tenant = TenantId::new("local").map_err(|error| CommandError::Usage(error.to_string()))?;
    Ok(Holder::Tenant(tenant))
}

/// Writes a file that only its owner may read, anew.
pub(super) fn private(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    // Readable for its owner only, as temporary files are.
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}
