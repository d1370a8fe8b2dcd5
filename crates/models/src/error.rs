//! Why an adapter gave no reply, whether trying again may help, and what was spent.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{CutOff, Usage};

/// A call that ended without a reply.
///
/// The message holds nothing of prompt or reply (I9): what a server says is quoted only where it is a code word.
#[derive(Clone, Debug, Eq, Error, PartialEq, Serialize)]
#[error("{message}")]
#[non_exhaustive]
pub struct AdapterError {
    /// What went wrong.
    pub kind: AdapterErrorKind,
    /// Whether the same request may succeed later. Only then a driver may retry (S8).
    pub transient: bool,
    /// A lowercase fragment: what, where and how to mend it.
    pub message: String,
    /// What was spent until then. What is spent stays spent (S13).
    pub usage: Usage,
    /// How long the server asks to wait. A hint: the budget decides.
    pub retry_after: Option<Duration>,
}

impl AdapterError {
    /// An error of `kind`, transient as the kind is by nature, before anything was spent.
    pub fn new(kind: AdapterErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            transient: kind.is_transient_by_nature(),
            message: message.into(),
            usage: Usage::NOTHING,
            retry_after: None,
        }
    }

    /// The same error, with what was spent.
    #[must_use]
    pub fn with_usage(self, usage: Usage) -> Self {
        Self { usage, ..self }
    }

    /// The same error, transient or final as said.
    #[must_use]
    pub fn with_transient(self, transient: bool) -> Self {
        Self { transient, ..self }
    }

    /// The same error, with the wait that the server asks for.
    #[must_use]
    pub fn with_retry_after(self, retry_after: Option<Duration>) -> Self {
        Self { retry_after, ..self }
    }
}

impl From<CutOff> for AdapterError {
    fn from(cut_off: CutOff) -> Self {
        let kind = match cut_off {
            CutOff::TokenCap { .. } | CutOff::TokenCapReported { .. } | CutOff::StoppedAtLength => {
                AdapterErrorKind::TokensExhausted
            }
            CutOff::ByteLimit { .. } => AdapterErrorKind::ReplyTooLarge,
        };
        Self::new(kind, cut_off.to_string())
    }
}

/// What went wrong in a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "a driver maps each to a failure category; a new one must not compile unmapped"
)]
pub enum AdapterErrorKind {
    /// No connection, or it was lost.
    Unreachable,
    /// The model's side says that the request is wrong.
    Rejected,
    /// The model's side does not let us in.
    Unauthorized,
    /// Too many requests for now.
    RateLimited,
    /// The model's side failed.
    ServerError,
    /// Prompt and cap do not fit the model's context window.
    ContextOverflow,
    /// The token cap was used up before the reply was complete (C7.2). A breach, not a schema mismatch.
    TokensExhausted,
    /// The time was used up (C7.4).
    DeadlineExceeded,
    /// The adapter does not serve the model.
    ModelUnknown,
    /// The model's side answered with another model than the one asked for (C11.3).
    ModelNotAllowed,
    /// A `local_only` request came to an adapter that would send it elsewhere.
    RemoteForbidden,
    /// The model's side withheld the reply.
    ContentFiltered,
    /// The reply is longer than any reply may be (I8).
    ReplyTooLarge,
    /// What came back is not what was agreed on.
    Protocol,
    /// The adapter itself failed.
    Internal,
}

impl AdapterErrorKind {
    /// Whether errors of this kind pass by themselves, as a rule. [`AdapterError::transient`] is what counts.
    pub fn is_transient_by_nature(self) -> bool {
        match self {
            Self::Unreachable | Self::RateLimited | Self::ServerError | Self::Protocol => true,
            Self::Rejected
            | Self::Unauthorized
            | Self::ContextOverflow
            | Self::TokensExhausted
            | Self::DeadlineExceeded
            | Self::ModelUnknown
            | Self::ModelNotAllowed
            | Self::RemoteForbidden
            | Self::ContentFiltered
            | Self::ReplyTooLarge
            | Self::Internal => false,
        }
    }
}
