//! Profiles: which clauses count for which kind of backend.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::section_of;

/// What a backend is judged as.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "the contract knows two kinds of backend, and what they share")]
pub enum Profile {
    /// What every backend owes.
    Core,
    /// That, and what LocalBackend owes (§4).
    Local,
    /// That, and what KrakoBackend owes (§5).
    Krako,
}

/// A word that names no profile.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("`{0}` is no profile: use `core`, `local` or `krako`")]
pub struct UnknownProfile(String);

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 3] = [Self::Core, Self::Local, Self::Krako];

    /// The word in reports and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Local => "local",
            Self::Krako => "krako",
        }
    }

    /// Whether `clause` counts. The extensions of §12 count everywhere: whoever declares none of them sees their
    /// cases not apply (C12.4).
    pub fn includes(self, clause: &str) -> bool {
        match section_of(clause) {
            None => false,
            Some(4) => self == Self::Local,
            Some(5) => self == Self::Krako,
            Some(_) if matches!(clause, "C8.3" | "C11.4") => self == Self::Krako,
            Some(_) => true,
        }
    }

    /// Whether a case that observes `clauses` counts: its first and most specific one decides.
    pub fn scores(self, clauses: &[String]) -> bool {
        clauses.first().is_some_and(|clause| self.includes(clause))
    }

    /// Whether who conforms to this conforms to `other` as well.
    pub fn covers(self, other: Self) -> bool {
        self == other || other == Self::Core
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|profile| profile.as_str() == word);
        found.ok_or_else(|| UnknownProfile(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clause_counts_where_its_section_is_owed() {
        let profiles = |clause: &str| {
            Profile::ALL.into_iter().filter(|profile| profile.includes(clause)).collect::<Vec<_>>()
        };
        assert_eq!(profiles("C7.3"), Profile::ALL);
        assert_eq!(profiles("C4.1"), [Profile::Local]);
        assert_eq!(profiles("C5.5"), [Profile::Krako]);
        assert_eq!(profiles("C8.3"), [Profile::Krako]);
        assert_eq!(profiles("C8.2"), Profile::ALL);
        assert_eq!(profiles("C11.4"), [Profile::Krako]);
        assert_eq!(profiles("7.3"), []);
    }

    #[test]
    fn the_first_clause_of_a_case_decides() {
        let clauses = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        assert!(Profile::Core.scores(&clauses(&["C7.2", "C4.3"])));
        assert!(!Profile::Core.scores(&clauses(&["C4.3", "C7.2"])));
        assert!(!Profile::Core.scores(&[]));
    }

    #[test]
    fn every_profile_covers_the_core_and_itself() {
        assert!(
            Profile::ALL.into_iter().all(|profile| profile.covers(Profile::Core) && profile.covers(profile))
        );
        assert!(!Profile::Core.covers(Profile::Local) && !Profile::Local.covers(Profile::Krako));
        assert_eq!("krako".parse(), Ok(Profile::Krako));
        assert!("remote".parse::<Profile>().is_err());
    }
}
