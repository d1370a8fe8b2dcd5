//! Bytes of tokens as pieces of text: only whole characters leave.

/// Bytes that do not make a whole character yet.
#[derive(Debug, Default)]
pub(crate) struct Pending(Vec<u8>);

impl Pending {
    /// Takes the bytes of a token.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// All characters that are whole by now. What can never become one is replaced.
    pub(crate) fn take(&mut self) -> String {
        let mut text = String::new();
        let mut rest = self.0.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(whole) => {
                    text.push_str(whole);
                    rest = &[];
                    break;
                }
                Err(error) => {
                    let (whole, after) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(whole));
                    rest = after;
                    let Some(broken) = error.error_len() else { break };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = rest.get(broken..).unwrap_or_default();
                }
            }
        }
        self.0 = rest.to_vec();
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_survives_being_cut_anywhere(text in any::<String>(), cuts in proptest::collection::vec(1..5_usize, 0..20)) {
            let mut pending = Pending::default();
            let mut out = String::new();
            let mut bytes = text.as_bytes();
            for cut in cuts {
                let (head, tail) = bytes.split_at(cut.min(bytes.len()));
                pending.push(head);
                out.push_str(&pending.take());
                bytes = tail;
            }
            pending.push(bytes);
            out.push_str(&pending.take());
            prop_assert_eq!(out, text);
        }

        #[test]
        fn no_bytes_are_waited_for_in_vain(bytes in any::<Vec<u8>>()) {
            let mut pending = Pending::default();
            pending.push(&bytes);
            pending.take();
            prop_assert!(pending.0.len() < 4);
        }
    }
}
