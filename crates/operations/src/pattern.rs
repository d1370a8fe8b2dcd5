//! Regular expressions that cost no more than was charged for them.

use regex::{Regex, RegexBuilder};

use crate::registry::excerpt;
use crate::{Limit, Meter, OperationError, OperationLimits};

/// The smallest size that a compiled pattern is tried with.
const SMALLEST: u64 = 4 << 10;

/// A regular expression on an engine whose time is linear in the text.
///
/// Linear time still has a factor, the size of the compiled pattern, so what a search is charged grows with both.
#[derive(Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    /// A bound on the compiled size: a power of two times [`SMALLEST`], or the limit.
    kibibytes: u64,
}

/// What is left of the compiled size that all patterns of a task may have together.
pub(crate) struct PatternBudget {
    bytes: u64,
    limits: OperationLimits,
}

impl PatternBudget {
    pub(crate) fn new(limits: &OperationLimits) -> Self {
        Self { bytes: limits.max_regex_bytes, limits: limits.clone() }
    }
}

impl Pattern {
    /// Compiles `source`, which stands at `place` in the arguments.
    pub(crate) fn parse(
        source: &str,
        ignore_case: bool,
        place: impl Fn() -> String,
        budget: &mut PatternBudget,
    ) -> Result<Self, OperationError> {
        if source.len() as u64 > budget.limits.max_expression_bytes {
            let limit = budget.limits.max_expression_bytes;
            return Err(OperationError::limit(Limit::ExpressionBytes, limit).at(place()));
        }
        let mut size = SMALLEST.min(budget.bytes);
        loop {
            let compiled = RegexBuilder::new(source)
                .case_insensitive(ignore_case)
                .size_limit(usize::try_from(size).unwrap_or(usize::MAX))
                .dfa_size_limit(1 << 20)
                .nest_limit(64)
                .build();
            match compiled {
                Ok(regex) => {
                    budget.bytes -= size;
                    return Ok(Self { regex, kibibytes: size.div_ceil(1 << 10) });
                }
                Err(regex::Error::CompiledTooBig(_)) if size < budget.bytes => {
                    size = (size * 2).min(budget.bytes)
                }
                Err(regex::Error::CompiledTooBig(_)) => {
                    let limit = budget.limits.max_regex_bytes;
                    return Err(OperationError::limit(Limit::RegexBytes, limit).at(place()));
                }
                Err(error) => {
                    let text = error.to_string();
                    let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
                    return Err(OperationError::invalid_args(
                        place(),
                        format!("`{}` is not a regular expression: {reason}", excerpt(source)),
                    )
                    .mend("look-around and back-references do not exist here, for they have no linear-time engine"));
                }
            }
        }
    }

    /// The expression, once a search through `text` is charged.
    pub(crate) fn over(&self, text: &str, meter: &mut Meter) -> Result<&Regex, OperationError> {
        meter.steps(self.cost(text.len()))?;
        Ok(&self.regex)
    }

    /// The expression as such: for its groups, not for a search.
    pub(crate) fn regex(&self) -> &Regex {
        &self.regex
    }

    /// The steps of one search through `bytes` of text: in the worst case some 0.4 µs each, which is why a whole
    /// budget of the default size is spent in seconds. A search cannot be stopped half-way.
    pub(crate) fn cost(&self, bytes: usize) -> u64 {
        1 + (bytes as u64).saturating_mul(self.kibibytes) / 4
    }
}
