//! What can be wrong with a report.

use thiserror::Error;

use crate::report::{REPORT_SCHEMA_VERSION, plain};
use crate::verdict::Conformance;

/// One thing that is wrong with a report.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// Longer than any report.
    #[error("has {bytes} bytes; a report has at most {most}")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The longest.
        most: usize,
    },
    /// Not JSON, or cut short.
    #[error("is no JSON of a report: {}", short(.0))]
    NotJson(String),
    /// Another format.
    #[error("is of schema version {}; this suite reads {REPORT_SCHEMA_VERSION}", short(.0))]
    OtherSchema(String),
    /// Not as the schema wants it.
    #[error("{}: {}", if .at.is_empty() { "the report" } else { .at.as_str() }, .message)]
    Schema {
        /// Where: a JSON pointer.
        at: String,
        /// What is wrong there.
        message: String,
    },
    /// The digest is another.
    #[error("has been edited or damaged: its digest is {is}, and it says {}", short(.says))]
    Edited {
        /// The digest that it holds.
        says: String,
        /// The digest that it has.
        is: String,
    },
    /// Another suite made it.
    #[error("was made by a suite of another {what}: {}, and this one is {ours}. Verify it with the suite that made it", short(.theirs))]
    OtherSuite {
        /// What differs.
        what: &'static str,
        /// As the report says.
        theirs: String,
        /// As this suite is.
        ours: String,
    },
    /// Not every case is there.
    #[error("case `{0}` is missing: a report holds every case")]
    CaseMissing(String),
    /// A case that the suite has not.
    #[error("case `{}` is none of this suite", short(.0))]
    CaseUnknown(String),
    /// Twice, or in another order.
    #[error("the cases are not each once and in the suite's order")]
    CasesNotASet,
    /// Not what the suite says of it.
    #[error("`{what}` of case `{}` is not as the suite has it", short(.case))]
    CaseAltered {
        /// The case.
        case: String,
        /// Which member.
        what: &'static str,
    },
    /// Run, and not measured.
    #[error("case `{0}` was run, and its costs are left out of `measures`")]
    Unmeasured(String),
    /// Not those of the registry.
    #[error("the clauses are not those of the registry, each in its words")]
    ClausesAltered,
    /// Does not follow from its cases.
    #[error("clause `{}` does not have the verdict or the cases that follow from the cases", short(.0))]
    ClauseMiscounted(String),
    /// Does not follow from the cases.
    #[error("{is} cases are `{verdict}`, and the report counts {}", .says.map_or_else(|| String::from("none"), |says| says.to_string()))]
    Miscounted {
        /// The verdict.
        verdict: String,
        /// What the report counts.
        says: Option<u32>,
        /// What there is.
        is: u32,
    },
    /// Does not follow from the cases.
    #[error("says {}, and its cases say {}", .says.as_str(), .is.as_str())]
    WrongConformance {
        /// What the report says.
        says: Conformance,
        /// What its cases say.
        is: Conformance,
    },
    /// A case that contradicts itself.
    #[error("case `{}`: {what}", short(.case))]
    Inconsistent {
        /// The case.
        case: String,
        /// What contradicts what.
        what: &'static str,
    },
}

fn short(text: &str) -> String {
    plain::line(text, plain::NAME)
}
