//! What a model is called in the store.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Bytes of a name.
const MAX_BYTES: usize = 64;

/// The name of a model in the store, which is also the name of its folder: 1 to 64 of `a`–`z`, `0`–`9`, `.`, `_` and
/// `-`, the first a letter or a digit.
// Invariant: as the doc says, so that it is a file's name on every system and never leads out of the store.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelName(String);

impl ModelName {
    /// Takes `name` as a model's name.
    ///
    /// # Errors
    ///
    /// [`InvalidModelName`] says what a name may be.
    pub fn new(name: &str) -> Result<Self, InvalidModelName> {
        let allowed = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-')
        };
        let starts = name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
        if starts && name.len() <= MAX_BYTES && name.bytes().all(allowed) {
            Ok(Self(name.to_owned()))
        } else {
            let shown: String = name.escape_debug().take(MAX_BYTES).collect();
            Err(InvalidModelName { shown })
        }
    }

    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name that is known to be one.
    pub(crate) fn known(name: &'static str) -> Self {
        Self(name.to_owned())
    }
}

/// A text that names no model of a store.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error(
    "`{shown}` cannot name a model of the store: 1 to {MAX_BYTES} of `a`-`z`, `0`-`9`, `.`, `_` and `-`, the first a \
     letter or a digit"
)]
pub struct InvalidModelName {
    shown: String,
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ModelName {
    type Err = InvalidModelName;

    fn from_str(name: &str) -> Result<Self, InvalidModelName> {
        Self::new(name)
    }
}

impl TryFrom<String> for ModelName {
    type Error = InvalidModelName;

    fn try_from(name: String) -> Result<Self, InvalidModelName> {
        Self::new(&name)
    }
}

impl From<ModelName> for String {
    fn from(name: ModelName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_leads_out_of_the_store() {
        for name in ["smollm2-135m-instruct", "a", "qwen2.5_0.5b", "0"] {
            assert_eq!(ModelName::new(name).unwrap().as_str(), name);
        }
        for name in
            ["", ".", "..", "../a", "a/b", "a\\b", "A", "a b", "a:b", ".a", "-a", "é", "a\0", "\u{1b}[2J"]
        {
            assert!(ModelName::new(name).is_err(), "{name:?}");
        }
        assert!(ModelName::new(&"a".repeat(65)).is_err());
    }

    #[test]
    fn what_is_refused_commands_no_terminal() {
        let said = ModelName::new("\u{1b}[2J").unwrap_err().to_string();
        assert!(!said.contains('\u{1b}'), "{said:?}");
    }
}
