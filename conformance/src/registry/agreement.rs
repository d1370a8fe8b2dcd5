//! Whether the registry, the list of clauses, the contract and the cases speak of the same things.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use super::{Registry, contract_digest, section_of};

/// The list that the whole project cites from.
const LIST: &str = include_str!("../../../docs/clauses.md");

/// Two of them that do not agree.
#[derive(Clone, Debug, Eq, Error, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Disagreement {
    /// The text of the contract is not the one that the clauses were read from.
    #[error(
        "the contract's text has changed: read it again, mend the clauses, then pin {found} (was {pinned})"
    )]
    ContractChanged {
        /// As the registry says.
        pinned: String,
        /// As the text is.
        found: String,
    },
    /// docs/clauses.md lists it and the registry does not.
    #[error(
        "clause `{0}` of docs/clauses.md is not in the registry: classify it in conformance/clauses.json"
    )]
    NotInRegistry(String),
    /// The registry has it and docs/clauses.md does not.
    #[error("clause `{0}` of the registry is not in docs/clauses.md")]
    NotInList(String),
    /// Cases can see it and none does.
    #[error("no case observes clause `{0}`: write one, or say in conformance/clauses.json why none can")]
    Unobserved(String),
    /// A case cites what nobody knows.
    #[error("case `{case}` cites `{clause}`, which is no clause")]
    UnknownClause {
        /// The case.
        case: String,
        /// What it cites.
        clause: String,
    },
    /// A case claims to see what the registry says cannot be seen.
    #[error(
        "case `{case}` cites `{clause}`, of which the registry says that no case can see it: one is wrong"
    )]
    SeenThough {
        /// The case.
        case: String,
        /// What it cites.
        clause: String,
    },
    /// A case that says of no clause whether it holds.
    #[error("case `{0}` cites no clause")]
    CitesNothing(String),
    /// A case whose id does not begin with its first clause.
    #[error("case `{case}` has to begin with its first clause, `{clause}-`")]
    Misnamed {
        /// The case.
        case: String,
        /// Its first clause.
        clause: String,
    },
    /// An id twice.
    #[error("case `{0}` is there twice")]
    Twice(String),
}

/// Everything in which the registry, docs/clauses.md, the contract's text and `cases` (id and clauses) disagree.
pub fn disagreements(registry: &Registry, cases: &[(String, Vec<String>)]) -> Vec<Disagreement> {
    compare(registry, &contract_digest(), LIST, cases)
}

fn compare(
    registry: &Registry,
    contract: &str,
    list: &str,
    cases: &[(String, Vec<String>)],
) -> Vec<Disagreement> {
    let mut found = Vec::new();
    if registry.contract().digest != contract {
        found.push(Disagreement::ContractChanged {
            pinned: registry.contract().digest.clone(),
            found: contract.to_owned(),
        });
    }
    let listed: BTreeSet<&str> = listed(list).collect();
    let known: BTreeMap<&str, bool> =
        registry.clauses().iter().map(|clause| (clause.id.as_str(), clause.is_observed())).collect();
    let missing = listed.iter().filter(|id| !known.contains_key(**id));
    found.extend(missing.map(|id| Disagreement::NotInRegistry((*id).to_owned())));
    let unlisted = known.keys().filter(|id| !listed.contains(**id));
    found.extend(unlisted.map(|id| Disagreement::NotInList((*id).to_owned())));

    let mut observed = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for (case, clauses) in cases {
        if !ids.insert(case.as_str()) {
            found.push(Disagreement::Twice(case.clone()));
        }
        match clauses.first() {
            None => found.push(Disagreement::CitesNothing(case.clone())),
            Some(first) if !case.starts_with(&format!("{first}-")) => {
                found.push(Disagreement::Misnamed { case: case.clone(), clause: first.clone() });
            }
            Some(_) => {}
        }
        for clause in clauses {
            observed.insert(clause.as_str());
            let (case, clause_id) = (case.clone(), clause.clone());
            match known.get(clause.as_str()) {
                None => found.push(Disagreement::UnknownClause { case, clause: clause_id }),
                Some(false) => found.push(Disagreement::SeenThough { case, clause: clause_id }),
                Some(true) => {}
            }
        }
    }
    let blind = known.iter().filter(|(id, can_be_seen)| **can_be_seen && !observed.contains(**id));
    found.extend(blind.map(|(id, _)| Disagreement::Unobserved((*id).to_owned())));
    found
}

/// The ids that the list defines: `**C7.3**`.
fn listed(list: &str) -> impl Iterator<Item = &str> {
    list.split("**").skip(1).step_by(2).filter(|bold| section_of(bold).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:00";

    fn registry() -> Registry {
        Registry::parse(
            r#"{"contract":{"version":"1.0","digest":"sha256:00"},"clauses":[
            {"id":"C1.1","level":"must","observed":"by_the_caller","text":"x","reason":"y"},
            {"id":"C7.3","level":"must","observed":"cases","text":"x","how":"y"}]}"#,
        )
        .unwrap()
    }

    #[track_caller]
    fn check(contract: &str, list: &str, cases: &[(&str, &[&str])], expected: &[&str]) {
        let cases: Vec<(String, Vec<String>)> = cases
            .iter()
            .map(|(id, clauses)| ((*id).to_owned(), clauses.iter().map(|id| (*id).to_owned()).collect()))
            .collect();
        let found: Vec<String> =
            compare(&registry(), contract, list, &cases).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found:?} does not say {expected:?}");
        }
    }

    const LISTED: &str = "- **C1.1** a. **C7.3** b; **how** c";
    const SEEN: (&str, &[&str]) = ("C7.3-a", &["C7.3"]);

    #[test]
    fn what_agrees_is_left_alone() {
        check(DIGEST, LISTED, &[SEEN], &[]);
    }

    #[test]
    fn each_kind_of_disagreement_is_found() {
        check("sha256:01", LISTED, &[SEEN], &["the contract's text has changed"]);
        check(DIGEST, "**C1.1** **C7.3** **C7.4**", &[SEEN], &["`C7.4` of docs/clauses.md is not in"]);
        check(DIGEST, "**C7.3**", &[SEEN], &["`C1.1` of the registry is not in"]);
        check(DIGEST, LISTED, &[], &["no case observes clause `C7.3`"]);
        check(DIGEST, LISTED, &[SEEN, SEEN], &["`C7.3-a` is there twice"]);
        check(DIGEST, LISTED, &[SEEN, ("x", &[])], &["`x` cites no clause"]);
        check(DIGEST, LISTED, &[("C7.30-a", &["C7.3"])], &["has to begin with its first clause"]);
        check(DIGEST, LISTED, &[("C7.3-a", &["C7.3", "C9.9"])], &["`C9.9`, which is no clause"]);
        check(DIGEST, LISTED, &[("C7.3-a", &["C7.3", "C1.1"])], &["no case can see it"]);
    }

    #[test]
    fn the_registry_the_list_and_the_contract_agree() {
        let found: Vec<Disagreement> = disagreements(Registry::load(), &[])
            .into_iter()
            .filter(|found| !matches!(found, Disagreement::Unobserved(_)))
            .collect();
        assert_eq!(found, []);
    }
}
