//! The canonical digest of a graph as KORA wrote it (I1).

use std::borrow::Cow;
use std::ops::Range;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::canonical::{by_utf16, write_float};
use crate::read::{Json, Kind, Read};
use crate::{GraphDigest, write_canonical, write_string};

/// Canonical JSON (RFC 8785) of a value.
pub(crate) fn canonical(value: &Value) -> Vec<u8> {
    let mut text = Vec::new();
    write_canonical(value, &mut text);
    text
}

/// The digest of a document that was read without violations.
///
/// The document is written piece by piece, so that a graph of a gigabyte does not take two more to be named: the members
/// of the outermost object in order, and what their arrays hold one after the other. Only what is inside of those, a task
/// at most, is ever held.
pub(crate) fn of_source(source: &str) -> GraphDigest {
    let mut hash = Sha256::new();
    // Not reached with text that is not JSON, or nested beyond what was read: the reader accepted it.
    let _ = outermost(source, &mut hash);
    GraphDigest(hash.finalize().into())
}

/// Hashing larger pieces at once costs less a byte.
const PIECE_BYTES: usize = 64 << 10;

fn outermost(source: &str, hash: &mut Sha256) -> Read<()> {
    let mut json = Json::new(source);
    if json.peek()? != Kind::Object {
        return member(source, hash);
    }
    let mut fields: Vec<(Cow<'_, str>, &str)> = Vec::new();
    let mut key = json.enter_object()?;
    while let Some(name) = key {
        json.peek()?;
        let start = json.offset();
        json.skip()?;
        fields.push((name.text, json.text_from(start)));
        key = json.next_key()?;
    }
    fields.sort_unstable_by(|(a, _), (b, _)| by_utf16(a, b));
    let mut punctuation = b'{';
    let mut text = Vec::new();
    for (name, value) in fields {
        text.push(punctuation);
        write_string(&name, &mut text);
        text.push(b':');
        hash.update(&text);
        text.clear();
        member(value, hash)?;
        punctuation = b',';
    }
    hash.update(if punctuation == b'{' { b"{}".as_slice() } else { b"}" });
    Ok(())
}

/// A value, element by element if it is an array.
fn member(source: &str, hash: &mut Sha256) -> Read<()> {
    let mut writer = Writer { json: Json::new(source), out: Vec::new(), sorted: Vec::new() };
    if writer.json.peek()? == Kind::Array {
        writer.out.push(b'[');
        let mut more = writer.json.enter_array()?;
        while more {
            writer.value()?;
            more = writer.json.next_element()?;
            if more {
                writer.out.push(b',');
            }
            if writer.out.len() >= PIECE_BYTES {
                hash.update(&writer.out);
                writer.out.clear();
            }
        }
        writer.out.push(b']');
    } else {
        writer.value()?;
    }
    hash.update(&writer.out);
    Ok(())
}

/// Writes canonical JSON straight from the text: a tree in between would cost more than everything else.
struct Writer<'s> {
    json: Json<'s>,
    out: Vec<u8>,
    sorted: Vec<u8>,
}

impl<'s> Writer<'s> {
    fn value(&mut self) -> Read<()> {
        match self.json.peek()? {
            Kind::Null => {
                self.json.null()?;
                self.out.extend_from_slice(b"null");
            }
            Kind::Bool => {
                let truth: &[u8] = if self.json.bool()? { b"true" } else { b"false" };
                self.out.extend_from_slice(truth);
            }
            Kind::Number => {
                let text = self.json.number()?;
                if text != "-0" && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
                    // Within ±(2^53 - 1), and without leading zeros: already canonical.
                    self.out.extend_from_slice(text.as_bytes());
                } else {
                    write_float(text.parse().unwrap_or_default(), &mut self.out);
                }
            }
            Kind::String => {
                let text = self.json.string()?;
                write_string(&text, &mut self.out);
            }
            Kind::Array => {
                self.out.push(b'[');
                let mut more = self.json.enter_array()?;
                while more {
                    self.value()?;
                    more = self.json.next_element()?;
                    if more {
                        self.out.push(b',');
                    }
                }
                self.out.push(b']');
            }
            Kind::Object => self.object()?,
        }
        Ok(())
    }

    /// Writes the fields as they come, and puts them in order after.
    fn object(&mut self) -> Read<()> {
        self.out.push(b'{');
        let start = self.out.len();
        let mut fields: Vec<(Cow<'s, str>, Range<usize>)> = Vec::new();
        let mut in_order = true;
        let mut key = self.json.enter_object()?;
        while let Some(name) = key {
            if let Some((last, _)) = fields.last() {
                in_order &= by_utf16(last, &name.text).is_lt();
                self.out.push(b',');
            }
            let from = self.out.len();
            write_string(&name.text, &mut self.out);
            self.out.push(b':');
            self.value()?;
            fields.push((name.text, from..self.out.len()));
            key = self.json.next_key()?;
        }
        if !in_order {
            fields.sort_unstable_by(|(a, _), (b, _)| by_utf16(a, b));
            self.sorted.clear();
            for (nth, (_, range)) in fields.iter().enumerate() {
                if nth > 0 {
                    self.sorted.push(b',');
                }
                self.sorted.extend_from_slice(&self.out[range.clone()]);
            }
            self.out.truncate(start);
            self.out.extend_from_slice(&self.sorted);
        }
        self.out.push(b'}');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(Value::from),
            any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|fields| fields.into_iter().rev().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn text_and_value_have_one_canonical_form(value in value()) {
            let digest = GraphDigest(Sha256::digest(canonical(&value)).into());
            prop_assert_eq!(of_source(&value.to_string()), digest);
            prop_assert_eq!(of_source(&serde_json::to_string_pretty(&value).unwrap()), digest);
        }
    }

    #[test]
    fn escapes_and_ways_to_write_a_number_do_not_count() {
        let one = of_source(r#"{"b": [1e2, -0, 1.50], "\u0061": "\u00e9\/"}"#);
        let other = of_source("{\"a\":\"é/\",\"b\":[100,0,1.5]}");
        assert_eq!(one, other);
        assert_eq!(canonical(&json!({"b": [100.0, -0.0]})), b"{\"b\":[100,0]}");
    }
}
