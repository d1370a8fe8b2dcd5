//! `aggregate`: one number of many.

use serde_json::{Value, json};

use crate::built_in::{BuiltIn, Run, about};
use crate::fields::{Fields, expected_input};
use crate::number::Num;
use crate::selection::Selection;
use crate::{Example, OperationError, OperationLimits};

#[derive(Debug, Clone, Copy)]
enum Function {
    Sum,
    Mean,
    Min,
    Max,
    Count,
}

pub(super) fn operation(limits: &OperationLimits) -> BuiltIn {
    let about = about(
        "aggregate",
        "Reduces numbers to one: their `sum`, `mean`, `min`, `max` or `count`. Whole numbers are added exactly; others in \
         the order of the input with a compensated sum, so every machine gives the same result. Of no numbers the sum \
         and the count are 0; the others are `default`, or else an error.",
        json!({
            "type": "object",
            "properties": {
                "function": {"enum": ["sum", "mean", "min", "max", "count"]},
                "at": {"type": "string", "format": "json-pointer", "default": "", "description": "An array in the input."},
                "pointers": {"type": "array", "items": {"type": "string", "format": "json-pointer"}, "description": "Instead of `at`: the items."},
                "of": {"type": "string", "format": "json-pointer", "default": "", "description": "The number in each item."},
                "skip_null": {"type": "boolean", "default": false, "description": "Leave out items whose number is null or missing."},
                "default": {"description": "The mean, least or greatest of no numbers; may hold references."}
            },
            "required": ["function"],
            "additionalProperties": false
        }),
        Example {
            args: json!({"function": "sum", "at": "/lines", "of": "/price"}),
            input: json!({"lines": [{"price": 1.5}, {"price": 2.25}, {"price": 3}]}),
            output: json!(6.75),
        },
    );
    BuiltIn::new(about, prepare, limits)
}

fn prepare(fields: &Fields<'_>, limits: &OperationLimits) -> Result<Run, OperationError> {
    let selection = Selection::read(fields, limits)?;
    let of = fields.pointer("of")?.unwrap_or_default();
    let skip_null = fields.flag("skip_null")?;
    fields.required_text("function")?;
    let function = fields.choice(
        "function",
        &[
            ("sum", Function::Sum),
            ("mean", Function::Mean),
            ("min", Function::Min),
            ("max", Function::Max),
            ("count", Function::Count),
        ],
    )?;
    Ok(Box::new(move |call, meter| {
        let mut numbers = Vec::new();
        for (index, item) in selection.of(call.input, meter)?.into_iter().enumerate() {
            match of.find(item) {
                None | Some(Value::Null) if skip_null => {}
                Some(Value::Number(number)) => numbers.push(Num::of(number)),
                found => {
                    let pointer = format!("{}{of}", selection.place(index));
                    return Err(expected_input(&pointer, "a number", found.unwrap_or(&Value::Null))
                        .mend("pass a number, or leave out what is null or missing with `skip_null`"));
                }
            }
        }
        let reduced = match function {
            Function::Count => Some(Num::Whole(numbers.len() as i64)),
            Function::Sum => Some(sum(&numbers)),
            Function::Mean if numbers.is_empty() => None,
            Function::Mean => Some(Num::of_f64(sum(&numbers).as_f64() / numbers.len() as f64)),
            Function::Min => numbers.into_iter().min_by(|a, b| a.compare(*b)),
            Function::Max => numbers.into_iter().max_by(|a, b| a.compare(*b)),
        };
        match (reduced, call.args.get("default")) {
            (Some(number), _) => number.into_value().ok_or_else(|| {
                OperationError::failed("the result is beyond what JSON keeps exactly, ±(2^53 − 1)")
                    .mend("scale the numbers")
            }),
            (None, Some(default)) => meter.copy(default),
            (None, None) => {
                Err(OperationError::failed("there are no numbers").mend("pass some, or a `default`"))
            }
        }
    }))
}

/// Exact over whole numbers; over others a compensated sum (Neumaier) in the order given.
fn sum(numbers: &[Num]) -> Num {
    let mut whole: i128 = 0;
    let (mut real, mut lost) = (0.0_f64, 0.0_f64);
    let mut any_real = false;
    for number in numbers {
        match number {
            // At most 2^53 each, and no machine holds 2^74 of them.
            Num::Whole(term) => whole += i128::from(*term),
            Num::Real(term) => {
                any_real = true;
                add(&mut real, &mut lost, *term);
            }
        }
    }
    if any_real {
        add(&mut real, &mut lost, whole as f64);
        return Num::of_f64(real + lost);
    }
    i64::try_from(whole).map_or(Num::Real(whole as f64), Num::Whole)
}

fn add(real: &mut f64, lost: &mut f64, term: f64) {
    let sum = *real + term;
    *lost += if real.abs() >= term.abs() { (*real - sum) + term } else { (term - sum) + *real };
    *real = sum;
}

#[cfg(test)]
mod tests {
    use crate::library::testing::{check, told};
    use serde_json::{Value, json};

    #[test]
    fn each_function_reduces_as_it_says() {
        for (function, output) in [
            ("sum", json!(7.5)),
            ("mean", json!(2.5)),
            ("min", json!(-1)),
            ("max", json!(8.5)),
            ("count", json!(3)),
        ] {
            check("aggregate", json!({"function": function}), json!([0, -1.0, 8.5]), output);
        }
    }

    #[test]
    fn of_nothing_there_is_a_sum_and_a_count_only() {
        check("aggregate", json!({"function": "sum"}), json!([]), json!(0));
        check("aggregate", json!({"function": "count"}), json!([]), json!(0));
        check("aggregate", json!({"function": "mean", "default": null}), json!([]), Value::Null);
    }

    #[test]
    fn sums_lose_nothing_that_can_be_kept() {
        check("aggregate", json!({"function": "sum"}), json!([0.1, 0.2, 0.3]), json!(0.6));
        check("aggregate", json!({"function": "sum"}), json!([1e15, 0.25, -1e15]), json!(0.25));
        check(
            "aggregate",
            json!({"function": "sum"}),
            json!([9_007_199_254_740_991_i64, 1, -1]),
            json!(9_007_199_254_740_991_i64),
        );
    }

    #[test]
    fn what_has_no_number_is_told() {
        insta::assert_snapshot!(told(
            "aggregate",
            &[
                (json!({"function": "mean"}), json!([])),
                (json!({"function": "sum"}), json!([9_007_199_254_740_991_i64, 1])),
                (json!({"function": "sum", "of": "/n"}), json!([{"n": 1}, {"m": 2}])),
                (json!({"function": "sum"}), json!([1, "2"])),
                (json!({"function": "median"}), json!([])),
                (json!({}), json!([])),
            ]
        ));
    }
}
