//! A text in as many pieces as it has tokens.

/// The pieces of a text that are still to come, as even as characters allow, each of them one token.
#[derive(Debug)]
pub(super) struct Pieces {
    text: String,
    // Invariant: at a character's boundary.
    at: usize,
    characters_left: u64,
    left: u64,
}

impl Pieces {
    pub(super) fn new(text: String, tokens: u64) -> Self {
        let characters_left = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
        Self { text, at: 0, characters_left, left: tokens }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// The next piece.
    pub(super) fn take(&mut self) -> &str {
        let rest = &self.text[self.at..];
        let share = self.characters_left.div_ceil(self.left.max(1));
        let mut ends = rest.char_indices().map(|(at, _)| at);
        let end = ends.nth(usize::try_from(share).unwrap_or(usize::MAX)).unwrap_or(rest.len());
        self.at += end;
        self.characters_left -= share;
        self.left = self.left.saturating_sub(1);
        &rest[..end]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &str, tokens: u64) -> Vec<String> {
        let mut pieces = Pieces::new(text.to_owned(), tokens);
        std::iter::from_fn(|| (!pieces.is_empty()).then(|| pieces.take().to_owned())).collect()
    }

    #[test]
    fn a_text_is_as_many_pieces_as_it_has_tokens() {
        assert_eq!(all("abcdefg", 3), ["abc", "de", "fg"]);
        assert_eq!(all("éaé", 3), ["é", "a", "é"]);
        assert_eq!(all("", 0), [""; 0]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_empty(text in "(a|é|\u{1F600}){1,30}", tokens in 1_u64..50) {
            let tokens = tokens.min(u64::try_from(text.chars().count()).unwrap());
            let pieces = all(&text, tokens);
            prop_assert!(pieces.iter().all(|piece| !piece.is_empty()));
            prop_assert_eq!(pieces.concat(), text);
            prop_assert_eq!(u64::try_from(pieces.len()).unwrap(), tokens);
        }
    }
}
