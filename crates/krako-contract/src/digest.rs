//! A SHA-256 as both ends write it, and whether it is that of a graph (I1).

use std::fmt;

use kora_ir::GraphDigest;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use telemetry::SemanticDigest;
use thiserror::Error;

/// `sha256:` and 64 lowercase hexadecimal digits. What another end claims, until it is compared.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Sha256Text([u8; 32]);

impl Sha256Text {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// [`InvalidDigest`] if it is written in any other way.
    pub fn new(text: &str) -> Result<Self, InvalidDigest> {
        let digits = text.strip_prefix("sha256:").ok_or(InvalidDigest)?;
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let mut bytes = [0; 32];
        let pairs = digits.as_bytes().chunks_exact(2);
        if digits.len() != 64 {
            return Err(InvalidDigest);
        }
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            let (high, low) = (digit(pair[0]).ok_or(InvalidDigest)?, digit(pair[1]).ok_or(InvalidDigest)?);
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }

    /// Whether it is the digest of this run.
    pub fn is_of_run(&self, digest: &SemanticDigest) -> bool {
        self.0 == *digest.as_bytes()
    }
}

impl From<&GraphDigest> for Sha256Text {
    fn from(digest: &GraphDigest) -> Self {
        Self(*digest.as_bytes())
    }
}

impl From<&SemanticDigest> for Sha256Text {
    fn from(digest: &SemanticDigest) -> Self {
        Self(*digest.as_bytes())
    }
}

impl PartialEq<GraphDigest> for Sha256Text {
    fn eq(&self, other: &GraphDigest) -> bool {
        self.0 == *other.as_bytes()
    }
}

impl fmt::Display for Sha256Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Sha256Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Sha256Text {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Sha256Text".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"})
    }
}

/// A text that is no digest.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a digest is `sha256:` and 64 lowercase hexadecimal digits")]
#[non_exhaustive]
pub struct InvalidDigest;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_again(bytes in any::<[u8; 32]>()) {
            let digest = Sha256Text(bytes);
            prop_assert_eq!(Sha256Text::new(&digest.to_string()), Ok(digest));
        }

        #[test]
        fn no_text_makes_it_panic(text in "(sha256:)?[0-9a-fA-Fé]{0,70}") {
            if let Ok(digest) = Sha256Text::new(&text) {
                prop_assert_eq!(digest.to_string(), text);
            }
        }
    }
}
