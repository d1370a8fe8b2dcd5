//! Numbers: bounds that can be spelled, multiples that can be counted.

use serde_json::{Map, Value, json};

use super::{Effort, Widening};
use crate::GrammarError;

/// The greatest integer that the gate admits, in either direction.
pub(crate) const MAX_EXACT: f64 = 9_007_199_254_740_991.0;
/// The engine counts by remainders, one state for each: more take too long for one token.
const MAX_COEFFICIENT: u64 = 500;
/// Trials that are left to patterns.
const KEPT_TRIALS: usize = 150;
/// Powers of ten, and what is counted by looking at the last digits, are cheap.
const MAX_ROUND: u64 = 10_000;

const LOWER: [&str; 2] = ["minimum", "exclusiveMinimum"];
const UPPER: [&str; 2] = ["maximum", "exclusiveMaximum"];

impl Widening<'_> {
    pub(super) fn number(
        &mut self,
        from: &Map<String, Value>,
        pointer: &str,
        integer: bool,
        to: &mut Map<String, Value>,
    ) {
        for (keywords, sign) in [(LOWER, -1.0), (UPPER, 1.0)] {
            for keyword in keywords {
                let Some(bound) = from.get(keyword).and_then(Value::as_f64) else { continue };
                if bound.abs() <= MAX_EXACT {
                    to.insert(keyword.to_owned(), json!(plain(bound)));
                } else if integer && bound * sign < 0.0 {
                    // No integer that the gate admits lies there.
                    to.insert(keyword.to_owned(), json!(MAX_EXACT * -sign));
                    to.insert(String::from("minimum"), json!(1));
                    to.insert(String::from("maximum"), json!(0));
                    return;
                } else if !integer {
                    self.not_held(pointer, keyword, "keep bounds within ±(2^53 - 1)");
                }
            }
        }
        if integer {
            // What the gate never admits need not be tried; and so an integer always ends.
            if !LOWER.iter().any(|keyword| to.contains_key(*keyword)) {
                to.insert(String::from("minimum"), json!(-9_007_199_254_740_991_i64));
            }
            if !UPPER.iter().any(|keyword| to.contains_key(*keyword)) {
                to.insert(String::from("maximum"), json!(9_007_199_254_740_991_i64));
            }
        }
        if let Some(value) = from.get("multipleOf").and_then(Value::as_f64) {
            match Multiple::of(value) {
                Some(multiple) if self.effort == Effort::Whole && self.counts_with_others(multiple) => {
                    to.insert(String::from("multipleOf"), json!(plain(value)));
                }
                Some(_) | None => {
                    self.not_held(pointer, "multipleOf", "use one multiple with few digits, such as 0.01")
                }
            }
        }
    }

    /// The range of all integers is long to write out: it is written once, and referred to.
    pub(super) fn shared(&mut self, range: &mut Map<String, Value>) -> Value {
        let schema = Value::Object(std::mem::take(range));
        let text = schema.to_string();
        if !self.ranges.contains_key(&text) {
            if self.trials < KEPT_TRIALS {
                return schema;
            }
            // What is referred to must be possible.
            let impossible = matches!(self.refused_alone(&schema), Some(GrammarError::Unsatisfiable(_)));
            let name = format!("i{}", self.ranges.len());
            self.ranges.insert(text.clone(), (name, if impossible { json!(false) } else { schema }));
        }
        let Some(known) = self.ranges.get(&text) else { return json!({}) };
        if known.1 == json!(false) { json!(false) } else { json!({"$ref": format!("#/$defs/{}", known.0)}) }
    }

    /// Whether this multiple and all others can be asked for at once: the engine multiplies them.
    fn counts_with_others(&mut self, new: Multiple) -> bool {
        if self.multiples.contains(&new) {
            return true;
        }
        let mut all = self.multiples.clone();
        all.push(new);
        let finest = all.iter().map(|multiple| multiple.exponent).max().unwrap_or_default();
        let product = all.iter().try_fold(1_u64, |product, multiple| {
            let scaled = multiple.coefficient.checked_mul(10_u64.checked_pow(finest - multiple.exponent)?)?;
            product.checked_mul(scaled).filter(|&product| product <= MAX_COEFFICIENT)
        });
        let counts = all.len() == 1 || !self.places.describes_together() || product.is_some();
        if counts {
            self.multiples = all;
        }
        counts
    }
}

/// `coefficient / 10^exponent`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Multiple {
    coefficient: u64,
    exponent: u32,
}

impl Multiple {
    /// As the engine reads it, unless it reads it as something else than what is written.
    fn of(value: f64) -> Option<Self> {
        let written = format!("{value}");
        let (whole, fraction) = written.split_once('.').unwrap_or((&written, ""));
        let exponent = u32::try_from(fraction.len()).ok().filter(|&exponent| exponent <= 9)?;
        let coefficient: u64 = format!("{whole}{fraction}").parse().ok()?;
        let mut read = value;
        let mut steps = 0;
        while read.fract() != 0.0 && steps <= exponent {
            read *= 10.0;
            steps += 1;
        }
        let same = steps == exponent && format!("{read}") == coefficient.to_string();
        let round = coefficient <= MAX_ROUND && coefficient.to_string().trim_end_matches('0').len() == 1;
        let countable = round || (1..=MAX_COEFFICIENT).contains(&coefficient);
        (same && countable).then_some(Self { coefficient, exponent })
    }
}

/// A number without a fraction is written without one.
fn plain(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() <= MAX_EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "it has no fraction and is within 2^53")]
        let whole = value as i64;
        json!(whole)
    } else {
        json!(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_multiple_is_what_is_written() {
        assert_eq!(Multiple::of(0.01), Some(Multiple { coefficient: 1, exponent: 2 }));
        assert_eq!(Multiple::of(2.5), Some(Multiple { coefficient: 25, exponent: 1 }));
        assert_eq!(Multiple::of(60.0), Some(Multiple { coefficient: 60, exponent: 0 }));
        for unreadable in [1e-20, 1e300, 0.1 + 0.2, 12_345_678.9] {
            assert_eq!(Multiple::of(unreadable), None, "{unreadable}");
        }
    }
}
