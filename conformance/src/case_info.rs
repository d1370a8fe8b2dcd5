//! What reports and explanations have to know of a case: less than it takes to run it.

use std::collections::BTreeMap;

use crate::case::Case;

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
        /// The graphs beside it, by file name, as they are written.
        graphs: BTreeMap<String, String>,
    },
    /// By code: over the runs of all other cases, or over drawn graphs. Told in a sentence.
    Law(String),
}
