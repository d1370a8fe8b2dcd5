//! All cases of the suite, embedded in the binary.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::case::Case;
use crate::generate::FAMILIES;
use crate::judge;
use crate::registry::Registry;
use crate::report::SuiteIdentity;

/// Every file of every case: id, file name, text. Written by the build script.
const EMBEDDED: &str = include_str!(concat!(env!("OUT_DIR"), "/cases.json"));
/// The frozen set of contract version 1.0: the digest of each case that is scored.
const SCORED_1_0: &str = include_str!("../sets/1.0.json");

/// The cases, and which of them count.
#[derive(Clone, Debug)]
pub struct Suite {
    cases: BTreeMap<String, CaseFolder>,
    digest: String,
}

/// One case with its graphs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CaseFolder {
    /// The folder's name, which is the case's id.
    pub id: String,
    /// The content of `case.json`.
    pub case: Case,
    /// The graphs beside it, by file name.
    pub graphs: BTreeMap<String, Value>,
    /// Whether it is in the frozen set of the contract's version, so that it counts.
    pub scored: bool,
    /// SHA-256 over names and contents of its files.
    pub digest: String,
}

/// Why a folder is no case.
#[derive(Debug, Error)]
#[error("case `{case}`: {fault}")]
#[non_exhaustive]
pub struct CaseError {
    /// The folder's name.
    pub case: String,
    /// What is wrong in which file, and how to mend it.
    pub fault: String,
}

impl Suite {
    /// The suite's own cases.
    ///
    /// # Errors
    ///
    /// [`CaseError`] names the folder and the fault. The suite's own tests keep it from happening in a release.
    pub fn embedded() -> Result<Self, CaseError> {
        let folders: BTreeMap<String, BTreeMap<String, String>> = read("all", "cases.json", EMBEDDED)?;
        let frozen: BTreeMap<String, String> = read("all", "sets/1.0.json", SCORED_1_0)?;
        Self::of(folders, &frozen)
    }

    /// The cases in a folder of one's own. None of them is scored.
    ///
    /// # Errors
    ///
    /// [`CaseError`] as for [`Self::embedded`], or for a folder that cannot be read.
    pub fn in_folder(folder: &Path) -> Result<Self, CaseError> {
        let broken = |case: &Path, error: &dyn std::fmt::Display| CaseError {
            case: case.display().to_string(),
            fault: error.to_string(),
        };
        let mut folders: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for entry in std::fs::read_dir(folder).map_err(|error| broken(folder, &error))? {
            let path = entry.map_err(|error| broken(folder, &error))?.path();
            if !path.is_dir() {
                continue;
            }
            let mut files = BTreeMap::new();
            for file in std::fs::read_dir(&path).map_err(|error| broken(&path, &error))? {
                let file = file.map_err(|error| broken(&path, &error))?.path();
                let text = std::fs::read_to_string(&file).map_err(|error| broken(&file, &error))?;
                files.insert(name_of(&file), text);
            }
            folders.insert(name_of(&path), files);
        }
        Self::of(folders, &BTreeMap::new())
    }

    fn of(
        folders: BTreeMap<String, BTreeMap<String, String>>,
        frozen: &BTreeMap<String, String>,
    ) -> Result<Self, CaseError> {
        let mut cases = BTreeMap::new();
        let mut hash = Sha256::new();
        for (id, files) in folders {
            let digest = digest(&files);
            hash.update(&id);
            hash.update(&digest);
            let scored = frozen.contains_key(&id);
            cases.insert(id.clone(), CaseFolder::read(id, &files, scored, digest)?);
        }
        for id in judge::laws().map(|law| law.id).chain(FAMILIES.iter().map(|family| family.id)) {
            hash.update(id);
        }
        Ok(Self { cases, digest: format!("sha256:{}", hex(&hash.finalize())) })
    }

    /// The cases, by id.
    pub fn cases(&self) -> impl ExactSizeIterator<Item = &CaseFolder> {
        self.cases.values()
    }

    /// The case with this id.
    pub fn case(&self, id: &str) -> Option<&CaseFolder> {
        self.cases.get(id)
    }

    /// Which suite this is, as its reports say.
    pub fn identity(&self) -> SuiteIdentity {
        let contract = Registry::load().contract();
        SuiteIdentity {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            digest: self.digest.clone(),
            contract_version: contract.version.clone(),
            contract_digest: contract.digest.clone(),
        }
    }

