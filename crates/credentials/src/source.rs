//! Where a key is: named in a configuration, which never holds the key itself.

use std::fmt;
use std::path::PathBuf;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Where a key or token comes from. A configuration names the place and never holds the key.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a key is read from one of two places, and is never written out")]
pub enum KeySource {
    /// The environment variable of this name.
    Env(String),
    /// This file: regular, at most 16 KiB, white space around the key ignored.
    File(PathBuf),
}

/// What is said of anything else. Serde's own words would quote a key that was put here by mistake.
const EXPECTED: &str =
    "a configuration says where the key is, as {\"env\": name} or {\"file\": path}, and never holds it";

impl<'de> Deserialize<'de> for KeySource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Written).map_err(|_| D::Error::custom(EXPECTED))
    }
}

/// By hand, because a derived reader takes a list of the fields' values as well: the key itself, in brackets.
struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = KeySource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let none = || A::Error::custom(EXPECTED);
        let source = match map.next_key::<String>()?.as_deref() {
            Some("env") => KeySource::Env(map.next_value()?),
            Some("file") => KeySource::File(map.next_value()?),
            Some(_) | None => return Err(none()),
        };
        if map.next_key::<String>()?.is_some() { Err(none()) } else { Ok(source) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_that_stands_in_a_configuration_is_refused_without_being_quoted() {
        for written in [
            json!("sk-secret"),
            json!({"env": "A", "key": "sk-secret"}),
            json!({"value": "sk-secret"}),
            json!(["sk-secret"]),
            json!({"env": ["sk-secret"]}),
            json!({}),
        ] {
            let error = serde_json::from_value::<KeySource>(written).unwrap_err().to_string();
            assert!(error.contains("never holds it") && !error.contains("sk-secret"), "{error}");
        }
        assert_eq!(
            serde_json::from_value::<KeySource>(json!({"env": "A"})).unwrap(),
            KeySource::Env("A".into())
        );
    }
}
