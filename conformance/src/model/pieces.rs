//! A text in as many pieces as it has tokens.

/// No answer has more tokens than this, whatever a step says.
const MAX_TOKENS: u64 = 1 << 20;

/// The pieces of a text, as even as characters allow, each of them one token. A token without text is one too.
#[derive(Debug)]
pub(super) struct Pieces {
    text: String,
    tokens: u64,
    // Invariant: at a character's boundary.
    at: usize,
    left: u64,
}

impl Pieces {
    pub(super) fn new(text: String, tokens: u64) -> Self {
        let tokens = tokens.min(MAX_TOKENS);
        Self { text, tokens, at: 0, left: tokens }
    }

    /// How many tokens there are.
    pub(super) fn tokens(&self) -> u64 {
        self.tokens
    }

    /// The next piece, and what it counts for.
    pub(super) fn peek(&self) -> Option<(&str, u64)> {
        let rest = &self.text[self.at..];
        match self.left {
            // Only a text that costs nothing has anything left then.
            0 => (!rest.is_empty()).then_some((rest, 0)),
            _ => Some((&rest[..self.share()], 1)),
        }
    }

    pub(super) fn advance(&mut self) {
        self.at = if self.left == 0 { self.text.len() } else { self.at + self.share() };
        self.left = self.left.saturating_sub(1);
    }

    fn share(&self) -> usize {
        let rest = &self.text[self.at..];
        let even = usize::try_from(self.left).map_or(0, |left| rest.len().div_ceil(left.max(1)));
        (even..=rest.len()).find(|&at| rest.is_char_boundary(at)).unwrap_or(rest.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &str, tokens: u64) -> Vec<(String, u64)> {
        let mut pieces = Pieces::new(text.to_owned(), tokens);
        let mut all = Vec::new();
        while let Some((text, tokens)) = pieces.peek() {
            all.push((text.to_owned(), tokens));
            pieces.advance();
        }
        all
    }

    #[test]
    fn a_text_is_as_many_pieces_as_it_has_tokens() {
        let texts = |text, tokens| all(text, tokens).into_iter().map(|(text, _)| text).collect::<Vec<_>>();
        assert_eq!(texts("abcdefg", 3), ["abc", "de", "fg"]);
        assert_eq!(texts("éé", 3), ["é", "é", ""]);
        assert_eq!(texts("", 2), ["", ""]);
        assert_eq!(all("abc", 0), [("abc".to_owned(), 0)]);
        assert_eq!(all("", 0), []);
    }

    proptest! {
        #[test]
        fn nothing_is_lost(text in "(a|é|\u{1F600}){0,30}", tokens in 0_u64..50) {
            let pieces = all(&text, tokens);
            prop_assert_eq!(pieces.iter().map(|(text, _)| text.as_str()).collect::<String>(), text);
            prop_assert_eq!(pieces.iter().map(|(_, tokens)| tokens).sum::<u64>(), tokens);
        }
    }
}
