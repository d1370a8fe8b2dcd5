//! Properties of all operations together: each ends, within the limits, and gives the same again.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::library::testing::run_attempt;
use crate::{OperationErrorKind, OperationRegistry};

/// Any JSON, small, with the words that arguments are made of.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-3_i64..3).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![
            "", "/a", "/0", "/a/0", "a", "sum", "mean", "first", "last", "deep", "(?<a>.)", "{{/a}}",
            "input.a", "omit",
        ])
        .prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(
                (prop::sample::select(vec!["a", "b", "0", "pattern", "label", "$from"]), inner),
                0..3
            )
            .prop_map(|members| Value::Object(
                members.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<Map<_, _>>()
            )),
        ]
    })
}

/// A call whose arguments have the right names and mostly the wrong values: the example's, some replaced.
fn calls() -> impl Strategy<Value = (String, Value, Value)> {
    let registry = OperationRegistry::standard();
    let operations: Vec<(String, Value, Value, Vec<String>)> = registry
        .operations()
        .map(|operation| {
            let names =
                operation.args_schema()["properties"].as_object().into_iter().flat_map(Map::keys).cloned();
            let example = operation.example();
            (operation.name().to_owned(), example.args.clone(), example.input.clone(), names.collect())
        })
        .collect();
    (
        prop::sample::select(operations),
        prop::collection::vec(prop::option::weighted(0.3, json()), 6),
        prop::option::of(json()),
    )
        .prop_map(|((name, mut args, input, names), replaced, other_input)| {
            for (argument, value) in names.iter().zip(replaced) {
                if let Some(value) = value {
                    args[argument] = value;
                }
            }
            (name, args, other_input.unwrap_or(input))
        })
}

/// The same JSON with its members in reverse and its whole numbers written as doubles.
fn respelt(value: &Value) -> Value {
    match value {
        Value::Number(number) => match number.as_i64() {
            Some(whole) if whole.abs() < 1 << 53 => Value::from(whole as f64),
            Some(_) | None => value.clone(),
        },
        Value::Array(items) => items.iter().map(respelt).collect(),
        Value::Object(members) => {
            Value::Object(members.iter().rev().map(|(k, v)| (k.clone(), respelt(v))).collect::<Map<_, _>>())
        }
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

fn canonical_order(value: &Value) -> Value {
    let text = run_attempt("template", &json!({"text": "{{}}"}), &json!([value]), 0).unwrap();
    serde_json::from_str(text.as_str().unwrap()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_call_ends_and_gives_the_same_again((name, args, input) in calls(), attempt in 0_u32..3) {
        let once = run_attempt(&name, &args, &input, attempt);
        prop_assert_eq!(&once, &run_attempt(&name, &args, &input, attempt));
        if let Err(error) = once {
            prop_assert!(error.transient == (name == "kora.flaky_once" && attempt == 0 && error.kind == OperationErrorKind::Failed));
            prop_assert!(error.help.is_some() || error.transient, "{}", error);
        }
    }

    #[test]
    fn the_spelling_of_an_input_changes_nothing((name, args, input) in calls()) {
        let once = run_attempt(&name, &args, &input, 1);
        let other = run_attempt(&name, &args, &respelt(&input), 1);
        prop_assert_eq!(
            once.map(|output| canonical_order(&output)).map_err(|error| error.kind),
            other.map(|output| canonical_order(&output)).map_err(|error| error.kind)
        );
    }
}
