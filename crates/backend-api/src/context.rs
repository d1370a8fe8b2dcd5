//! Who asks for a run, and under which names (C3.3).

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use thiserror::Error;

use crate::InterfaceVersion;

/// What KORA says about a run beside its graph.
///
/// A plain struct, so that a new field fails to compile wherever a context is made.
#[expect(clippy::exhaustive_structs, reason = "contract §3.1 lists the fields")]
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ExecutionContext {
    /// Names this run.
    pub run_id: RunId,
    /// Names the request that this run is part of.
    pub trace_id: TraceId,
    /// Which kind of backend KORA chose.
    pub backend_mode: BackendMode,
    /// On whose behalf.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The version of the interface that the caller was written for (C10.1).
    pub interface_version: InterfaceVersion,
}

/// The kinds of backend.
#[expect(clippy::exhaustive_enums, reason = "contract §3.1 closes the set")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BackendMode {
    /// This machine.
    Local,
    /// Krako Cloud.
    Krako,
}

impl BackendMode {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Krako => "krako",
        }
    }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes a caller's name for it.
            ///
            /// # Errors
            ///
            /// [`InvalidName`] unless it has 1 to 128 bytes, none of them a control character.
            pub fn new(text: &str) -> Result<Self, InvalidName> {
                let fits = (1..=128).contains(&text.len()) && !text.chars().any(char::is_control);
                if fits { Ok(Self(text.into())) } else { Err(InvalidName { what: stringify!($name) }) }
            }

            /// The name's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type! {
    /// Names one run of one graph.
    RunId
}
name_type! {
    /// Names a request across everything that serves it.
    TraceId
}
name_type! {
    /// Names the person or account on whose behalf a run is made.
    UserId
}

/// A name that names nothing.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("a `{what}` has 1 to 128 bytes and no control characters")]
pub struct InvalidName {
    what: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_neither_empty_nor_endless_nor_invisible() {
        assert!(RunId::new("run-1").is_ok());
        for bad in ["", "a\nb", "\u{1b}[2J", &"x".repeat(129)] {
            assert!(RunId::new(bad).is_err(), "{bad:?}");
        }
    }
}