    /// SHA-256 over all cases and laws.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Cases of the frozen set that are gone or were changed: a set is never edited, a case that was wrong gets
    /// another id.
    ///
    /// # Errors
    ///
    /// [`CaseError`] if the frozen set cannot be read.
    pub fn frozen_differences(&self) -> Result<Vec<String>, CaseError> {
        let frozen: BTreeMap<String, String> = read("all", "sets/1.0.json", SCORED_1_0)?;
        let differs = |(id, digest): (&String, &String)| match self.cases.get(id) {
            None => Some(format!("`{id}` is gone")),
            Some(case) if case.digest != *digest => Some(format!("`{id}` was changed")),
            Some(_) => None,
        };
        Ok(frozen.iter().filter_map(differs).collect())
    }
}

impl CaseFolder {
    /// A folder that lies nowhere.
    pub(crate) fn generated(id: &str, case: Case, graphs: BTreeMap<String, Value>) -> Self {
        Self { id: id.to_owned(), case, graphs, scored: true, digest: String::new() }
    }

    fn read(
        id: String,
        files: &BTreeMap<String, String>,
        scored: bool,
        digest: String,
    ) -> Result<Self, CaseError> {
        let broken = |fault: String| CaseError { case: id.clone(), fault };
        let text = files.get("case.json").ok_or_else(|| broken("it has no `case.json`".into()))?;
        let case: Case = read(&id, "case.json", text)?;
        let mut graphs = BTreeMap::new();
        for (name, text) in files.iter().filter(|(name, _)| *name != "case.json" && name.ends_with(".json")) {
            graphs.insert(name.clone(), read(&id, name, text)?);
        }
        let named: BTreeSet<&String> = case.runs.iter().map(|run| &run.graph).collect();
        if let Some(missing) = named.into_iter().find(|name| !graphs.contains_key(*name)) {
            return Err(broken(format!("it runs `{missing}`, which is not beside `case.json`")));
        }
        if case.clauses.is_empty() || case.runs.is_empty() || case.allowed.is_empty() {
            return Err(broken("`clauses`, `runs` and `allowed` need a member each".into()));
        }
        if !id.starts_with(&format!("{}-", case.clauses[0])) {
            return Err(broken(format!("its name begins with its first clause: `{}-…`", case.clauses[0])));
        }
        for allowed in &case.allowed {
            if !allowed.runs.is_empty() && allowed.runs.len() != case.runs.len() {
                return Err(broken(format!(
                    "`allowed.runs` has {} patterns for {} runs",
                    allowed.runs.len(),
                    case.runs.len()
                )));
            }
            let patterns = allowed.each.iter().chain(&allowed.runs);
            for pattern in patterns.chain(&allowed.capabilities).chain(&allowed.health) {
                if let Some(operator) = judge::unknown_operator(pattern) {
                    return Err(broken(format!("there is no operator `{operator}`")));
                }
            }
        }
        Ok(Self { id, case, graphs, scored, digest })
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn read<T: serde::de::DeserializeOwned>(case: &str, file: &str, text: &str) -> Result<T, CaseError> {
    serde_json::from_str(text)
        .map_err(|error| CaseError { case: case.to_owned(), fault: format!("{file}: {error}") })
}

fn digest(files: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    for (name, text) in files {
        for part in [name, text] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    format!("sha256:{}", hex(&hash.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_of_the_suite_reads() {
        let suite = Suite::embedded().unwrap_or_else(|error| unreachable!("{error}"));
        assert!(suite.cases().len() > 0);
    }

    /// With `KORA_BLESS` the set is written anew, which is for the time before a version of the suite is released:
    /// afterwards a case that was wrong gets another id, and a new one waits for the contract's next version.
    #[test]
    fn nothing_of_the_frozen_set_was_changed() {
        if std::env::var_os("KORA_BLESS").is_some() {
            let suite = Suite::embedded().unwrap_or_else(|error| unreachable!("{error}"));
            let set: BTreeMap<&str, &str> =
                suite.cases().map(|case| (case.id.as_str(), case.digest.as_str())).collect();
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("sets/1.0.json");
            let text = serde_json::to_string_pretty(&set).unwrap_or_default() + "\n";
            assert!(std::fs::write(path, text).is_ok(), "the set cannot be written");
            return;
        }
        let suite = Suite::embedded().unwrap_or_else(|error| unreachable!("{error}"));
        assert_eq!(suite.frozen_differences().unwrap_or_default(), Vec::<String>::new());
    }
}
