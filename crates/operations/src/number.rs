//! JSON numbers by their value, however they are written.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// The largest whole number that every JSON implementation keeps exactly: 2^53 − 1.
pub(crate) const MAX_SAFE: i64 = (1 << 53) - 1;

/// A JSON number by its value: a whole number of magnitude up to 2^53 − 1, or any other finite number.
///
/// `1` and `1.0` are the same number here, because they have the same canonical form and so the same digest (I1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Num {
    Whole(i64),
    Real(f64),
}

impl Num {
    pub(crate) fn of(number: &Number) -> Self {
        match number.as_i64() {
            Some(whole) if whole.unsigned_abs() <= MAX_SAFE.unsigned_abs() => Self::Whole(whole),
            // Finite, because JSON has nothing else.
            Some(_) | None => Self::of_f64(number.as_f64().unwrap_or(0.0)),
        }
    }

    pub(crate) fn of_f64(real: f64) -> Self {
        if real.fract() == 0.0 && real.abs() <= MAX_SAFE as f64 {
            Self::Whole(real as i64)
        } else {
            Self::Real(real)
        }
    }

    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Real(real) => real,
        }
    }

    pub(crate) fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => a.cmp(&b),
            // Whole numbers in the safe range are exact as doubles, and -0.0 is whole.
            (a, b) => a.as_f64().total_cmp(&b.as_f64()),
        }
    }

    /// The number in JSON, or nothing if JSON cannot keep it exactly: a magnitude beyond 2^53 − 1, or no number.
    pub(crate) fn into_value(self) -> Option<Value> {
        match self {
            Self::Whole(whole) if whole.unsigned_abs() <= MAX_SAFE.unsigned_abs() => Some(Value::from(whole)),
            Self::Whole(_) => None,
            Self::Real(real) if real.abs() <= MAX_SAFE as f64 => match Self::of_f64(real) {
                Self::Whole(whole) => Some(Value::from(whole)),
                Self::Real(real) => Number::from_f64(real).map(Value::Number),
            },
            Self::Real(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn num(text: &str) -> Num {
        Num::of(serde_json::from_str::<Value>(text).unwrap().as_number().unwrap())
    }

    #[test]
    fn a_whole_number_is_whole_however_it_is_written() {
        for text in ["1", "1.0", "1e0", "10e-1"] {
            assert_eq!(num(text), Num::Whole(1));
        }
        assert_eq!(num("-0.0"), Num::Whole(0));
        assert_eq!(num("0.5"), Num::Real(0.5));
    }

    #[test]
    fn what_json_cannot_keep_exactly_is_not_written() {
        assert_eq!(num("9007199254740991").into_value(), Some(Value::from(MAX_SAFE)));
        for beyond in ["9007199254740992", "-9007199254740992", "18446744073709551615", "1e300"] {
            assert_eq!(num(beyond).into_value(), None, "{beyond}");
        }
        assert_eq!(Num::Real(f64::NAN).into_value(), None);
        assert_eq!(Num::Real(f64::INFINITY).into_value(), None);
        assert_eq!(Num::Real(2.0).into_value(), Some(Value::from(2)));
    }

    #[test]
    fn numbers_are_compared_by_value() {
        assert_eq!(num("1").compare(num("1.5")), Ordering::Less);
        assert_eq!(num("2.5").compare(num("2")), Ordering::Greater);
        assert_eq!(num("1e300").compare(num("9007199254740991")), Ordering::Greater);
    }
}
