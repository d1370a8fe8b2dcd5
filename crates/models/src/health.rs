//! Whether an adapter could answer now, or why not (C3.5).

use serde::Serialize;

/// How an adapter is.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "contract §3.2 closes the set of states")]
pub enum AdapterHealth {
    /// It could answer for all its models.
    Healthy,
    /// It can be reached, but something is missing.
    Degraded {
        /// What is missing and how to mend it.
        reason: String,
    },
    /// It could not answer now.
    Unavailable {
        /// Why not and how to mend it.
        reason: String,
    },
}
