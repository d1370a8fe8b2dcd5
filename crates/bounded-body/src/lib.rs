//! The bodies of HTTP requests: none longer or slower than allowed, and all together within a room (I8).
mod room;

pub use crate::room::{BodyError, BodyLimits, Held, Room};
