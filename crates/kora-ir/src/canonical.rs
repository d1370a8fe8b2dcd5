//! Canonical JSON (RFC 8785): one text for equal values, so that a digest speaks of the value.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

/// Appends the canonical text of `value` to `out`.
///
/// Exact for every value that a check let through: integers within ±(2^53 − 1) and finite doubles. Recursion is as
/// deep as the value, which the readers bound by [`Limits::max_json_depth`](crate::Limits::max_json_depth).
pub fn write_canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => write_number(number, out),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_canonical(item, out);
            }
            out.push(b']');
        }
        Value::Object(fields) => write_object(fields, out),
    }
}

/// ASCII that stands for itself in a string.
static PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        plain[byte as usize] = byte != b'"' && byte != b'\\';
        byte += 1;
    }
    plain
};

/// Appends the canonical text of a string, quotes included.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    // Most names and words need no escape.
    if text.bytes().all(|byte| PLAIN[usize::from(byte)]) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    // serde_json escapes exactly what RFC 8785 §3.2.2.2 wants escaped, in the same way. A `Vec` never fails to write.
    let _ = serde_json::to_writer(out, text);
}

fn write_number(number: &Number, out: &mut Vec<u8>) {
    if number.is_f64() {
        write_float(number.as_f64().unwrap_or_default(), out);
    } else {
        // A `Vec` never fails to write.
        let _ = serde_json::to_writer(out, number);
    }
}

/// Appends a finite double as ECMAScript writes it; a negative zero is `0`.
pub(crate) fn write_float(float: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(ryu_js::Buffer::new().format(float).as_bytes());
}

/// The order of names: by UTF-16 code units. For ASCII names that is byte order.
pub(crate) fn by_utf16(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}

fn write_object(fields: &Map<String, Value>, out: &mut Vec<u8>) {
    // Most objects are small, or written in order: sorting a list of them would cost more than the rest.
    if fields.keys().is_sorted_by(|a, b| by_utf16(a, b).is_lt()) {
        write_fields(fields.iter(), out);
    } else {
        let mut sorted: Vec<(&String, &Value)> = fields.iter().collect();
        sorted.sort_unstable_by(|(a, _), (b, _)| by_utf16(a, b));
        write_fields(sorted.into_iter(), out);
    }
}

fn write_fields<'v>(fields: impl Iterator<Item = (&'v String, &'v Value)>, out: &mut Vec<u8>) {
    out.push(b'{');
    for (index, (name, value)) in fields.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(name, out);
        out.push(b':');
        write_canonical(value, out);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn canonical(value: &Value) -> String {
        let mut out = Vec::new();
        write_canonical(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn names_sort_by_utf16_code_units() {
        // U+1F600 begins with the surrogate D83D, which sorts before U+FB33; by code point it would come after.
        let value = json!({"\u{fb33}": 1, "\u{1f600}": 2, "b": 3, "a": 4});
        assert_eq!(canonical(&value), "{\"a\":4,\"b\":3,\"\u{1f600}\":2,\"\u{fb33}\":1}");
    }

    #[test]
    fn numbers_are_written_as_ecmascript_writes_them() {
        let value = json!([1.0, -0.0, 1e21, 1e-7, 0.1, 9007199254740991_u64, -5, 333_333_333.333_333_3]);
        assert_eq!(canonical(&value), "[1,0,1e+21,1e-7,0.1,9007199254740991,-5,333333333.3333333]");
    }

    #[test]
    fn strings_are_escaped_no_more_than_needed() {
        let value = json!("€$\u{000f}\nA'B\"\\\\\"/\u{7f}");
        assert_eq!(canonical(&value), "\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\u{7f}\"");
    }
}
