//! The policy: what has to hold before a change is merged, as TOML that is reviewed like code.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::day::Day;
use crate::registry::Profile;

/// What has to hold.
///
/// ```
/// let policy = conformance::Policy::parse(
///     r#"
///     ## A report of each, or of one that covers it: `local` and `krako` cover `core`.
///     profiles = ["core", "local"]
///     ## A ratchet: lower it as they are mended. Without it none is accepted.
///     known_failures.at_most = 2
///
///     ## Costs, as the suite itself counted them.
///     [guards]
///     max_model_invocations = 900
///     max_retry_amplification = 1.5
///     min_deterministic_share = 0.4
///     case."C7.3-two-retries" = 3
///     ## Against a baseline: 5 % more calls are too many.
///     growth.model_invocations = 0.05
///
///     ## Lifts one block, by the name that the gate gave it, and stays in every decision to be seen.
///     [[override]]
///     block = "guards.max_retry_amplification"
///     reviewer = "R. Viewer"
///     reason = "the new model asks back once; the prompt is being rewritten"
///     expires = 2026-12-31
///     "#,
/// );
/// assert!(policy.is_ok(), "{policy:?}");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the members of the file format")]
pub struct Policy {
    /// Profiles with which the backend has to conform. Never empty.
    pub profiles: Vec<Profile>,
    /// How many known failures are accepted. Without a word, none.
    pub known_failures: usize,
    /// What the backend may cost.
    pub guards: Guards,
    /// What is let through though it is blocked.
    pub overrides: Vec<Override>,
}

/// What the backend may cost, over the fixed cases of a report.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::exhaustive_structs, reason = "the members of the file format")]
pub struct Guards {
    /// Calls that the suite's model saw.
    pub max_model_invocations: Option<u64>,
    /// Calls for each call that was no retry.
    pub max_retry_amplification: Option<f64>,
    /// Tasks executed without a model, of all tasks.
    pub min_deterministic_share: Option<f64>,
    /// Calls that the suite's model saw, for single cases.
    pub case: BTreeMap<String, u64>,
    /// What may grow since the baseline.
    pub growth: Option<Growth>,
}

/// By how much costs may be above those of the baseline, over the cases that both reports measured: 0.05 is 5 %.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::exhaustive_structs, reason = "the members of the file format")]
pub struct Growth {
    /// Of the calls that the suite's model saw.
    pub model_invocations: Option<f64>,
    /// Of the calls for each call that was no retry.
    pub retry_amplification: Option<f64>,
    /// Of the tasks executed without a model, of all tasks: by how much less.
    pub deterministic_share: Option<f64>,
}

/// Something that is let through, by whom, why, and until when.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "the members of the file format")]
pub struct Override {
    /// What it lifts, as the gate names it: `case.C7.3-always-bad`.
    pub block: String,
    /// Who looked at it.
    pub reviewer: String,
    /// Why it is let through.
    pub reason: String,
    /// The last day on which it is.
    pub expires: Day,
}

