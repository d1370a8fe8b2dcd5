//! The user's own package client: asked to download one package, and watched while it does.

mod running;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use thiserror::Error;

use self::running::{Over, Running};
use crate::Package;
use crate::files::{self, Ended, FileError};
use crate::progress::{Observe, Phase, Progress};

/// The clients, in the order in which they are tried. `uv` downloads nothing without installing it, but runs one that does.
const CLIENTS: [&[&str]; 5] =
    [&["python3", "-m", "pip"], &["pip3"], &["pip"], &["python", "-m", "pip"], &["uv", "tool", "run", "pip"]];

/// How long a client may take to say that it is there.
const PROBE_PATIENCE: Duration = Duration::from_secs(60);
/// How long a client may do nothing that can be seen. It tries an index that does not answer several times itself.
const PATIENCE: Duration = Duration::from_secs(300);
/// Bytes by which a wheel may be larger than it should be before its download is ended: for what a client keeps beside it.
const SLACK_BYTES: u64 = 1 << 20;

/// Whatever downloads packages on this machine: `pip`, as a module of Python or as a command, or `uv` that runs it.
///
/// Which index it asks, through which proxy and with which credentials, is its own configuration. It installs nothing,
/// and no code of the package runs.
#[derive(Clone, Debug)]
pub struct PackageClient {
    environment: Vec<(OsString, OsString)>,
    patience: Duration,
}

impl Default for PackageClient {
    /// The client that is found on the `PATH`, given up once it did nothing for five minutes.
    fn default() -> Self {
        Self { environment: Vec::new(), patience: PATIENCE }
    }
}

/// No package, and why.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// This machine has no client.
    #[error(
        "no package client works here (tried {}): install Python 3 with pip, or run `pip download --no-deps {spec}` \
         on a machine that has it and name the file that it brings by `--from FILE`",
        tried()
    )]
    Missing {
        /// The package, as a client is asked for it.
        spec: String,
    },
    /// It could not download the package.
    #[error("`{client}` could not download `{spec}` ({status}){}", mend(.said))]
    Failed {
        /// The client.
        client: String,
        /// The package, as it was asked for it.
        spec: String,
        /// How it ended.
        status: String,
        /// The last lines that it wrote, credentials in addresses left out.
        said: Vec<String>,
    },
    /// It did nothing for too long, and was ended.
    #[error("`{client}` did nothing for {seconds} s and was ended: look after the network and ask again")]
    Stalled {
        /// The client.
        client: String,
        /// How long that was.
        seconds: u64,
        /// The last lines that it wrote, credentials in addresses left out.
        said: Vec<String>,
    },
    /// It downloads more than the package has, and was ended.
    #[error("`{client}` was ended: what it downloads is larger than the {expected} bytes of `{spec}`")]
    TooLarge {
        /// The client.
        client: String,
        /// The package, as it was asked for it.
        spec: String,
        /// Bytes of the package.
        expected: u64,
    },
    /// It says that it is done, and there is no package.
    #[error("`{client}` ended well and left no wheel of `{spec}`")]
    Nothing {
        /// The client.
        client: String,
        /// The package, as it was asked for it.
        spec: String,
    },
}

fn tried() -> String {
    CLIENTS.map(|client| format!("`{}`", client.join(" "))).join(", ")
}

/// What a client says in each of these cases differs from version to version, but these words are in it.
fn mend(said: &[String]) -> &'static str {
    let says = |words: &[&str]| said.iter().any(|line| words.iter().any(|word| line.contains(word)));
    if says(&["No space left on device", "not enough space"]) {
        ": make room on the disk of the store, or name a folder on another in `KORA_BACKEND_HOME`"
    } else if says(&[
        "NewConnectionError",
        "ConnectTimeoutError",
        "ConnectionError",
        "NameResolutionError",
        "ProxyError",
        "Network is unreachable",
        "name resolution",
        "Max retries exceeded",
        "No matching distribution",
    ]) {
        ": it reaches no index that has it; mend the network or the client's settings (`pip config list`), or run \
         `pip download --no-deps` for it on another machine and name the file by `--from FILE`"
    } else {
        ""
    }
}

/// How a package is asked for.
pub(crate) fn spec(package: &Package) -> String {
    format!("{}=={}", package.name, package.version)
}

/// Why there is no package.
#[derive(Debug)]
pub(crate) enum Failed {
    Client(ClientError),
    Ended(Ended),
}

