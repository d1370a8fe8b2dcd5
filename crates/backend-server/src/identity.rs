//! Who serves: what a caller is told before it asks for anything.

use backend_api::BackendMode;
use serde::Serialize;

/// The name of a server and of what it serves.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "the protocol lists the fields")]
pub struct Identity {
    /// What serves, for people and reports.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Which kind of backend it serves.
    pub backend_mode: BackendMode,
}
