//! What reports and explanations have to know of a case: less than it takes to run it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::case::Case;
use crate::generate::FAMILIES;
use crate::suite::Suite;
use crate::{judge, run};

/// A case as somebody who reads a report needs it.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "whoever holds the cases fills all of it")]
pub struct CaseInfo {
    /// `C7.3-slug`.
    pub id: String,
    /// What holds if it passes.
    pub title: String,
    /// The clauses that it observes, the most specific first.
    pub clauses: Vec<String>,
    /// What to look at first in a backend that fails it.
    pub likely_cause: String,
    /// Whether it is in the frozen set of the contract's version: others run and do not count.
    pub frozen: bool,
    /// How it is judged.
    pub body: CaseBody,
}

/// How a case is judged.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a case is data or code")]
pub enum CaseBody {
    /// By data.
    Data {
        /// `case.json`.
        case: Box<Case>,
        /// The graphs beside it, by file name.
        graphs: BTreeMap<String, Value>,
    },
    /// By code, on graphs that the seed draws.
    Generated,
    /// By code, over the runs of all other cases.
    Law,
}

impl CaseInfo {
    /// Every case of `suite`, every generated one and every law, as reports list them.
    pub fn all(suite: &Suite) -> Vec<Self> {
        let data = suite.cases().map(|folder| Self {
            id: folder.id.clone(),
            title: folder.case.title.clone(),
            clauses: folder.case.clauses.clone(),
            likely_cause: folder.case.likely_cause.clone(),
            frozen: folder.scored,
            body: CaseBody::Data { case: Box::new(folder.case.clone()), graphs: folder.graphs.clone() },
        });
        let drawn = FAMILIES.iter().map(|family| Self {
            id: family.id.to_owned(),
            title: family.title.to_owned(),
            clauses: family.clauses.iter().map(|clause| (*clause).to_owned()).collect(),
            likely_cause: family.likely_cause.to_owned(),
            frozen: true,
            body: CaseBody::Generated,
        });
        let laws = judge::laws().map(|law| Self {
            id: law.id.to_owned(),
            title: law.title.to_owned(),
            clauses: law.clauses.iter().map(|clause| (*clause).to_owned()).collect(),
            likely_cause: law.likely_cause.to_owned(),
            frozen: true,
            body: CaseBody::Law,
        });
        let mut all: Vec<Self> = data.chain(drawn).chain(laws).collect();
        all.sort_by(|one, other| run::by_clause(&one.id).cmp(&run::by_clause(&other.id)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Registry, disagreements};

    #[test]
    fn the_registry_and_the_cases_agree() {
        let cases: Vec<(String, Vec<String>)> = CaseInfo::all(&Suite::embedded().unwrap())
            .into_iter()
            .map(|case| (case.id, case.clauses))
            .collect();
        let found: Vec<String> =
            disagreements(Registry::load(), &cases).iter().map(ToString::to_string).collect();
        assert_eq!(found, [""; 0]);
    }
}
