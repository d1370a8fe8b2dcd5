//! The version of the interface, declared and negotiated (C10.1, C10.3).

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use thiserror::Error;

/// A version of this interface, `MAJOR.MINOR.PATCH`.
#[expect(clippy::exhaustive_structs, reason = "semantic versioning closes the set of parts")]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct InterfaceVersion {
    /// Changes when something breaks (C10.2).
    pub major: u32,
    /// Changes when something optional is added.
    pub minor: u32,
    /// Changes when only words change.
    pub patch: u32,
}

impl InterfaceVersion {
    /// The version that this crate is written for (C10.1).
    pub const CURRENT: Self = Self { major: 1, minor: 0, patch: 0 };

    /// Whether a caller of version `self` can be served by this crate: the same MAJOR (C10.3). A newer MINOR only
    /// adds what may be ignored.
    ///
    /// # Errors
    ///
    /// [`VersionError::Incompatible`] names both versions.
    pub fn negotiate(self) -> Result<(), VersionError> {
        if self.major == Self::CURRENT.major {
            Ok(())
        } else {
            Err(VersionError::Incompatible { asked: self, offered: Self::CURRENT })
        }
    }
}

impl fmt::Display for InterfaceVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for InterfaceVersion {
    type Err = VersionError;

    /// Reads `1`, `1.0` or `1.0.0`; absent parts are 0.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || VersionError::Malformed { found: text.chars().take(32).collect() };
        let mut parts = [0; 3];
        for (place, part) in text.split('.').enumerate() {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            let canonical = part == "0" || !part.starts_with('0');
            *parts.get_mut(place).filter(|_| digits && canonical).ok_or_else(malformed)? =
                part.parse().map_err(|_| malformed())?;
        }
        let [major, minor, patch] = parts;
        Ok(Self { major, minor, patch })
    }
}

impl Serialize for InterfaceVersion {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A version that cannot be served.
#[expect(clippy::exhaustive_enums, reason = "a version is unreadable or of another MAJOR")]
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum VersionError {
    /// Not a version.
    #[error("`{found}` is not a version such as `1.0.0`")]
    Malformed {
        /// At most 32 characters of it.
        found: String,
    },
    /// Of another MAJOR.
    #[error("interface version {asked} was asked for, and {offered} is what there is: the MAJOR differs")]
    Incompatible {
        /// The caller's.
        asked: InterfaceVersion,
        /// Ours.
        offered: InterfaceVersion,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    // shows C10.1, C10.3
    #[test]
    fn another_major_is_refused_and_a_newer_minor_is_served() {
        let negotiate = |text: &str| text.parse::<InterfaceVersion>().unwrap().negotiate();
        assert_eq!(negotiate("1.0.0"), Ok(()));
        assert_eq!(negotiate("1"), Ok(()));
        assert_eq!(negotiate("1.7.2"), Ok(()));
        for other in ["0.1", "0.9.9", "2.0.0", "10.0.0"] {
            assert!(matches!(negotiate(other), Err(VersionError::Incompatible { .. })), "{other}");
        }
    }

    #[test]
    fn what_is_no_version_is_said_to_be_none() {
        for text in ["", ".", "1.", "v1", "1.0.0.0", "01.0.0", "1.0.0-rc1", "+1", "99999999999"] {
            assert!(
                matches!(text.parse::<InterfaceVersion>(), Err(VersionError::Malformed { .. })),
                "{text}"
            );
        }
    }
}
