//! What the copy of a schema lacks only widens it, and what it holds is held: shown on random schemas.

use kora_ir::{Limits, OutputSchema};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::sample::{self, Random};
use crate::{Grammar, GrammarError, NoteKind};

/// Texts of one value that are tried.
const MAX_TEXTS: usize = 400;

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        (-12_i64..120).prop_map(|value| json!(value)),
        (-300_i64..300).prop_map(|value| json!(value as f64 / 100.0)),
        Just(json!(9_007_199_254_740_991_i64)),
        "[abé\"\\\\\n\u{1}\u{7f} ]{0,4}".prop_map(|value| json!(value)),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| json!(items)),
            prop::collection::btree_map("[abc]", inner, 0..3).prop_map(|fields| json!(fields)),
        ]
    })
}

/// Some of these keywords, in some order.
fn some(keywords: Vec<BoxedStrategy<(&'static str, Value)>>) -> BoxedStrategy<Map<String, Value>> {
    let optional: Vec<_> = keywords.into_iter().map(|keyword| prop::option::weighted(0.4, keyword)).collect();
    (optional, any::<prop::sample::Index>())
        .prop_map(|(mut chosen, turn): (Vec<Option<(&str, Value)>>, _)| {
            let turn = turn.index(chosen.len());
            chosen.rotate_left(turn);
            chosen.into_iter().flatten().map(|(keyword, value)| (keyword.to_owned(), value)).collect()
        })
        .boxed()
}

fn keyword(
    name: &'static str,
    value: impl Strategy<Value = Value> + 'static,
) -> BoxedStrategy<(&'static str, Value)> {
    value.prop_map(move |value| (name, value)).boxed()
}

fn typed(name: &'static str, mut keywords: Map<String, Value>) -> Value {
    keywords.insert(String::from("type"), json!(name));
    Value::Object(keywords)
}

fn count() -> impl Strategy<Value = Value> {
    (0_u64..4).prop_map(|count| json!(count))
}

fn pattern() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        "^[ab]+$",
        "^a",
        "b$",
        "a",
        "^(a|b)?$",
        "é",
        r"^\w*$",
        r"\s",
        "^.{1,2}$",
        "^a|b$",
        r"\ba",
        "[^a]",
        r"^\d\d$",
        "^$",
        "\"",
        r"\\",
        "(^a|^b)c?",
    ])
    .prop_map(|pattern| json!(pattern))
}

fn bound() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-20_i64..120).prop_map(|bound| json!(bound)),
        (-500_i64..500).prop_map(|bound| json!(bound as f64 / 100.0)),
        prop::sample::select(vec![
            json!(1e20),
            json!(-1e300),
            json!(3.0),
            json!(9_007_199_254_740_993_i64),
            json!(1e-9)
        ]),
    ]
}

fn numeric(name: &'static str) -> BoxedStrategy<Value> {
    let multiple = prop::sample::select(vec![
        json!(1),
        json!(3),
        json!(10),
        json!(0.01),
        json!(0.5),
        json!(0.25),
        json!(7),
        json!(0.07),
        json!(2.5),
        json!(1000),
    ]);
    some(vec![
        keyword("minimum", bound()),
        keyword("maximum", bound()),
        keyword("exclusiveMinimum", bound()),
        keyword("exclusiveMaximum", bound()),
        keyword("multipleOf", multiple),
    ])
    .prop_map(move |keywords| typed(name, keywords))
    .boxed()
}

fn leaf() -> BoxedStrategy<Value> {
    let text = some(vec![
        keyword("minLength", count()),
        keyword("maxLength", count()),
        keyword("pattern", pattern()),
    ]);
    prop_oneof![
        text.prop_map(|keywords| typed("string", keywords)),
        numeric("integer"),
        numeric("number"),
        Just(json!({"type": "boolean"})),
        Just(json!({"type": ["null", "integer"]})),
        Just(json!({"type": "null"})),
        Just(json!(true)),
        Just(json!({})),
        Just(json!(false)),
        value().prop_map(|value| json!({"const": value})),
        prop::collection::vec(value(), 1..4).prop_map(|values| json!({"enum": values})),
        (leaf_type(), pattern())
            .prop_map(|(name, pattern)| json!({"type": name, "pattern": pattern, "minimum": 1})),
    ]
    .boxed()
}

fn leaf_type() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!("string"),
        json!(["string", "integer"]),
        json!(["array", "number"]),
        json!("object"),
    ])
}

