//! What keeps the command from its result, for people and as JSON in the words of KORA's API.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use backend_api::{Refusal, UnmetCapability};
use backend_server::StdioError;
use kora_ir::InvalidGraph;
use serde_json::{Value, json};
use thiserror::Error;

use crate::diagnosis;
use crate::document::Document;
use crate::exit::Exit;
use crate::models::WeightsError;
use crate::screen::{self, BAD, STRONG, Stream};

/// No result, and why.
#[derive(Debug, Error)]
pub(crate) enum CommandError {
    /// The graph breaks rules.
    #[error("invalid graph: {}", .0.invalid)]
    Graph(Box<RefusedGraph>),
    /// The backend refused the run.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// A file cannot be read.
    #[error("cannot read {what} `{}`", .path.display())]
    Unreadable {
        /// What the file was to hold.
        what: &'static str,
        /// Its name as given.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file says nothing that can be used.
    #[error("{what} `{}`: {fault}", .path.display())]
    Unusable {
        /// What the file was to hold.
        what: &'static str,
        /// Its name as given.
        path: PathBuf,
        /// What is wrong, where, and how to mend it.
        fault: String,
    },
    /// Arguments that cannot be used.
    #[error("{0}")]
    Usage(String),
    /// A result that cannot be saved.
    #[error("cannot save the result as `{}`", .path.display())]
    Unsaved {
        /// Where to.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Standard output cannot be written.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    /// Nobody can connect.
    #[error("cannot listen on `{address}`")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// A caller cannot be served any longer.
    #[error("the conversation broke off")]
    Stdio(#[from] StdioError),
    /// The suite itself is at fault.
    #[error("the conformance suite is at fault: {0}")]
    Suite(String),
    /// A model's weights are not there, or not as they should be.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The runtime does not start.
    #[error("cannot start the threads of the runtime")]
    Runtime(#[source] io::Error),
}

/// A graph that was refused, with the text that its violations point into.
#[derive(Debug)]
pub(crate) struct RefusedGraph {
    pub(crate) document: Document,
    pub(crate) invalid: InvalidGraph,
}

impl CommandError {
    /// The exit code that says it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Graph(refused) if refused.invalid.is_version_mismatch() => Exit::VersionMismatch,
            Self::Graph(_) => Exit::InvalidGraph,
            Self::Refused(refusal) => Exit::from(&**refusal),
            Self::Unreadable { .. } | Self::Unusable { .. } | Self::Usage(_) | Self::Listen { .. } => {
                Exit::Usage
            }
            Self::Weights(error) => error.exit(),
            Self::Unsaved { .. } | Self::Output(_) | Self::Stdio(_) | Self::Suite(_) | Self::Runtime(_) => {
                Exit::Internal
            }
        }
    }

    /// The error as KORA's API writes one: `error_type`, `message`, `details`.
    pub(crate) fn document(&self) -> Value {
        let (error_type, details) = match self {
            Self::Graph(refused) => {
                let refusal = Refusal::InvalidGraph(refused.invalid.clone());
                (refusal.error_type(), json!(refused.invalid))
            }
            Self::Refused(refusal) => (refusal.error_type(), refusal_details(refusal)),
            Self::Unreadable { path, .. } | Self::Unusable { path, .. } => {
                ("USAGE_ERROR", json!({"file": path.display().to_string()}))
            }
            Self::Usage(_) | Self::Listen { .. } => ("USAGE_ERROR", Value::Null),
            Self::Unsaved { path, .. } => ("INTERNAL_ERROR", json!({"file": path.display().to_string()})),
            Self::Weights(error) => (error.error_type(), error.details()),
            Self::Output(_) | Self::Stdio(_) | Self::Suite(_) | Self::Runtime(_) => {
                ("INTERNAL_ERROR", Value::Null)
            }
        };
        let mut document = json!({"error_type": error_type, "message": self.in_one_line()});
        if !details.is_null() {
            document["details"] = details;
        }
        document
    }

    /// Tells it to whoever asked: people on standard error, programs as JSON on standard output.
    pub(crate) fn report(&self, json: bool) {
        // Where nothing can be written, there is no use in writing that.
        if json && !matches!(self, Self::Output(_)) {
            // Whoever cannot be told gets the exit code.
            let _ = screen::print_json(&self.document());
            return;
        }
        let said = match self {
            Self::Graph(refused) => diagnosis::violations(refused, Stream::Err),
            Self::Refused(refusal) => match &**refusal {
                Refusal::BeyondCapabilities(unmet) => {
                    let mut said =
                        format!("{BAD}error{BAD:#}{STRONG}: beyond this backend's capabilities{STRONG:#}\n");
                    for unmet in unmet {
                        said += &format!("  {}\n", screen::visible(&in_words(unmet)));
                    }
                    said + "\n`kora-backend capabilities` tells what there is, `kora-backend models` who answers\n"
                }
                Refusal::VersionMismatch(_)
                | Refusal::InvalidGraph(_)
                | Refusal::WrongBackend { .. }
                | Refusal::Unauthenticated(_)
                | Refusal::Unavailable { .. } => self.said(),
            },
            Self::Weights(error) => {
                let said = error.last_words().iter().map(|line| format!("  {}\n", screen::visible(line)));
                self.said() + &said.collect::<String>()
            }
            Self::Unreadable { .. }
            | Self::Unusable { .. }
            | Self::Usage(_)
            | Self::Unsaved { .. }
            | Self::Output(_)
            | Self::Listen { .. }
            | Self::Stdio(_)
            | Self::Suite(_)
            | Self::Runtime(_) => self.said(),
        };
        screen::tell(&said);
    }

    fn said(&self) -> String {
        format!("{BAD}error{BAD:#}{STRONG}: {}{STRONG:#}\n", screen::visible(&self.in_one_line()))
    }

    /// The error and its causes.
    pub(crate) fn in_one_line(&self) -> String {
        let mut line = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            line += &format!(": {error}");
            cause = error.source();
        }
        line
    }
}

/// What a task needs and what there is, in one sentence.
pub(crate) fn in_words(unmet: &UnmetCapability) -> String {
    format!("task `{}` needs {}: {}", unmet.task_id, unmet.needed, unmet.offered)
}

fn refusal_details(refusal: &Refusal) -> Value {
    match refusal {
        Refusal::InvalidGraph(invalid) => json!(invalid),
        Refusal::BeyondCapabilities(unmet) => json!({"unmet": unmet}),
        Refusal::Unavailable { retry_after_ms: Some(ms), .. } => json!({"retry_after_ms": ms}),
        Refusal::WrongBackend { asked, this } => json!({"asked": asked, "this": this}),
        Refusal::VersionMismatch(_) | Refusal::Unauthenticated(_) | Refusal::Unavailable { .. } => {
            Value::Null
        }
    }
}

impl From<Refusal> for CommandError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}
