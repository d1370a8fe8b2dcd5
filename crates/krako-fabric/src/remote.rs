//! The two seams over HTTPS, both ends: workers and gateways in other processes (C11.4).
//!
//! The desk serves `POST /nodes/v1/…` to workers ([`NodeDesk`](crate::NodeDesk)) and `POST /sessions/v1/…` to gateways
//! ([`Sessions`](crate::Sessions)). Every request is a `POST` of one document and is answered with one, so no name of a
//! tenant stands in an address. A worker's token opens nothing of the sessions.
mod caller;
mod desk;
mod documents;
mod nodes;
mod sessions;

pub use self::desk::{Desk, DeskConfig};
pub use self::nodes::RemoteDesk;
pub use self::sessions::RemoteSessions;
