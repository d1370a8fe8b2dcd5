//! What every part that listens has in common.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use krako_fabric::{Orchestrator, Sessions as _, TcpAccept, TokenFile, TokenFileError, Tokens};
use krako_transport::{Client, Endpoint, KeySource, Secret, TcpDial, TransportLimits, Trust};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::adapters::with_causes;
use crate::refused::CommandError;
use crate::screen::{self, ODD};

/// How soon a token that was revoked opens nothing any more.
const FOLLOW: Duration = Duration::from_secs(2);
/// For whoever followed a session to ask for its report, once it has ended.
const LAST_WORDS: Duration = Duration::from_secs(2);

#[derive(Clone, Debug, clap::Args)]
pub(super) struct ServingArgs {
    /// How long what is under way may go on once it is told to stop
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=3600))]
    drain: u64,
    /// Print where it listens as one line of JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl ServingArgs {
    pub(super) fn drain(&self) -> Duration {
        Duration::from_secs(self.drain)
    }
}

/// Where the orchestrator of another process is, and what opens its desk.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct DeskArgs {
    /// Address of the orchestrator's desk, `https://…`
    #[arg(long, value_name = "URL")]
    orchestrator: String,
    /// PEM file of the only certificate authorities to trust; otherwise those of the system
    #[arg(long, value_name = "FILE")]
    ca: Option<std::path::PathBuf>,
    /// File that holds the token of this node or gateway
    #[arg(long, value_name = "FILE")]
    token_file: std::path::PathBuf,
}

impl DeskArgs {
    /// A client of that desk. Connects to nothing yet.
    ///
    /// # Errors
    ///
    /// [`CommandError::Usage`] for what cannot be used.
    pub(super) fn client(&self) -> Result<Client, CommandError> {
        let usage = |error: &dyn std::error::Error| CommandError::Usage(with_causes(error));
        let endpoint = Endpoint::parse(&self.orchestrator).map_err(|error| {
            CommandError::Usage(format!("the orchestrator's address `{}`: {error}", self.orchestrator))
        })?;
        let token = Secret::read(&KeySource::File(self.token_file.clone()), "token");
        let token = token.map_err(|error| usage(&error))?;
        let trust = self.ca.clone().map_or(Trust::System, Trust::Pinned);
        let dial = std::sync::Arc::new(TcpDial);
        Client::new(endpoint, trust, Some(token), dial, TransportLimits::default())
            .map_err(|error| usage(&error))
    }
}

/// A port that callers can be told of.
///
/// # Errors
///
/// [`CommandError::Listen`].
pub(super) async fn listen(address: SocketAddr) -> Result<TcpAccept, CommandError> {
    TcpAccept::bind(address).await.map_err(|source| CommandError::Listen { address, source })
}

/// How callers of this machine name a listener.
pub(super) fn url(accept: &TcpAccept) -> String {
    let address = accept.address();
    if address.ip().is_unspecified() {
        format!("https://localhost:{}", address.port())
    } else {
        format!("https://{address}")
    }
}

/// The tokens of a file, followed as the file changes until what comes back is dropped.
pub(super) fn followed(file: &TokenFile, path: &Path) -> (Tokens, Following) {
    let tokens = file.tokens();
    let told = |error: &TokenFileError| screen::tell(&format!("{ODD}warning{ODD:#}: {error}\n"));
    let following = tokio::spawn(TokenFile::follow(path.to_owned(), tokens.clone(), FOLLOW, told));
    (tokens, Following(following.abort_handle()))
}

/// Ends with its owner.
#[derive(Debug)]
pub(super) struct Following(AbortHandle);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Lets sessions end, for at most `limit`, and whoever followed one get what it came to: they are served until this
/// resolves, and whoever submits is told to come back. Tells how many had not ended.
pub(super) async fn drained(orchestrator: &Orchestrator, limit: Duration, again: &str) {
    screen::tell("stopping; what is under way goes on, Ctrl-C ends it at once\n");
    let status = orchestrator.health().await;
    let were_under_way = status.is_ok_and(|status| status.capacity_summary.active_runs > 0);
    let left = orchestrator.drain(limit).await;
    if left > 0 {
        let sessions = screen::counted(left as u64, "session");
        let go = if left == 1 { "it goes" } else { "they go" };
        screen::tell(&format!("{sessions} had not ended; {go} on when {again} is started again\n"));
    }
    if were_under_way {
        tokio::time::sleep(LAST_WORDS).await;
    }
}

/// Told to many: it is time to stop.
#[derive(Clone, Debug)]
pub(super) struct Stop(watch::Sender<bool>);

impl Stop {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    pub(super) fn tell(&self) {
        self.0.send_replace(true);
    }

    /// Resolves once it is told.
    pub(super) fn told(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut told = self.0.subscribe();
        async move {
            // A sender that is gone stops as well.
            let _ = told.wait_for(|told| *told).await;
        }
    }
}

/// Quoted for a shell where it has to be.
pub(super) fn shell(text: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || "/._-:=+,@%".contains(char);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
