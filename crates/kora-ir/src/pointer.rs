//! JSON pointers (RFC 6901): written for messages, checked where a graph uses them.

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

#[cfg(test)]
mod tests {
    use super::*;

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
