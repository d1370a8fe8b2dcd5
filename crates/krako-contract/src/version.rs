//! The versions that a document declares, looked at before anything else in it (C10.1, C10.3).

use std::str::FromStr;

use backend_api::{InterfaceVersion, VersionError};
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

/// What a document writes as `api_version`.
pub const API_VERSION: &str = "1.0";
/// What a document writes as `contract_version`.
pub const CONTRACT_VERSION: &str = "1.0.0";

/// The fields of a document that declare a version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "KORA's public API has these two")]
pub enum VersionField {
    /// Of the HTTP API.
    Api,
    /// Of the Krako contract: the documents themselves.
    Contract,
}

impl VersionField {
    /// The field's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api_version",
            Self::Contract => "contract_version",
        }
    }

    /// What we write in it.
    pub fn offered(self) -> &'static str {
        match self {
            Self::Api => API_VERSION,
            Self::Contract => CONTRACT_VERSION,
        }
    }
}

/// Which versions a document has to declare.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Declares {
    /// Requests: both.
    Both,
    /// Events: `contract_version`.
    Contract,
    /// Answers: KORA's published shapes have no version, so one that is absent is ours. One that is there counts.
    IfPresent,
}

/// A document of another MAJOR, or of none (C10.3).
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a version is absent, unreadable or of another MAJOR")]
pub enum VersionMismatch {
    /// It is not there.
    #[error("`{}` is missing; write \"{}\"", .field.as_str(), .field.offered())]
    Missing {
        /// Which.
        field: VersionField,
    },
    /// It is no version.
    #[error("`{}` is no version; write \"{}\"", .field.as_str(), .field.offered())]
    Malformed {
        /// Which.
        field: VersionField,
    },
    /// The MAJOR differs.
    #[error("`{}` {asked} was asked for, and {} is what there is: the MAJOR differs", .field.as_str(), .field.offered())]
    Incompatible {
        /// Which.
        field: VersionField,
        /// The other end's.
        asked: InterfaceVersion,
    },
}

impl From<VersionMismatch> for VersionError {
    fn from(mismatch: VersionMismatch) -> Self {
        match mismatch {
            VersionMismatch::Missing { field } => {
                Self::Malformed { found: format!("(no {})", field.as_str()) }
            }
            VersionMismatch::Malformed { field } => {
                Self::Malformed { found: format!("({})", field.as_str()) }
            }
            VersionMismatch::Incompatible { asked, .. } => {
                Self::Incompatible { asked, offered: InterfaceVersion::CURRENT }
            }
        }
    }
}

/// The versions of a document and nothing else of it.
#[derive(Debug, Deserialize)]
pub(crate) struct Declared<'d> {
    #[serde(borrow)]
    api_version: Option<&'d RawValue>,
    #[serde(borrow)]
    contract_version: Option<&'d RawValue>,
}

impl Declared<'_> {
    /// Whether this crate reads documents of these versions.
    pub(crate) fn negotiate(&self, declares: Declares) -> Result<(), VersionMismatch> {
        let (api, contract) = match declares {
            Declares::Both => (true, true),
            Declares::Contract => (false, true),
            Declares::IfPresent => (false, false),
        };
        one(self.api_version, VersionField::Api, api)?;
        one(self.contract_version, VersionField::Contract, contract)
    }
}

fn one(found: Option<&RawValue>, field: VersionField, required: bool) -> Result<(), VersionMismatch> {
    let found = match found {
        Some(found) if found.get() != "null" => found,
        Some(_) | None if required => return Err(VersionMismatch::Missing { field }),
        Some(_) | None => return Ok(()),
    };
    let malformed = VersionMismatch::Malformed { field };
    let text: String = serde_json::from_str(found.get()).map_err(|_| malformed.clone())?;
    let asked = InterfaceVersion::from_str(&text).map_err(|_| malformed)?;
    match asked.negotiate() {
        Ok(()) => Ok(()),
        Err(_) => Err(VersionMismatch::Incompatible { field, asked }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, declares: Declares, expected: &str) {
        let declared: Declared<'_> = serde_json::from_str(text).unwrap();
        let said = declared.negotiate(declares).map_err(|mismatch| mismatch.to_string());
        assert_eq!(said.err().unwrap_or_default(), expected, "{text}");
    }

    // shows C10.1, C10.3
    #[test]
    fn what_is_missing_or_of_another_major_is_refused_and_a_newer_minor_is_served() {
        let both = r#"{"api_version": "1.0", "contract_version": "1.0.0"}"#;
        check(both, Declares::Both, "");
        check(r#"{"api_version": "1.9", "contract_version": "1.4.2"}"#, Declares::Both, "");
        check(r#"{"contract_version": "1.0.0"}"#, Declares::Both, "`api_version` is missing; write \"1.0\"");
        check(r#"{"api_version": "1.0"}"#, Declares::Both, "`contract_version` is missing; write \"1.0.0\"");
        check(
            r#"{"contract_version": null}"#,
            Declares::Contract,
            "`contract_version` is missing; write \"1.0.0\"",
        );
        check(r#"{"api_version": 1}"#, Declares::Both, "`api_version` is no version; write \"1.0\"");
        check(
            r#"{"api_version": "2.0"}"#,
            Declares::IfPresent,
            "`api_version` 2.0.0 was asked for, and 1.0 is what there is: the MAJOR differs",
        );
        check("{}", Declares::IfPresent, "");
    }

    #[test]
    fn what_is_written_is_what_the_interface_says() {
        assert_eq!(InterfaceVersion::CURRENT.to_string(), CONTRACT_VERSION);
        assert_eq!(API_VERSION.parse::<InterfaceVersion>().unwrap(), InterfaceVersion::CURRENT);
    }
}
