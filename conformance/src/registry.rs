//! The registry: every clause of the contract, in our words, and how the suite comes to see whether it holds.

mod agreement;
mod profile;

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

pub use self::agreement::{Disagreement, disagreements};
pub use self::profile::{Profile, UnknownProfile};

const CLAUSES: &str = include_str!("../clauses.json");
const CONTRACT: &str = include_str!("../../docs/contract.md");

#[expect(clippy::unwrap_used, reason = "the registry is part of the program, and a test reads it")]
static EMBEDDED: LazyLock<Registry> = LazyLock::new(|| Registry::parse(CLAUSES).unwrap());

/// Every clause, in the order of the contract.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    contract: Contract,
    // Invariant: not empty, ids unique, sections known, each with exactly one of `how` and `reason`.
    clauses: Vec<Clause>,
}

/// The text that the clauses are about.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "the published registry format")]
pub struct Contract {
    /// Of the interface: MAJOR.MINOR.
    pub version: String,
    /// SHA-256 of the text: `sha256:…`.
    pub digest: String,
}

/// One clause.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "the published registry format")]
pub struct Clause {
    /// `C7.3`: section, dot, number.
    pub id: String,
    /// How binding it is.
    pub level: Level,
    /// Who can see whether it holds.
    pub observed: Observed,
    /// What it demands, in our own words.
    pub text: String,
    /// How the suite sees it, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub how: Option<String>,
    /// Why no case can see it, if none can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How binding a clause is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "the registry knows these three")]
pub enum Level {
    /// Without it a backend does not conform.
    Must,
    /// To be expected, and no reason to fail.
    Should,
    /// Allowed.
    May,
}

/// Who can see whether a clause holds.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "the registry knows these five")]
pub enum Observed {
    /// Cases see it.
    Cases,
    /// Cases see it with some luck: drawn anew by every seed.
    Stochastic,
    /// It shows in the sources only.
    Static,
    /// It is KORA's duty, not the backend's.
    ByTheCaller,
    /// It shows in a place where the suite is not.
    OutOfReach,
}

/// A registry that cannot be used.
#[derive(Clone, Debug, Error, Eq, PartialEq)]
#[non_exhaustive]
pub enum RegistryError {
    /// Not the format.
    #[error("the registry cannot be read: {0}")]
    Unreadable(String),
    /// An id twice, or none at all.
    #[error("clause `{0}` is listed twice, or no clause is listed")]
    NotASet(String),
    /// An id that is no section, dot, number.
    #[error("`{0}` is no clause id: write it as `C7.3`")]
    BadId(String),
    /// Neither or both of `how` and `reason`, or the wrong one.
    #[error("clause `{0}`: `how` belongs to what cases see, `reason` to what they cannot")]
    Unexplained(String),
}

impl Registry {
    /// The registry that this suite judges by.
    pub fn load() -> &'static Self {
        &EMBEDDED
    }

    /// Reads a registry.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] for the first thing that is wrong with it.
    pub fn parse(json: &str) -> Result<Self, RegistryError> {
        let registry: Self =
            serde_json::from_str(json).map_err(|error| RegistryError::Unreadable(error.to_string()))?;
        if registry.clauses.is_empty() {
            return Err(RegistryError::NotASet(String::new()));
        }
        for (place, clause) in registry.clauses.iter().enumerate() {
            if clause.section().is_none() {
                return Err(RegistryError::BadId(clause.id.clone()));
            }
            if registry.clauses[..place].iter().any(|before| before.id == clause.id) {
                return Err(RegistryError::NotASet(clause.id.clone()));
            }
            if clause.how.is_some() != clause.is_observed() || clause.reason.is_some() == clause.is_observed()
            {
                return Err(RegistryError::Unexplained(clause.id.clone()));
            }
        }
        Ok(registry)
    }

    /// Every clause in the contract's order.
    pub fn clauses(&self) -> &[Clause] {
        &self.clauses
    }

    /// The clause with this id.
    pub fn clause(&self, id: &str) -> Option<&Clause> {
        self.clauses.iter().find(|clause| clause.id == id)
    }

