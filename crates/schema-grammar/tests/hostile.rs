//! Schemas that are meant to cost too much: each compiles, or is refused with words, and so does each token.

use std::sync::Arc;

use schema_grammar::{Grammar, GrammarError, Token, Vocabulary};
use serde_json::{Map, Value, json};

/// What the deepest schema needs of the stack must not be the caller's.
const STACK_BYTES: usize = 512 << 10;

#[expect(clippy::unwrap_used, reason = "a test's own vocabulary")]
fn vocabulary() -> Vocabulary {
    let mut tokens: Vec<Token> = (0..=255_u8).map(|byte| Token::Bytes(vec![byte])).collect();
    tokens.push(Token::Control(String::from("<end>")));
    for first in b'a'..=b'z' {
        tokens.extend((b'a'..=b'z').map(|second| Token::Bytes(vec![first, second])));
    }
    let encode = |text: &[u8]| text.iter().copied().map(u32::from).collect();
    Vocabulary::new(tokens, &[256], Arc::new(encode)).unwrap()
}

fn object(count: usize, schema: impl Fn(usize) -> Value) -> Value {
    (0..count).map(|nth| (format!("p{nth}"), schema(nth))).collect::<Map<_, _>>().into()
}

fn list(count: usize, schema: impl Fn(usize) -> Value) -> Value {
    (0..count).map(schema).collect()
}

fn text(pattern: &str) -> Value {
    json!({"type": "string", "pattern": pattern})
}

fn nested(levels: usize) -> Value {
    (0..levels)
        .fold(json!({"type": "null"}), |inner, _| json!({"type": "object", "properties": {"a": inner}}))
}

fn cases() -> Vec<(&'static str, Value)> {
    let integer = || json!({"type": "integer"});
    let chain: Map<String, Value> = (0..1500)
        .map(|nth| {
            let next = format!("#/$defs/d{}", nth + 1);
            (format!("d{nth}"), json!({"type": "object", "properties": {"a": {"$ref": next}}}))
        })
        .chain([(String::from("d1500"), json!({"type": "null"}))])
        .collect();
    let same = json!({"type": "object", "required": list(60, |nth| json!(format!("p{nth}"))),
        "properties": object(60, |_| json!({"$ref": "#/$defs/same"}))});
    vec![
        ("many optional properties", json!({"type": "object", "properties": object(2000, |_| integer())})),
        ("as many optional properties as can be", json!({"type": "object", "properties": object(200, |_| json!({"type": "string", "maxLength": 9}))})),
        ("many required properties", json!({"type": "object", "required": list(1500, |nth| json!(format!("p{nth}"))), "properties": object(1500, |_| integer())})),
        ("a deep schema", nested(49)),
        ("a long chain of references", json!({"$ref": "#/$defs/d0", "$defs": chain})),
        ("references that multiply", json!({"oneOf": [{"$ref": "#/$defs/same"}, {"$ref": "#/$defs/other"}], "$defs": {"same": same, "other": same}})),
        ("a product of alternatives", json!({"type": "object", "allOf": list(12, |k| json!({"anyOf": list(8, |n| json!({"properties": {format!("k{k}"): {"const": n}}}))}))})),
        ("many alternatives", json!({"anyOf": list(300, |n| json!({"type": "object", "required": ["k"], "properties": {"k": {"const": n}, "v": {"type": "string", "maxLength": n}}}))})),
        ("a long enum", json!({"enum": list(4000, |n| json!(format!("value number {n}")))})),
        ("a huge maxLength", json!({"type": "string", "maxLength": u64::MAX})),
        ("a huge minLength", json!({"type": "string", "minLength": 1_000_000_000_u64})),
        ("a long text", json!({"type": "string", "minLength": 19_999, "maxLength": 20_000})),
        ("a huge maxItems", json!({"type": "array", "maxItems": 1e300, "items": integer()})),
        ("a long list", json!({"type": "array", "minItems": 100_000, "maxItems": 100_000, "items": {"type": "string", "maxLength": 100}})),
        ("huge maxProperties", json!({"type": "object", "additionalProperties": integer(), "minProperties": 1_000_000_000, "maxProperties": u64::MAX})),
        ("repeats of repeats", text("^(([a-z]{1,20}-){1,20}_){1,20}$")),
        ("exponentially many states", text("^(a|b)*a(a|b){18}$")),
        ("states and a length", json!({"type": "string", "maxLength": 300, "pattern": "(.*a.{25}){2}b"})),
        ("a pattern that backtracks", json!({"type": "string", "minLength": 6, "pattern": "^\\w+([\\.-]?\\w+)*@\\w+([\\.-]?\\w+)*(\\.\\w{2,})+$"})),
        ("large classes", text("^[\\p{L}--a]{1,9}\\p{Greek}$")),
        ("deep groups", text(&format!("^{}a{}$", "(".repeat(200), ")".repeat(200)))),
        ("many patterns", json!({"type": "array", "prefixItems": list(400, |n| text(&format!("^(a|b)*{n}$")))})),
 ("a large schema", json!({"enum": list(40_000, |n| json!(format!("number {n}")))})),
        ("many pattern properties", json!({"type": "object", "patternProperties": object(60, |_| integer())})),
        ("a large multiple", json!({"type": "integer", "multipleOf": 999_983})),
        ("a small multiple", json!({"type": "number", "multipleOf": 5e-324})),
        ("many multiples", json!({"allOf": list(40, |n| json!({"type": "integer", "multipleOf": n + 2}))})),
        ("extreme bounds", json!({"type": "number", "minimum": -1e308, "exclusiveMaximum": 1e-308})),
        ("bounds beyond", json!({"type": "integer", "minimum": 1e300})),
        ("impossible definitions", json!({"type": "object", "properties": object(60, |n| json!({"$ref": format!("#/$defs/p{n}")})),
            "$defs": object(60, |n| json!({"type": "string", "minLength": n + 2, "maxLength": 1}))})),
        ("circles", json!({"$ref": "#/$defs/a", "$defs": {
            "a": {"type": "object", "properties": {"b": {"$ref": "#/$defs/b", "required": ["a"]}}},
            "b": {"type": "object", "allOf": [{"properties": {"a": {"$ref": "#/$defs/a"}}}, {"properties": {"c": {"anyOf": [{"$ref": "#/$defs/b"}, {"$ref": "#/$defs/a"}]}}}]}}})),
        ("alternatives of alternatives", (0..8).fold(integer(), |inner, _| json!({"anyOf": [{"type": "array", "maxItems": 2, "items": inner.clone()}, inner]}))),
    ]
}

