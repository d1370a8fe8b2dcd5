//! JSON pointers (RFC 6901): written for messages, checked where a graph uses them, followed in outputs.

use serde_json::Value;

/// Appends one reference token.
pub(crate) fn push_token(pointer: &mut String, token: &str) {
    pointer.push('/');
    for letter in token.chars() {
        match letter {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

/// What is wrong with the text as a pointer, if anything.
pub(crate) fn fault(pointer: &str) -> Option<&'static str> {
    if !pointer.is_empty() && !pointer.starts_with('/') {
        return Some("a JSON pointer is empty or starts with `/`");
    }
    let mut bytes = pointer.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'~' && !matches!(bytes.next(), Some(b'0' | b'1')) {
            return Some("in a JSON pointer, `~` is written `~0` and a `/` inside a name `~1`");
        }
    }
    None
}

/// A pointer that is followed many times: taken apart once, so that following it allocates nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Pointer {
    text: Box<str>,
    tokens: Box<[Box<str>]>,
}

impl Pointer {
    /// Takes apart a pointer without [`fault`].
    pub(crate) fn new(text: &str) -> Self {
        let tokens = text.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~").into());
        Self { tokens: tokens.collect(), text: text.into() }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The names on the way, nothing in them escaped.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = &str> {
        self.tokens.iter().map(|token| &**token)
    }

    /// What it points to, if anything.
    pub(crate) fn follow<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.tokens.iter().try_fold(value, |value, token| match value {
            Value::Object(fields) => fields.get(&**token),
            Value::Array(items) => index(token).and_then(|index| items.get(index)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        })
    }
}

/// An array index as RFC 6901 writes it: digits without a leading zero.
fn index(token: &str) -> Option<usize> {
    let canonical = token == "0" || token.starts_with(|first: char| matches!(first, '1'..='9'));
    token.parse().ok().filter(|_| canonical)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pointer_leads_where_the_library_leads() {
        let value = json!({"a": [{"": 1}, 2], "a~b": {"c/d": 3}, "0": 4});
        let pointers = [
            "",
            "/",
            "/a",
            "/a/0",
            "/a/0/",
            "/a/1",
            "/a/01",
            "/a/+1",
            "/a/-",
            "/a/2",
            "/a~0b/c~1d",
            "/0",
            "/a/1/x",
        ];
        for pointer in pointers {
            assert_eq!(Pointer::new(pointer).follow(&value), value.pointer(pointer), "{pointer}");
        }
    }

    #[test]
    fn a_name_is_escaped() {
        let mut pointer = String::new();
        push_token(&mut pointer, "a/b~c");
        push_token(&mut pointer, "");
        assert_eq!(pointer, "/a~1b~0c/");
        assert_eq!(fault(&pointer), None);
    }

    #[test]
    fn a_pointer_without_slash_or_with_a_bare_tilde_is_no_pointer() {
        assert!(fault("a").is_some());
        assert!(fault("/~").is_some());
        assert!(fault("/~2").is_some());
        assert!(fault("").is_none());
    }
}
