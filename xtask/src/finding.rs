//! One thing that is wrong: where, what, and how to mend it.

use std::collections::BTreeSet;
use std::fmt;

/// One violation. Ordered by place, so that a report reads the same on every machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// A path relative to the workspace, or the name of a crate.
    place: String,
    /// Counts from one; absent where a line would mean nothing.
    line: Option<usize>,
    message: String,
}

impl Finding {
    pub(crate) fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), line: None, message: message.into() }
    }

    pub(crate) fn at(place: impl Into<String>, line: usize, message: impl Into<String>) -> Self {
        Self { place: place.into(), line: Some(line), message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.place, self.message),
            None => write!(f, "{}: {}", self.place, self.message),
        }
    }
}

/// Prints every finding, once and in order.
///
/// # Errors
///
/// Returns an error that counts them if there is at least one.
pub(crate) fn report(check: &str, findings: Vec<Finding>) -> anyhow::Result<()> {
    let findings: BTreeSet<Finding> = findings.into_iter().collect();
    for finding in &findings {
        eprintln!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        1 => anyhow::bail!("{check}: 1 finding, see above"),
        n => anyhow::bail!("{check}: {n} findings, see above"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_like_a_compiler_message() {
        assert_eq!(Finding::at("a.rs", 3, "is wrong").to_string(), "a.rs:3: is wrong");
        assert_eq!(Finding::new("a.rs", "is wrong").to_string(), "a.rs: is wrong");
    }

    #[test]
    fn no_findings_is_success_and_any_is_not() {
        assert!(report("check", Vec::new()).is_ok());
        let twice = vec![Finding::new("a", "b"), Finding::new("a", "b")];
        assert_eq!(report("check", twice).unwrap_err().to_string(), "check: 1 finding, see above");
    }
}