impl From<ClientError> for Failed {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<FileError> for Failed {
    fn from(error: FileError) -> Self {
        Self::Ended(error.into())
    }
}

impl PackageClient {
    /// The same client with another environment variable, beside those of this process.
    #[must_use]
    pub fn with_env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((key.into(), value.into()));
        self
    }

    /// The same client, given up once it did nothing for that long.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Downloads the wheel of `package` into `folder`, which this process holds the lock for, and tells its path.
    ///
    /// The client's temporary files go there too, so that its progress can be seen and nothing of it is left elsewhere.
    pub(crate) fn download(
        &self,
        package: &Package,
        folder: &Path,
        observe: &mut Observe<'_>,
    ) -> Result<PathBuf, Failed> {
        let temporary = folder.join("tmp");
        files::remove(&temporary)?;
        files::make_folder(&temporary)?;
        let spec = spec(package);
        let client = self.usable(&temporary, observe)?;
        let client = client.ok_or_else(|| ClientError::Missing { spec: spec.clone() })?;
        let name = client.join(" ");

        let mut command = self.command(client, &temporary);
        command
            .args(["download", "--no-deps", "--only-binary=:all:", "--ignore-requires-python"])
            .args(["--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--dest"])
            .arg(folder)
            .arg(&spec);
        let mut running =
            Running::start(command, folder, self.patience).map_err(|error| ClientError::Failed {
                client: name.clone(),
                spec: spec.clone(),
                status: error.to_string(),
                said: Vec::new(),
            })?;
        let expected = package.bytes;
        let over = running.watch(expected.saturating_add(SLACK_BYTES), |bytes| {
            let bytes = bytes.min(expected);
            observe(Progress { phase: Phase::Downloading, bytes, total: Some(expected) })
        });
        match over {
            Over::Ended(status) if status.success() => {}
            Over::Ended(status) => {
                let (status, said) = (status.to_string(), running.said());
                return Err(ClientError::Failed { client: name, spec, status, said }.into());
            }
            Over::Unwatched(error) => {
                let (status, said) = (error.to_string(), running.said());
                return Err(ClientError::Failed { client: name, spec, status, said }.into());
            }
            Over::Stalled => {
                let (seconds, said) = (self.patience.as_secs(), running.said());
                return Err(ClientError::Stalled { client: name, seconds, said }.into());
            }
            Over::TooLarge => return Err(ClientError::TooLarge { client: name, spec, expected }.into()),
            Over::Stopped => return Err(Failed::Ended(Ended::Stopped)),
        }
        files::remove(&temporary)?;
        let wheel = files::with_extension(folder, "whl")?.pop();
        wheel.ok_or_else(|| ClientError::Nothing { client: name, spec }.into())
    }

    /// The first client that works.
    fn usable(
        &self,
        folder: &Path,
        observe: &mut Observe<'_>,
    ) -> Result<Option<&'static [&'static str]>, Failed> {
        for client in CLIENTS {
            let mut command = self.command(client, folder);
            command.arg("--version");
            // What is not there is no client, whatever the reason.
            let Ok(mut running) = Running::start(command, folder, PROBE_PATIENCE) else { continue };
            let look = |_| observe(Progress { phase: Phase::Downloading, bytes: 0, total: None });
            match running.watch(u64::MAX, look) {
                Over::Ended(status) if status.success() => return Ok(Some(client)),
                Over::Stopped => return Err(Failed::Ended(Ended::Stopped)),
                Over::Ended(_) | Over::Stalled | Over::TooLarge | Over::Unwatched(_) => {}
            }
        }
        Ok(None)
    }

    fn command(&self, client: &[&str], folder: &Path) -> Command {
        let mut words = client.iter();
        let mut command = Command::new(words.next().map_or(OsStr::new(""), OsStr::new));
        command
            .args(words)
            .stdin(Stdio::null())
            // Python looks for its modules where it runs first: never in a folder that somebody else can write to.
            .current_dir(folder)
            .env("TMPDIR", folder)
            .env("TEMP", folder)
            .env("TMP", folder)
            // It installs nothing, so it needs no environment of its own.
            .env("PIP_REQUIRE_VIRTUALENV", "0")
            .envs(self.environment.iter().map(|(key, value)| (key, value)));
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_says_tells_how_to_mend_it() {
        let hint = |line: &str| mend(&[String::from("ERROR: one"), line.to_owned()]);
        assert!(
            hint("WARNING: Retrying (Retry(total=4)) after 'NewConnectionError('<…>')'")
                .contains("--from FILE")
        );
        assert!(hint("ERROR: [Errno 28] No space left on device").contains("make room"));
        assert_eq!(hint("ERROR: another one"), "");
    }
}
