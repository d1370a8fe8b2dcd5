//! An attempt that has started and not ended, as a session's events show it.

use krako_contract::Timestamp;

/// Claims of one attempt at most: the first and, when nodes are lost, those that follow. Bounds what a session can say
/// (I8); an attempt that has used them all up has to be reported as failed.
pub const MAX_CLAIMS: u32 = 5;

/// An attempt under way.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "which, since when, how often it was given to a node")]
pub struct OpenAttempt {
    /// Counted from 0.
    pub attempt: u32,
    /// When it was said to have started.
    pub since: Timestamp,
    /// How often a node claimed it.
    pub claims: u32,
}
