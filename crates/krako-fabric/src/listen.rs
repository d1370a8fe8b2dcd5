//! Listens for HTTPS and for nothing else, within bounds, until it is told to drain (C11.4, I8).
//!
//! TLS 1.3; HTTP/2 and HTTP/1.1 by what the handshake agreed on. Whoever serves something implements [`Answers`], and what
//! arrives there came encrypted, in time and in bounds. Protocol faults below HTTP (a wrong preface, a head that is too
//! long) are answered by the protocol's own means; everything else by an error document.
mod accept;
mod activity;
mod conversation;
mod draining;
mod limits;
mod plain;
mod problem;
mod reply;
mod serve;
mod tls;

pub use self::accept::{Accept, Accepted, TcpAccept, Wire};
pub use self::draining::Drained;
pub use self::limits::ListenLimits;
pub use self::tls::{InvalidIdentity, TlsIdentity};

pub(crate) use self::draining::Draining;
pub(crate) use self::problem::Problem;
pub(crate) use self::reply::ReplyBody;
pub(crate) use self::reply::{head_of_stream, json, part, text};
pub(crate) use self::serve::{Answers, serve};
