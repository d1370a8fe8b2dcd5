//! One total order of JSON values, and the equality that goes with it.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use crate::number::Num;
use crate::{Meter, OperationError};

/// Compares two values: null < false < true < numbers by value < strings by Unicode scalar values < arrays item by
/// item < objects by their sorted members. Equal means equal in canonical form.
pub(crate) fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => Num::of(a).compare(Num::of(b)),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => a
            .iter()
            .zip(b)
            .map(|(a, b)| compare(a, b))
            .find(|ordering| ordering.is_ne())
            .unwrap_or_else(|| a.len().cmp(&b.len())),
        (Value::Object(a), Value::Object(b)) => {
            let (a, b) = (sorted(a), sorted(b));
            a.iter()
                .zip(&b)
                .map(|((a_key, a), (b_key, b))| a_key.cmp(b_key).then_with(|| compare(a, b)))
                .find(|ordering| ordering.is_ne())
                .unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        (a, b) => rank(a).cmp(&rank(b)),
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(false) => 1,
        Value::Bool(true) => 2,
        Value::Number(_) => 3,
        Value::String(_) => 4,
        Value::Array(_) => 5,
        Value::Object(_) => 6,
    }
}

/// The members of an object in the order of their keys.
pub(crate) fn sorted(members: &Map<String, Value>) -> Vec<(&str, &Value)> {
    let mut sorted: Vec<(&str, &Value)> =
        members.iter().map(|(key, member)| (key.as_str(), member)).collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    sorted
}

/// Sorts `items` stably by `key` in the order above.
///
/// What the sort can cost at most is charged before it begins: each key takes part in some log₂ n comparisons.
pub(crate) fn sort_by<'v, T>(
    items: &mut [T],
    key: impl Fn(&T) -> &'v Value,
    descending: bool,
    meter: &mut Meter,
) -> Result<(), OperationError> {
    let rounds = 1 + u64::from(items.len().max(1).ilog2());
    for item in &*items {
        meter.steps(rounds.saturating_mul(weight(key(item))))?;
    }
    items.sort_by(|a, b| {
        let ordering = compare(key(a), key(b));
        if descending { ordering.reverse() } else { ordering }
    });
    Ok(())
}

/// The steps of one comparison of `value` with another.
fn weight(value: &Value) -> u64 {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
        Value::String(text) => 1 + text.len() as u64 / 64,
        Value::Array(items) => 1 + items.iter().map(weight).sum::<u64>(),
        Value::Object(members) => {
            1 + members.iter().map(|(key, member)| 3 + key.len() as u64 / 64 + weight(member)).sum::<u64>()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OperationLimits;
    use serde_json::json;

    fn order(a: &Value, b: &Value) -> Ordering {
        compare(a, b)
    }

    #[test]
    fn the_order_is_total() {
        let ascending = [
            json!(null),
            json!(false),
            json!(true),
            json!(-1),
            json!(0.5),
            json!(1),
            json!(""),
            json!("a"),
            json!("b"),
            json!([]),
            json!([1]),
            json!([1, 2]),
            json!([2]),
            json!({}),
            json!({"a": 1}),
            json!({"a": 1, "b": 0}),
            json!({"a": 2}),
            json!({"b": 0}),
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(order(a, b), i.cmp(&j), "{a} {b}");
            }
        }
    }

    #[test]
    fn neither_the_order_of_members_nor_the_spelling_of_numbers_matters() {
        assert_eq!(order(&json!({"a": 1, "b": [1.0]}), &json!({"b": [1], "a": 1.0})), Ordering::Equal);
    }

    #[test]
    fn a_sort_gives_up_when_the_meter_does() {
        let mut meter = Meter::new(&OperationLimits { max_steps: 10, ..OperationLimits::default() });
        let values: Vec<Value> = (0..100).rev().map(Value::from).collect();
        let mut items: Vec<&Value> = values.iter().collect();
        sort_by(&mut items, |item| item, false, &mut meter).unwrap_err();
    }
}
