//! Reads one JSON value: nothing around it, no key twice.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::ReplyRejected;

/// The one JSON value that `text` is. Depth is bounded by the parser, size by the sink.
pub(super) fn parse(text: &str) -> Result<Value, ReplyRejected> {
    let mut parser = serde_json::Deserializer::from_str(text);
    Strict
        .deserialize(&mut parser)
        .and_then(|value| parser.end().map(|()| value))
        .map_err(|error| rejection(text, &error))
}

fn rejection(text: &str, error: &serde_json::Error) -> ReplyRejected {
    // The parser's words end in " at line 1 column 2"; the bytes before that place are what a person can look up.
    let words = error.to_string();
    let problem = words.rsplit_once(" at line ").map_or(words.as_str(), |(problem, _)| problem).to_owned();
    let line = error.line().saturating_sub(1);
    let before: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let byte = (before + error.column().saturating_sub(1)).min(text.len());
    ReplyRejected::NotJson { byte, length: text.len(), problem }
}

/// Reads any value as `serde_json::Value` does, and refuses repeated keys, which mean different things to different readers.
#[derive(Clone, Copy)]
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(self)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self)?;
            if map.insert(key, value).is_some() {
                return Err(A::Error::custom("repeated key"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn check(text: &str, byte: usize, problem: &str) {
        let expected = ReplyRejected::NotJson { byte, length: text.len(), problem: problem.to_owned() };
        assert_eq!(parse(text), Err(expected), "{text}");
    }

    #[test]
    fn one_value_is_read_with_space_around_it() {
        assert_eq!(
            parse(" {\"b\": [1, -2, 0.5, null, true], \"a\": \"x\"}\n").unwrap(),
            json!({"b": [1, -2, 0.5, null, true], "a": "x"})
        );
    }

    #[test]
    fn anything_else_says_where_and_not_what() {
        check("", 0, "EOF while parsing a value");
        check("secret", 0, "expected value");
        check("```json\n{}\n```", 0, "expected value");
        check("{} trailing secret", 3, "trailing characters");
        check("{\n\"a\": secret}", 7, "expected value");
        check("{\"secret\": 1, \"secret\": 2}", 25, "repeated key");
        check("{\"a\": 1e999}", 10, "number out of range");
    }

    #[test]
    fn depth_is_bounded() {
        let deep = "[".repeat(1_000_000);
        assert!(matches!(parse(&deep), Err(ReplyRejected::NotJson { .. })));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            drop(parse(&text));
        }

        #[test]
        fn near_json_does_not_make_it_panic(text in "[\\[\\]{}\",:0-9a-f\\\\u\n .eE+-]{0,60}") {
            if let Err(ReplyRejected::NotJson { byte, length, .. }) = parse(&text) {
                prop_assert!(byte <= length);
            }
        }
    }
}
