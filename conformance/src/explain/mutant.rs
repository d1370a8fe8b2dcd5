//! A backend with one defect, as far as explanations need it: the story, and who catches it.

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use crate::report::plain;

/// A mutant: `conformance/mutants/NAME.json`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "whoever holds the mutants fills all of it")]
pub struct MutantInfo {
    /// The file's name without `.json`.
    pub name: String,
    /// The clause that it breaks.
    pub clause: String,
    /// What is wrong with it, for people.
    pub story: String,
    /// The cases that catch it.
    pub fails: Fails,
}

/// The cases that catch a mutant.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a list, or all")]
pub enum Fails {
    /// All of them: it does not even run.
    Every,
    /// These.
    Cases(Vec<String>),
}

/// A file that tells of no mutant.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("mutant `{name}`: {fault}")]
pub struct MutantError {
    name: String,
    fault: String,
}

#[derive(Deserialize)]
struct File {
    clause: String,
    story: String,
    fails: Value,
}

impl MutantInfo {
    /// Reads `conformance/mutants/NAME.json`.
    ///
    /// # Errors
    ///
    /// [`MutantError`] if it is not of that form.
    pub fn parse(name: &str, json: &str) -> Result<Self, MutantError> {
        let broken = |fault: String| MutantError { name: name.to_owned(), fault };
        let file: File = serde_json::from_str(json).map_err(|error| broken(error.to_string()))?;
        let fails = match file.fails {
            Value::String(all) if all == "*" => Fails::Every,
            list @ Value::Array(_) => {
                Fails::Cases(serde_json::from_value(list).map_err(|error| broken(error.to_string()))?)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                return Err(broken(String::from("`fails` is a list of cases, or \"*\"")));
            }
        };
        Ok(Self { name: name.to_owned(), clause: file.clause, story: file.story, fails })
    }

    pub(super) fn is_failed_by(&self, case: &str) -> bool {
        match &self.fails {
            Fails::Every => true,
            Fails::Cases(cases) => cases.iter().any(|id| id == case),
        }
    }

    pub(super) fn told(&self) -> String {
        plain::line(&format!("{}: {}", self.name, self.story), plain::TEXT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_is_caught_by_some_or_by_all() {
        let parse = |fails: &str| {
            MutantInfo::parse(
                "m",
                &format!(r#"{{"clause":"C7.3","defect":"m","story":"s","fails":{fails}}}"#),
            )
        };
        assert!(parse("\"*\"").unwrap().is_failed_by("x"));
        assert!(parse("[\"x\"]").unwrap().is_failed_by("x"));
        assert!(!parse("[\"x\"]").unwrap().is_failed_by("y"));
        for fails in ["\"x\"", "[1]", "{}"] {
            assert!(parse(fails).is_err(), "{fails}");
        }
    }
}
