//! Who is judged: a backend behind one of three plugs, seen as documents only.

mod fabric;
mod http;
mod in_process;
mod shortened;
mod stdio;

use std::fmt::Debug;

use async_trait::async_trait;
use backend_server::{Answer, ExecuteRequest};
use serde::Serialize;
use serde_json::Value;
use thiserror::Error;

use crate::model::ModelEndpoint;

pub use self::fabric::{Carrier, FabricPlug};
pub use self::http::{Http, HttpLimits};
pub use self::in_process::InProcess;
use self::shortened::shortened;
pub use self::stdio::{CommandLineError, Stdio, StdioLimits};

/// Opens backends: a new one for each case where the plug can (in process, a command), the same one where it cannot
/// (a URL).
#[async_trait]
pub trait Plug: Debug + Send + Sync {
    /// How the backend is reached.
    fn transport(&self) -> Transport;

    /// Whether time is virtual for what this plug opens.
    fn clock(&self) -> Clock;

    /// Makes a backend whose model is at `endpoint`.
    ///
    /// # Errors
    ///
    /// A [`Mishap`]: no backend that speaks the protocol is there.
    async fn open(&self, endpoint: &ModelEndpoint) -> Result<Box<dyn Subject>, Mishap>;
}

/// One backend, ready to be asked.
#[async_trait]
pub trait Subject: Debug + Send + Sync {
    /// Runs a graph. Dropping the future cancels the run (S13).
    ///
    /// # Errors
    ///
    /// A [`Mishap`] where the backend gave no answer.
    async fn execute_taskgraph(&self, request: ExecuteRequest) -> Result<Answer, Mishap>;

    /// Its `BackendStatus` document.
    ///
    /// # Errors
    ///
    /// As [`Self::execute_taskgraph`].
    async fn health_check(&self) -> Result<Value, Mishap>;

    /// Its `BackendCapabilities` document.
    ///
    /// # Errors
    ///
    /// As [`Self::execute_taskgraph`].
    async fn capability_descriptor(&self) -> Result<Value, Mishap>;

    /// Name and version, as far as the backend tells.
    fn introduction(&self) -> Introduction;

    /// Ends it, and hands over the last of what it logged.
    async fn close(self: Box<Self>) -> Option<String>;
}

/// What a backend says of itself.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "what the protocol's hello answers")]
pub struct Introduction {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// `local` or `krako`: the `backend_mode` that it runs under (C3.3).
    pub backend_mode: String,
}

/// How a backend is reached.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "the suite has three plugs")]
pub enum Transport {
    /// A Rust value in this process.
    InProcess,
    /// A command that speaks NDJSON on its standard streams.
    Stdio,
    /// A URL.
    Http,
}

impl Transport {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProcess => "in_process",
            Self::Stdio => "stdio",
            Self::Http => "http",
        }
    }
}

/// What time is to a case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "it passes or it jumps")]
pub enum Clock {
    /// It passes.
    Real,
    /// It jumps as soon as nothing else is left to do, so that who is slower is always later.
    Virtual,
}

/// Why there was no answer.
#[derive(Clone, Debug, Error, Eq, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Mishap {
    /// The backend ended, or its connection did.
    #[error("the backend ended before it answered: {detail}")]
    Ended {
        /// Exit status, or what broke.
        detail: String,
    },
    /// No answer in time.
    #[error("no answer within {after_ms} ms")]
    Silent {
        /// How long the suite waited.
        after_ms: u64,
    },
    /// It answered something that is not in the protocol.
    #[error("not in the protocol: {detail}")]
    Garbage {
        /// What it said, shortened, and what was expected.
        detail: String,
    },
    /// It could not be reached or started.
    #[error("cannot be reached: {detail}")]
    Unreachable {
        /// Why.
        detail: String,
    },
    /// It says that it cannot do this verb.
    #[error("unsupported: {detail}")]
    Unsupported {
        /// Why, in its words.
        detail: String,
    },
}