    /// Which contract it is about.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }
}

impl Clause {
    /// The section of the contract that it belongs to. `None`: its id is none.
    pub fn section(&self) -> Option<u32> {
        section_of(&self.id)
    }

    /// The contract's own words: the heading of its section, and the text below. `None`: there is no such section.
    pub fn in_the_contract(&self) -> Option<(&'static str, &'static str)> {
        let heading = format!("# {}. ", self.section()?);
        let starts_a_line = |at: usize| at == 0 || CONTRACT.as_bytes()[at - 1] == b'\n';
        let (start, _) = CONTRACT.match_indices(&heading).find(|(at, _)| starts_a_line(*at))?;
        let (title, rest) = CONTRACT[start + 2..].split_once('\n')?;
        let end = rest.find("\n# ").unwrap_or(rest.len());
        Some((title.trim(), rest[..end].trim().trim_end_matches("---").trim()))
    }

    /// Whether cases can see it.
    pub fn is_observed(&self) -> bool {
        match self.observed {
            Observed::Cases | Observed::Stochastic => true,
            Observed::Static | Observed::ByTheCaller | Observed::OutOfReach => false,
        }
    }
}

impl Level {
    /// The word in the registry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Must => "must",
            Self::Should => "should",
            Self::May => "may",
        }
    }
}

impl Observed {
    /// As a remark on a clause.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Cases => "seen by cases",
            Self::Stochastic => "seen by drawn cases",
            Self::Static => "shows in the sources only",
            Self::ByTheCaller => "KORA's own duty",
            Self::OutOfReach => "out of the suite's reach",
        }
    }
}

/// The section that a clause id names.
pub(crate) fn section_of(id: &str) -> Option<u32> {
    let (section, number) = id.strip_prefix('C')?.split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit());
    if digits(section) && digits(number) { section.parse().ok() } else { None }
}

/// The digest of the contract's text as it is in this program.
pub(crate) fn contract_digest() -> String {
    format!("sha256:{}", hex(&Sha256::digest(CONTRACT.as_bytes())))
}

/// Bytes as lowercase hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_registry_can_be_used() {
        assert_eq!(Registry::parse(CLAUSES).unwrap(), *Registry::load());
        assert_eq!(Registry::load().clause("C7.3").unwrap().section(), Some(7));
        assert!(Registry::load().clause("C7.30").is_none());
    }

    #[test]
    fn every_section_of_a_clause_is_in_the_contract() {
        for clause in Registry::load().clauses() {
            let (title, text) = clause.in_the_contract().unwrap();
            assert!(title.starts_with(&format!("{}.", clause.section().unwrap())), "{title}");
            assert!(!text.is_empty() && !text.contains("\n# "), "{}: {text}", clause.id);
        }
    }

    #[test]
    fn a_registry_that_explains_nothing_is_refused() {
        let with = |clauses: &str| {
            Registry::parse(&format!(
                r#"{{"contract":{{"version":"1.0","digest":""}},"clauses":[{clauses}]}}"#
            ))
        };
        let clause = r#"{"id":"C1.1","level":"must","observed":"cases","text":"x","how":"y"}"#;
        assert!(with(clause).is_ok());
        assert_eq!(with(""), Err(RegistryError::NotASet(String::new())));
        assert_eq!(with(&format!("{clause},{clause}")), Err(RegistryError::NotASet("C1.1".into())));
        assert_eq!(with(&clause.replace("C1.1", "1.1")), Err(RegistryError::BadId("1.1".into())));
        assert_eq!(with(&clause.replace("C1.1", "C1.")), Err(RegistryError::BadId("C1.".into())));
        assert_eq!(with(&clause.replace("cases", "static")), Err(RegistryError::Unexplained("C1.1".into())));
        assert_eq!(
            with(&clause.replace("\"how\"", "\"reason\"")),
            Err(RegistryError::Unexplained("C1.1".into()))
        );
        assert!(matches!(with(&clause.replace("must", "shall")), Err(RegistryError::Unreadable(_))));
    }
}