fn named(schema: &BoxedStrategy<Value>) -> impl Strategy<Value = Value> + use<> {
    prop::collection::vec(("[abc]", schema.clone()), 0..4)
        .prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

fn names() -> impl Strategy<Value = Value> {
    prop::collection::btree_set("[abc]", 0..3).prop_map(|names| json!(names))
}

fn schema() -> BoxedStrategy<Value> {
    let inner = leaf().prop_recursive(3, 24, 4, |inner| {
        let inner = inner.boxed();
        let list = || prop::collection::vec(inner.clone(), 1..4).prop_map(|all| json!(all));
        let object = some(vec![
            keyword("properties", named(&inner)),
            keyword("required", names()),
            keyword("additionalProperties", inner.clone()),
            keyword("minProperties", count()),
            keyword("maxProperties", count()),
            keyword("patternProperties", (pattern(), inner.clone()).prop_map(|(pattern, schema)| {
                json!({pattern.as_str().unwrap_or_default(): schema})
            })),
            keyword("propertyNames", inner.clone()),
            keyword("dependentRequired", names().prop_map(|names| json!({"a": names}))),
        ]);
        let array = some(vec![
            keyword("items", inner.clone()),
            keyword("prefixItems", list()),
            keyword("minItems", count()),
            keyword("maxItems", count()),
            keyword("uniqueItems", Just(json!(true))),
            keyword("contains", inner.clone()),
        ]);
        let together = some(vec![
            keyword("properties", named(&inner)),
            keyword("required", names()),
            keyword("type", Just(json!("object"))),
            keyword("allOf", list()),
            keyword("anyOf", list()),
            keyword("oneOf", list()),
            keyword("not", inner.clone()),
            keyword("if", inner.clone()),
            keyword("then", inner.clone()),
            keyword("else", inner.clone()),
            keyword("unevaluatedProperties", any::<bool>().prop_map(|open| json!(open))),
            keyword("dependentSchemas", inner.clone().prop_map(|schema| json!({"a": schema}))),
            keyword("items", inner.clone()),
            keyword("unevaluatedItems", any::<bool>().prop_map(|open| json!(open))),
        ]);
        prop_oneof![
            3 => object.prop_map(|keywords| typed("object", keywords)),
            2 => array.prop_map(|keywords| typed("array", keywords)),
            2 => together.prop_map(Value::Object),
            1 => list().prop_map(|all| json!({"anyOf": all})),
            1 => list().prop_map(|all| json!({"allOf": all})),
            1 => list().prop_map(|all| json!({"oneOf": all})),
            1 => (inner.clone(), named(&inner)).prop_map(|(items, fields)| {
                json!({"type": ["object", "array"], "properties": fields, "items": items})
            }),
            1 => Just(json!({"$ref": "#/$defs/x"})),
            1 => inner.clone().prop_map(|schema| json!({"$ref": "#/$defs/x", "anyOf": [schema, {"type": "object"}]})),
        ]
    });
    (inner.clone(), inner)
        .prop_map(|(schema, definition)| match schema {
            Value::Object(mut keywords) => {
                keywords.insert(String::from("$defs"), json!({"x": definition}));
                Value::Object(keywords)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => schema,
        })
        .boxed()
}

/// A value that looks like what the schema asks for.
fn fitting(schema: &Value, root: &Value, random: &mut Random, depth: usize) -> Value {
    let Value::Object(keywords) = schema else { return json!(random.below(3)) };
    let pick =
        |list: &Vec<Value>, random: &mut Random| list[random.below(list.len() as u64) as usize].clone();
    if depth == 0 {
        return json!(null);
    }
    if let Some(value) = keywords.get("const") {
        return value.clone();
    }
    for key in ["enum", "anyOf", "oneOf", "allOf"] {
        if let Some(Value::Array(list)) = keywords.get(key)
            && !list.is_empty()
            && (key == "enum" || random.below(2) == 0)
        {
            let chosen = pick(list, random);
            return if key == "enum" { chosen } else { fitting(&chosen, root, random, depth - 1) };
        }
    }
    if keywords.contains_key("$ref") {
        return fitting(&root["$defs"]["x"], root, random, depth - 1);
    }
    let types = match keywords.get("type") {
        Some(Value::String(name)) => vec![json!(name)],
        Some(Value::Array(names)) => names.clone(),
        _ => ["null", "integer", "string", "object", "array"].map(|name| json!(name)).to_vec(),
    };
    match pick(&types, random).as_str().unwrap_or_default() {
        "boolean" => json!(random.below(2) == 0),
        "integer" => {
            let near =
                keywords.get("minimum").or(keywords.get("maximum")).and_then(Value::as_f64).unwrap_or(0.0);
            json!((near as i64).clamp(-1_000_000, 1_000_000) + random.below(20) as i64 - 10)
        }
        "number" => {
            let near =
                keywords.get("minimum").or(keywords.get("maximum")).and_then(Value::as_f64).unwrap_or(0.0);
            let step = keywords.get("multipleOf").and_then(Value::as_f64).unwrap_or(0.01);
            json!(near.clamp(-1e6, 1e6) + (random.below(20) as f64 - 5.0) * step)
        }
        "string" => {
            let letters = ['a', 'b', 'é', ' ', '"', '1', '\\', 'c'];
            json!((0..random.below(5)).map(|_| letters[random.below(8) as usize]).collect::<String>())
        }
        "array" => {
            let prefix = keywords.get("prefixItems").and_then(Value::as_array).cloned().unwrap_or_default();
            let items = keywords.get("items").cloned().unwrap_or(json!(true));
            (0..random.below(4) as usize)
                .map(|nth| fitting(prefix.get(nth).unwrap_or(&items), root, random, depth - 1))
                .collect()
        }
        "object" => {
            let mut fields = Map::new();
            let properties =
                keywords.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
            let required = keywords.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
            for (name, schema) in &properties {
                if required.iter().any(|required| required == name) || random.below(2) == 0 {
                    fields.insert(name.clone(), fitting(schema, root, random, depth - 1));
                }
            }
            for name in ["a", "b", "c"] {
                let wanted = required.iter().any(|required| required == name) || random.below(6) == 0;
                if wanted && !fields.contains_key(name) {
                    let other = keywords.get("additionalProperties").cloned().unwrap_or(json!(true));
                    fields.insert(name.to_owned(), fitting(&other, root, random, depth - 1));
                }
            }
            Value::Object(fields)
        }
        _ => json!(null),
    }
}

/// The texts of a value without white space: properties in every order, numbers without needless digits.
fn texts(value: &Value) -> Vec<String> {
    let mut found = match value {
        Value::Null | Value::Bool(_) => vec![value.to_string()],
        Value::Number(number) => match number.as_f64() {
            Some(0.0) => vec![String::from("0"), String::from("-0")],
            Some(number) => {
                let padded = (1..=4).map(|digits| format!("{number:.digits$}"));
                let padded = padded.filter(|text| text.parse() == Ok(number));
                [format!("{number}"), value.to_string()].into_iter().chain(padded).collect()
            }
            None => vec![value.to_string()],
        },
        Value::String(_) => {
            let plain = value.to_string();
            vec![plain.replace('\u{7f}', "\\u007f"), plain.replace('\u{7f}', "\\u007F"), plain]
        }
        Value::Array(items) => joined(&items.iter().map(texts).collect::<Vec<_>>(), "[", "]"),
        Value::Object(fields) => {
            let parts: Vec<Vec<String>> = fields
                .iter()
                .map(|(name, value)| {
                    texts(value).into_iter().map(|text| format!("{}:{text}", json!(name))).collect()
                })
                .collect();
            orders(parts.len())
                .into_iter()
                .flat_map(|order| {
                    let parts: Vec<Vec<String>> = order.iter().map(|&nth| parts[nth].clone()).collect();
                    joined(&parts, "{", "}")
                })
                .collect()
        }
    };
    found.dedup();
    found.truncate(MAX_TEXTS);
    found
}

fn joined(parts: &[Vec<String>], open: &str, close: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    for (nth, choices) in parts.iter().enumerate() {
        let comma = if nth == 0 { "" } else { "," };
        let longer =
            all.iter().flat_map(|start| choices.iter().map(move |choice| format!("{start}{comma}{choice}")));
        all = longer.take(MAX_TEXTS).collect();
    }
    all.into_iter().map(|text| format!("{open}{text}{close}")).collect()
}

fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    orders(count - 1)
        .into_iter()
        .flat_map(|order| {
            (0..count).map(move |place| {
                let mut order = order.clone();
                order.insert(place, count - 1);
                order
            })
        })
        .collect()
}

fn gate(schema: &Value) -> Option<OutputSchema> {
    OutputSchema::compile(schema.clone(), &Limits::default()).ok()
}

/// Every value that the gate lets through can be written.
fn only_widens(schema: &Value, values: &[Value], seed: u64) -> Result<(), TestCaseError> {
    let Some(gate) = gate(schema) else { return Ok(()) };
    let mut random = Random(seed);
    let fitting = (0..12).map(|_| fitting(schema, schema, &mut random, 6));
    let mut admitted: Vec<Value> =
        fitting.chain(values.iter().cloned()).filter(|value| gate.admit(value.clone()).is_ok()).collect();
    admitted.dedup();
    let grammar = match Grammar::compile(schema) {
        Ok(grammar) => grammar,
        Err(GrammarError::TooComplex(_)) => return Ok(()),
        Err(error) => {
            prop_assert!(admitted.is_empty(), "{error}, but the gate admits {:?}", admitted.first());
            prop_assert!(matches!(error, GrammarError::Unsatisfiable(_)), "{error}");
            return Ok(());
        }
    };
    for value in admitted {
        let texts = texts(&value);
        prop_assert!(
            texts.len() >= MAX_TEXTS || texts.iter().any(|text| sample::accepts(&grammar, text)),
            "{value} passes the gate and cannot be written; notes {:?}",
            grammar.notes()
        );
    }
    Ok(())
}

/// What ends is admitted, unless a note says what may be wrong with it.
fn finished_is_admitted(schema: &Value, seed: u64) -> Result<(), TestCaseError> {
    let (Some(gate), Ok(grammar)) = (gate(schema), Grammar::compile(schema)) else { return Ok(()) };
    // A number without bounds may have more digits than are exact, and so may what can be anything.
    let vague = |keyword: &str| matches!(keyword, "number" | "type" | "items" | "object");
    if grammar.notes().iter().any(|note| note.kind == NoteKind::NotHeld || vague(&note.keyword)) {
        return Ok(());
    }
    for (nth, vocabulary) in [sample::bytes(), sample::pieces()].into_iter().cycle().take(6).enumerate() {
        let (ended, text) = sample::walk(vocabulary, &grammar, seed.wrapping_add(nth as u64), 300);
        if ended {
            let value: Value = serde_json::from_str(&text)
                .map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
            if let Err(refused) = gate.admit(value) {
                return Err(TestCaseError::fail(format!("{text} is refused: {refused}")));
            }
        }
    }
    Ok(())
}

/// Few by default: each case compiles several grammars, unoptimised. `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: asked.unwrap_or(48),
        max_shrink_iters: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    // shows C11.1
    #[test]
    fn every_value_that_the_gate_admits_can_be_written(
        schema in schema(), values in prop::collection::vec(value(), 0..6), seed in any::<u64>(),
    ) {
        only_widens(&schema, &values, seed)?;
    }

    // shows C11.1
    #[test]
    fn a_finished_generation_without_a_note_passes_the_gate(schema in schema(), seed in any::<u64>()) {
        finished_is_admitted(&schema, seed)?;
    }

    #[test]
    fn leaves_are_written_and_held(schema in leaf(), values in prop::collection::vec(scalar(), 0..8), seed in any::<u64>()) {
        only_widens(&schema, &values, seed)?;
        finished_is_admitted(&schema, seed)?;
    }

    #[test]
    fn no_json_makes_the_compiler_panic(document in anything()) {
        let _ = Grammar::compile(&document);
    }
}

/// JSON that is hardly ever a schema, with the words of one.
fn anything() -> BoxedStrategy<Value> {
    let word = prop::sample::select(vec![
        "type",
        "properties",
        "items",
        "$ref",
        "#",
        "#/$defs/a",
        "$defs",
        "a",
        "string",
        "object",
        "array",
        "enum",
        "const",
        "pattern",
        "(",
        "^a{999}$",
        "minLength",
        "maxItems",
        "multipleOf",
        "minimum",
        "exclusiveMaximum",
        "anyOf",
        "allOf",
        "oneOf",
        "not",
        "if",
        "then",
        "required",
        "additionalProperties",
        "unevaluatedProperties",
        "patternProperties",
        "x-guidance",
        "$anchor",
        "format",
        "date",
        "integer",
        "number",
        "",
    ]);
    let number = prop_oneof![
        any::<i64>().prop_map(|n| json!(n)),
        any::<f64>().prop_map(|n| json!(n)),
        Just(json!(u64::MAX))
    ];
    let leaf = prop_oneof![scalar(), number, word.clone().prop_map(|word| json!(word))];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| json!(items)),
            prop::collection::vec((word.clone(), inner), 0..6).prop_map(|fields| {
                Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
    .boxed()
}
