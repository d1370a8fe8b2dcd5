//! What can go wrong on the way, whether it can have arrived, and whether asking again may help.

use std::error::Error as StdError;
use std::fmt;

use h2::Reason;
use thiserror::Error;

use crate::Endpoint;

/// A call that brought no whole answer. Says where, what and how to mend it; quotes nothing that the other end sent.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("`{endpoint}`: {what}")]
#[expect(clippy::exhaustive_structs, reason = "where, what, and what follows from it")]
pub struct TransportError {
    /// Where.
    pub endpoint: Endpoint,
    /// What went wrong.
    pub what: TransportFault,
    /// Whether the other end can have read the call: then it may have acted on it.
    pub may_have_arrived: bool,
}

/// What went wrong.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum TransportFault {
    /// No network connection.
    #[error("no connection: {said}; is the fabric running, and are host and port right?")]
    Unreachable {
        /// What the system says.
        said: String,
    },
    /// Not who it should be, or no TLS that is good enough. Asking again changes nothing.
    #[error("not trusted: {said}")]
    NotTrusted {
        /// What is wrong and how to mend it.
        said: String,
    },
    /// A time limit.
    #[error("{within} took more than {limit_ms} ms")]
    TimedOut {
        /// What took it.
        within: Within,
        /// The limit.
        limit_ms: u64,
    },
    /// It sends the caller elsewhere.
    #[error(
        "it answers {status}, a redirect; nothing is sent elsewhere than where it was meant for, so write the address that it leads to, if that is trusted"
    )]
    Redirect {
        /// The status.
        status: u16,
    },
    /// More than is read.
    #[error("its answer has more than {max} {what}")]
    TooMuch {
        /// How much is allowed.
        max: usize,
        /// Of what.
        what: &'static str,
    },
    /// The connection or the call's part of it was lost.
    #[error("{said}")]
    Lost {
        /// How.
        said: &'static str,
    },
    /// What came is no HTTP/2.
    #[error("{said}")]
    Protocol {
        /// What is wrong.
        said: &'static str,
    },
    /// A call that cannot be written. A bug of ours.
    #[error("the call cannot be written: {said}")]
    Call {
        /// What the library says.
        said: String,
    },
}

/// What a time limit was for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a call's steps, and the silence between two pieces of a stream")]
pub enum Within {
    /// Resolving the name, and TCP.
    Connecting,
    /// TLS, and the first bytes of HTTP/2.
    Handshake,
    /// The whole call.
    Call,
    /// A stream's next piece.
    Silence,
}

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "connecting",
            Self::Handshake => "the TLS handshake",
            Self::Call => "the call",
            Self::Silence => "the stream's next piece",
        })
    }
}

impl TransportFault {
    /// Whether the same call may fare better later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Lost { .. } => true,
            Self::NotTrusted { .. }
            | Self::Redirect { .. }
            | Self::TooMuch { .. }
            | Self::Protocol { .. }
            | Self::Call { .. } => false,
        }
    }
}

impl TransportError {
    /// Whether the same call may fare better later.
    pub fn is_passing(&self) -> bool {
        self.what.is_passing()
    }
}

/// What hyper has met, and whether the other end says that it did not read the call.
pub(crate) fn of_hyper(error: &hyper::Error) -> (TransportFault, bool) {
    let mut source = error.source();
    let mut found = None;
    while let Some(error) = source {
        found = found.or_else(|| error.downcast_ref::<h2::Error>());
        source = error.source();
    }
    let lost = |said| TransportFault::Lost { said };
    match found {
        Some(error) if error.is_library() => (TransportFault::Protocol { said: NOT_HTTP2 }, false),
        Some(error) if error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM) => {
            (lost("it refused the call without reading it"), true)
        }
        Some(error) if error.is_reset() => (lost("it cut the call off"), false),
        Some(error) if error.is_go_away() => (lost("it closed the connection"), false),
        Some(error) if error.is_io() => (lost("the connection was lost"), false),
        Some(_) => (TransportFault::Protocol { said: NOT_HTTP2 }, false),
        None if error.is_timeout() => (lost("it answered no ping"), false),
        None => (lost("the connection was closed before the answer was complete"), false),
    }
}

const NOT_HTTP2: &str = "what it answers is no HTTP/2 that can be read, or has larger headers than are read";