#[test]
fn no_schema_keeps_the_compiler_or_a_token_busy() {
    let vocabulary = vocabulary();
    let outcomes = move || {
        cases()
            .into_iter()
            .map(|(name, schema)| format!("{name}: {}", outcome(&vocabulary, &schema)))
            .collect::<Vec<_>>()
    };
    let small = std::thread::Builder::new().stack_size(STACK_BYTES);
    let outcomes = small.spawn(outcomes).unwrap().join().unwrap();
    insta::assert_snapshot!(outcomes.join("\n"));
}

/// What becomes of a schema, and of some tokens of it.
fn outcome(vocabulary: &Vocabulary, schema: &Value) -> String {
    let grammar = match Grammar::compile(schema) {
        Ok(grammar) => grammar,
        Err(GrammarError::Schema(error)) => return format!("the gate refuses it: {error}"),
        Err(error) => return error.to_string(),
    };
    let mut not_held: Vec<&str> = grammar
        .notes()
        .iter()
        .filter(|note| note.kind == schema_grammar::NoteKind::NotHeld)
        .map(|note| note.keyword.as_str())
        .collect();
    not_held.dedup();
    let tokens = tokens(vocabulary, &grammar);
    let held = if not_held.is_empty() {
        String::from("held")
    } else {
        format!("held but for {}", not_held.join(", "))
    };
    match tokens {
        Ok(()) => held,
        Err(error) => format!("{held}, then {error}"),
    }
}

fn tokens(vocabulary: &Vocabulary, grammar: &Grammar) -> Result<(), GrammarError> {
    let mut constraint = vocabulary.constrain(grammar)?;
    for nth in 0..40 {
        let allowed = constraint.allowed()?;
        // Some token of those that may come, always the same, and not an end if there is a choice.
        let count = allowed.count();
        let Some(token) = allowed.iter().nth((nth * 7 + 3) % count) else { return Ok(()) };
        constraint.accept(token)?;
        if constraint.has_ended() {
            return Ok(());
        }
    }
    Ok(())
}
