//! Collects violations while a graph is read and checked, and finds their places once all are known.

use crate::locate::{Places, Wanted, locate};
use crate::read::{Broken, Why};
use crate::{InvalidGraph, Limits, Violation, ViolationCode};

/// Where a violation is, as far as its finder knows. The rest is found when the report is closed.
#[derive(Clone, Debug)]
pub(crate) enum At {
    /// The first byte of a value or key.
    Offset(usize),
    /// A JSON pointer.
    Pointer(String),
    /// A JSON pointer below the value that starts here.
    Within(usize, String),
}

#[derive(Clone, Debug)]
struct Found {
    code: ViolationCode,
    at: At,
    message: String,
    help: Option<String>,
    related: Vec<At>,
}

/// The violations so far. Keeps at most as many as will be reported in each phase, and counts the others.
#[derive(Debug)]
pub(crate) struct Report {
    found: Vec<Found>,
    max: usize,
    kept_in_phase: usize,
    omitted: usize,
}

impl Report {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { found: Vec::new(), max: limits.max_violations.max(1), kept_in_phase: 0, omitted: 0 }
    }

    /// Starts another pass over the document: its violations must not be crowded out by those of the last.
    pub(crate) fn next_phase(&mut self) {
        self.kept_in_phase = 0;
    }

    /// All violations so far.
    pub(crate) fn count(&self) -> usize {
        self.found.len() + self.omitted
    }

    /// Whether more violations of this phase are only counted: nothing costly should be done for them.
    pub(crate) fn is_full(&self) -> bool {
        self.kept_in_phase >= self.max
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.found.is_empty()
    }

    /// Adds a violation.
    pub(crate) fn add(
        &mut self,
        code: ViolationCode,
        at: At,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        self.add_related(code, at, message, help, Vec::new());
    }

    /// Adds a violation in which other places take part.
    pub(crate) fn add_related(
        &mut self,
        code: ViolationCode,
        at: At,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
        related: Vec<At>,
    ) {
        if self.kept_in_phase >= self.max {
            self.omitted += 1;
            return;
        }
        self.kept_in_phase += 1;
        self.found.push(Found { code, at, message: message.into(), help: help.into(), related });
    }

    /// Adds what stopped the reader.
    pub(crate) fn add_broken(&mut self, source: &str, broken: Broken) {
        // Not subject to the cap: nobody can mend the rest without knowing that the document ends here.
        let (code, help) = match broken.why {
            Why::TooDeep => (ViolationCode::JsonTooDeep, "flatten the document"),
            Why::TooLong => (ViolationCode::NumberNotExact, "write it as a string"),
            Why::Syntax => match source.as_bytes().get(broken.offset) {
                Some(b'/' | b'#') => (ViolationCode::Syntax, "JSON has no comments"),
                Some(b'\'') => (ViolationCode::Syntax, "JSON strings stand in double quotes"),
                Some(_) | None => (ViolationCode::Syntax, "a graph is one JSON document in UTF-8 (RFC 8259)"),
            },
        };
        self.kept_in_phase = 0;
        self.add(code, At::Offset(broken.offset), broken.message, help.to_owned());
    }

    /// Adds what was found in a document made from this one, where it comes from.
    pub(crate) fn absorb(&mut self, refused: InvalidGraph, back: impl Fn(&str) -> String) {
        self.next_phase();
        self.omitted += refused.omitted;
        for violation in refused.violations {
            let related = violation.related.iter().map(|(pointer, _)| At::Pointer(back(pointer))).collect();
            let at = At::Pointer(back(&violation.pointer));
            self.add_related(violation.code, at, violation.message, violation.help, related);
        }
    }

    /// The report as an error, in the order of the document.
    pub(crate) fn close(self, source: &str) -> InvalidGraph {
        let mut found = self.found;
        settle_within(source, &mut found);
        let places = locate(source, &wanted_by(&found));
        let mut placed: Vec<(usize, Violation)> =
            found.into_iter().map(|found| place(found, &places)).collect();
        placed.sort_by_key(|(offset, _)| *offset);
        let mut violations: Vec<Violation> = placed.into_iter().map(|(_, violation)| violation).collect();
        let omitted = self.omitted + violations.len().saturating_sub(self.max);
        violations.truncate(self.max);
        InvalidGraph { violations, omitted }
    }
}

fn wanted_by(found: &[Found]) -> Wanted {
    let mut wanted = Wanted::default();
    for found in found {
        for at in std::iter::once(&found.at).chain(&found.related) {
            wanted.add(at);
        }
    }
    wanted
}

/// Makes pointers below a value into pointers from the top, now that the value's own pointer can be found.
fn settle_within(source: &str, found: &mut [Found]) {
    if !found.iter().any(|found| matches!(found.at, At::Within(..))) {
        return;
    }
    let places = locate(source, &wanted_by(found));
    for found in found {
        if let At::Within(offset, below) = &found.at {
            let (pointer, _) = places.of(&At::Offset(*offset));
            found.at = At::Pointer(pointer + below);
        }
    }
}

fn place(found: Found, places: &Places) -> (usize, Violation) {
    let (pointer, span) = places.of(&found.at);
    let violation = Violation {
        code: found.code,
        pointer,
        span,
        message: found.message,
        help: found.help,
        related: found.related.iter().map(|at| places.of(at)).collect(),
    };
    (span.map_or(usize::MAX, |span| span.offset), violation)
}
