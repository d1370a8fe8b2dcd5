//! Names on the wire: short, printable, safe in a URL, a header and a log.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

/// Bytes of a name at most.
const MAX_BYTES: usize = 128;

/// A text that is no name.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("a `{what}` is {rule}")]
pub struct InvalidWireName {
    what: &'static str,
    rule: &'static str,
}

struct Rule {
    admits: fn(&str) -> bool,
    says: &'static str,
    #[cfg(feature = "schema")]
    pattern: &'static str,
}

/// What stands in URLs, headers and logs.
const PLAIN: Rule = Rule {
    admits: is_plain,
    says: "1 to 128 ASCII letters, digits, `_`, `-`, `.` or `:`, starting with a letter, a digit or `_`",
    #[cfg(feature = "schema")]
    pattern: "^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,127}$",
};

/// What KORA chose freely and only comes back.
const FREE: Rule = Rule {
    admits: |text| (1..=MAX_BYTES).contains(&text.len()) && !text.chars().any(char::is_control),
    says: "1 to 128 bytes without control characters",
    #[cfg(feature = "schema")]
    pattern: "^[^\\x00-\\x1f\\x7f-\\x9f]{1,128}$",
};

/// The rule of `kora-ir` for ids, so that every task id is a work unit id (UPSTREAM: 1:1).
fn is_plain(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':');
    first && text.len() <= MAX_BYTES && text.bytes().all(allowed)
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $rule:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes a name.
            ///
            /// # Errors
            ///
            /// [`InvalidWireName`] unless it is short and of the allowed characters.
            pub fn new(text: &str) -> Result<Self, InvalidWireName> {
                if ($rule.admits)(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(InvalidWireName { what: stringify!($name), rule: $rule.says })
                }
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

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::new(&text).map_err(serde::de::Error::custom)
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "pattern": $rule.pattern})
            }
        }
    };
}

name! {
    /// Names an execution session: one accepted graph, exactly one session.
    SessionId, PLAIN
}
name! {
    /// Names an event, globally: who delivers twice says it twice.
    EventId, PLAIN
}
name! {
    /// Names a work unit: the task's own id.
    WorkUnitId, PLAIN
}
name! {
    /// Names a graph, as KORA wrote it.
    GraphId, PLAIN
}
name! {
    /// The idempotency anchor of a submission.
    RequestId, FREE
}
name! {
    /// The scope of billing.
    TenantId, FREE
}
name! {
    /// Where to run, or where it ran (C8.3, C12.3).
    Region, PLAIN
}
name! {
    /// What the cloud bills a session under (C8.3).
    BillingId, PLAIN
}
name! {
    /// A node of a pool.
    NodeId, PLAIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_stand_in_a_url_a_header_and_a_log() {
        for good in ["a", "_x", "ses_01H:b.c-d", &"x".repeat(128)] {
            assert!(SessionId::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a b", "a/b", "ä", "a\nb", "\u{1b}[2J", &"x".repeat(129)] {
            assert!(SessionId::new(bad).is_err(), "{bad:?}");
            assert!(serde_json::from_value::<SessionId>(bad.into()).is_err(), "{bad:?}");
        }
    }
}