/// What is wrong with a policy.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum PolicyError {
    /// Not TOML of this form.
    #[error("{0}")]
    Unreadable(String),
    /// A gate that asks for nothing.
    #[error("`profiles` is empty: name at least one of `core`, `local`, `krako`")]
    NoProfile,
    /// Not one of the profiles.
    #[error(transparent)]
    UnknownProfile(#[from] crate::registry::UnknownProfile),
    /// Not a share or a factor.
    #[error("`guards.{member}` is {value}: it has to be a number from {least}{most}")]
    OutOfRange {
        /// Which guard.
        member: &'static str,
        /// What it says.
        value: String,
        /// The least that makes sense.
        least: u8,
        /// The most that does, in words.
        most: &'static str,
    },
    /// A member of an override that says nothing.
    #[error("override of `{block}`: `{member}` is blank")]
    Blank {
        /// Of which override.
        block: String,
        /// Which member.
        member: &'static str,
    },
    /// An override of more than one thing.
    #[error("override of `{0}`: wildcards are refused, name one block")]
    Wildcard(String),
    /// Two overrides of one thing.
    #[error("override of `{0}`: there are two")]
    Twice(String),
    /// An override of the policy by itself.
    #[error("override of `{0}`: what concerns overrides cannot be lifted by one")]
    Circular(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    profiles: Vec<String>,
    #[serde(default)]
    known_failures: KnownFailures,
    #[serde(default)]
    guards: Guards,
    #[serde(default, rename = "override")]
    overrides: Vec<Override>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct KnownFailures {
    at_most: usize,
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    ///
    /// Everything that makes it unfit to decide by.
    pub fn parse(text: &str) -> Result<Self, Vec<PolicyError>> {
        let file: File =
            toml::from_str(text).map_err(|error| vec![PolicyError::Unreadable(error.to_string())])?;
        let mut errors = Vec::new();
        let mut profiles = Vec::new();
        for word in &file.profiles {
            match word.parse() {
                Ok(profile) => profiles.push(profile),
                Err(unknown) => errors.push(PolicyError::UnknownProfile(unknown)),
            }
        }
        if file.profiles.is_empty() {
            errors.push(PolicyError::NoProfile);
        }
        errors.extend(file.guards.errors());
        let mut lifted = BTreeSet::new();
        for entry in &file.overrides {
            errors.extend(entry.errors());
            if !lifted.insert(&entry.block) {
                errors.push(PolicyError::Twice(entry.block.clone()));
            }
        }
        if errors.is_empty() {
            let known_failures = file.known_failures.at_most;
            Ok(Self { profiles, known_failures, guards: file.guards, overrides: file.overrides })
        } else {
            Err(errors)
        }
    }
}

impl Guards {
    fn errors(&self) -> Vec<PolicyError> {
        let growth = self.growth.unwrap_or_default();
        let members = [
            ("max_retry_amplification", self.max_retry_amplification, 1, None),
            ("min_deterministic_share", self.min_deterministic_share, 0, Some(1.0)),
            ("growth.model_invocations", growth.model_invocations, 0, None),
            ("growth.retry_amplification", growth.retry_amplification, 0, None),
            ("growth.deterministic_share", growth.deterministic_share, 0, Some(1.0)),
        ];
        let out_of_range = members.into_iter().filter_map(
            |(member, value, least, most): (_, Option<f64>, u8, Option<f64>)| {
                let value = value?;
                let fits =
                    value.is_finite() && value >= f64::from(least) && most.is_none_or(|most| value <= most);
                let most = if most.is_some() { " to 1" } else { " on" };
                (!fits).then(|| PolicyError::OutOfRange { member, value: value.to_string(), least, most })
            },
        );
        out_of_range.collect()
    }
}

impl Override {
    fn errors(&self) -> Vec<PolicyError> {
        let block = || self.block.clone();
        let mut errors = Vec::new();
        let members = [("block", &self.block), ("reviewer", &self.reviewer), ("reason", &self.reason)];
        for (member, text) in members {
            if text.trim().is_empty() {
                errors.push(PolicyError::Blank { block: block(), member });
            }
        }
        if self.block.contains(['*', '?', '[', ']', '{', '}']) {
            errors.push(PolicyError::Wildcard(block()));
        }
        if self.block.starts_with("override.") {
            errors.push(PolicyError::Circular(block()));
        }
        errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
        profiles = ["core", "local"]
        known_failures.at_most = 2

        [guards]
        max_model_invocations = 900
        max_retry_amplification = 1.5
        min_deterministic_share = 0.4
        case."C7.3-always-bad" = 4
        growth = { model_invocations = 0.05 }

        [[override]]
        block = "case.C7.3-always-bad"
        reviewer = "R. Viewer"
        reason = "the fix needs a release"
        expires = 2026-12-31
    "#;

    #[track_caller]
    fn refused(text: &str, expected: &[&str]) {
        let errors: Vec<String> = Policy::parse(text).unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(errors.len(), expected.len(), "{errors:#?}");
        for (error, expected) in errors.iter().zip(expected) {
            assert!(error.contains(expected), "{error:?} does not say {expected:?}");
        }
    }

    #[test]
    fn a_policy_is_read_whole() {
        let policy = Policy::parse(WHOLE).unwrap();
        assert_eq!(policy.profiles, [Profile::Core, Profile::Local]);
        assert_eq!((policy.known_failures, policy.guards.case["C7.3-always-bad"]), (2, 4));
        assert_eq!(policy.guards.growth.unwrap().model_invocations, Some(0.05));
        assert_eq!(policy.overrides[0].expires.to_string(), "2026-12-31");
    }

    #[test]
    fn a_policy_that_means_nothing_is_refused() {
        refused("", &["missing field `profiles`"]);
        refused("profiles = []", &["`profiles` is empty"]);
        refused("profiles = [\"remote\"]", &["`remote` is no profile"]);
        refused("profiles = [\"core\"]\nguard = {}", &["unknown field `guard`"]);
        refused(
            "profiles = [\"core\"]\nguards = { max_retry_amplification = 0.5, min_deterministic_share = 40.0 }",
            &["`guards.max_retry_amplification` is 0.5: it has to be a number from 1 on", "from 0 to 1"],
        );
        refused(
            "profiles = [\"core\"]\nguards.growth.model_invocations = nan",
            &["growth.model_invocations"],
        );
    }

    #[test]
    fn an_override_names_one_thing_a_reviewer_and_a_reason() {
        refused(&WHOLE.replace("case.C7.3-always-bad", "case.C7.*"), &["wildcards are refused"]);
        refused(&WHOLE.replace("R. Viewer", ""), &["`reviewer` is blank"]);
        refused(&WHOLE.replace("expires = 2026-12-31", ""), &["missing field `expires`"]);
        refused(&WHOLE.replace("block = \"case", "block = \"override.case"), &["cannot be lifted by one"]);
        let again = &WHOLE[WHOLE.find("[[override]]").unwrap()..];
        refused(&format!("{WHOLE}{again}"), &["there are two"]);
    }
}
