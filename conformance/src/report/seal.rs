//! The digest of a report: what was written is what was found.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Report;
use crate::registry::{Registry, hex};
use crate::report::tally;

impl Report {
    /// Fills in what follows from the cases (`counts`, `clauses`, `conformance`), takes out what has the shape of a
    /// secret, and seals the report.
    pub fn conclude(&mut self, registry: &Registry) {
        self.redact();
        self.counts = tally::counts(&self.cases);
        self.clauses = tally::clauses(registry, &self.cases);
        self.conformance = tally::conformance(&self.cases, &self.measures, self.only.as_deref());
        self.seal();
    }

    /// Writes the digest of everything but `provenance` and the digest itself.
    ///
    /// It shows what was damaged or edited in passing. It is no signature: whoever rewrites a report can seal it
    /// again, so a report that somebody else made is as good as the chance to repeat it from its seed.
    pub fn seal(&mut self) {
        self.digest = digest_of(serde_json::to_value(&*self).unwrap_or_default());
    }
}

/// The digest that a report, as JSON, should have.
pub(crate) fn digest_of(mut report: Value) -> String {
    if let Some(members) = report.as_object_mut() {
        members.retain(|name, _| name != "provenance" && name != "digest");
    }
    let mut canonical = Vec::new();
    kora_ir::write_canonical(&report, &mut canonical);
    format!("sha256:{}", hex(&Sha256::digest(&canonical)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn equal_runs_have_one_digest_whenever_they_ran() {
        let (mut one, mut other) = (sample::report(), sample::report());
        other.provenance.duration_ms += 1;
        other.digest = String::from("sha256:00");
        one.seal();
        other.seal();
        assert_eq!(one.digest, other.digest);
        assert!(one.digest.len() == 7 + 64, "{}", one.digest);
        other.seed += 1;
        other.seal();
        assert_ne!(one.digest, other.digest);
    }

    #[test]
    fn what_was_written_has_the_digest_of_what_was_found() {
        let mut report = sample::report();
        report.seal();
        let read: Value = serde_json::from_str(&serde_json::to_string_pretty(&report).unwrap()).unwrap();
        assert_eq!(digest_of(read), report.digest);
    }
}
