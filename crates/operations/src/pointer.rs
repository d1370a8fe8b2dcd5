//! JSON pointers, parsed once.

use std::fmt;

use serde_json::Value;

use crate::OperationError;
use crate::registry::excerpt;

/// A JSON pointer (RFC 6901), parsed once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Pointer {
    source: Box<str>,
    tokens: Box<[Token]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    key: Box<str>,
    index: Option<usize>,
}

impl Pointer {
    /// Parses `source`, which stands at `place` in the arguments.
    pub(crate) fn parse(source: &str, place: impl FnOnce() -> String) -> Result<Self, OperationError> {
        let wrong = || {
            OperationError::invalid_args(place(), format!("`{}` is not a JSON pointer", excerpt(source)))
                .mend("write it like `/items/0/name`, with `~1` for `/` and `~0` for `~`, or `\"\"` for the whole")
        };
        if source.is_empty() {
            return Ok(Self::default());
        }
        let Some(rest) = source.strip_prefix('/') else { return Err(wrong()) };
        let mut tokens = Vec::new();
        for token in rest.split('/') {
            let mut tildes = token.split('~');
            tildes.next();
            if tildes.any(|after| !after.starts_with(['0', '1'])) {
                return Err(wrong());
            }
            let plain =
                token == "0" || (!token.starts_with('0') && token.bytes().all(|b| b.is_ascii_digit()));
            tokens.push(Token {
                key: token.replace("~1", "/").replace("~0", "~").into(),
                index: if plain { token.parse().ok() } else { None },
            });
        }
        Ok(Self { source: source.into(), tokens: tokens.into() })
    }

    /// What it points to.
    pub(crate) fn find<'v>(&self, root: &'v Value) -> Option<&'v Value> {
        self.tokens.iter().try_fold(root, |value, token| match value {
            Value::Object(members) => members.get(&*token.key),
            Value::Array(items) => items.get(token.index?),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        })
    }

    /// What it points to in the input of a task.
    pub(crate) fn find_input<'v>(&self, input: &'v Value) -> Result<&'v Value, OperationError> {
        self.find(input).ok_or_else(|| {
            OperationError::invalid_input(format!("/input{self}"), "the input has nothing there")
                .mend("pass it, or correct the pointer in the arguments")
        })
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

/// A key as a token of a JSON pointer.
pub(crate) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_pointer_finds_what_serde_json_finds() {
        let document = json!({"a": [{"b/c": 1}, {"~": 2}], "": {"": 3}, "0": 4});
        for pointer in ["", "/a", "/a/0/b~1c", "/a/1/~0", "/", "//", "/0", "/a/00", "/a/-", "/a/2", "/x"] {
            let parsed = Pointer::parse(pointer, String::new).unwrap();
            assert_eq!(parsed.find(&document), document.pointer(pointer), "{pointer}");
        }
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for wrong in ["a", "/~", "/~2", "a/b", "/a~"] {
            Pointer::parse(wrong, String::new).unwrap_err();
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_refused(text in "[/~0-9a-c]{0,12}") {
            let document = json!({"a": [[1], {"b": 2}], "0": "x"});
            if let Ok(pointer) = Pointer::parse(&text, String::new) {
                prop_assert_eq!(pointer.find(&document), document.pointer(&text));
            }
        }
    }
}
