//! Others' words made harmless: what a reader does not see but a terminal or a browser obeys is written out, and what
//! is long is shortened.

use serde_json::Value;

/// Characters of a value, or of somebody's sentence.
pub(crate) const VALUE: usize = 300;
/// Characters of a text that explains.
pub(crate) const TEXT: usize = 600;
/// Characters of a name.
pub(crate) const NAME: usize = 120;

/// `text` on one line of at most `most` characters, and a remark on how much is missing.
pub(crate) fn line(text: &str, most: usize) -> String {
    let mut plain = String::with_capacity(text.len().min(most.saturating_mul(4)));
    let mut chars = text.chars();
    // A character that is written out is up to 10 characters: they count, or a shortened text could be ten times that.
    let mut left = most;
    while let Some(char) = chars.next() {
        let (width, hidden) = if is_hidden(char) { (char.escape_debug().len(), true) } else { (1, false) };
        if width > left {
            let missing = 1 + chars.count();
            plain.push_str(&format!("… ({missing} more characters)"));
            return plain;
        }
        left -= width;
        if hidden {
            plain.extend(escaped(char));
        } else {
            plain.push(char);
        }
    }
    plain
}

/// A value as JSON on one line.
pub(crate) fn value(value: &Value, most: usize) -> String {
    line(&value.to_string(), most)
}

/// The last lines of `text`, each of at most [`VALUE`] characters, and how many are left out before them.
pub(crate) fn last_lines(text: &str, most: usize) -> (usize, Vec<String>) {
    let count = text.lines().count();
    let left_out = count.saturating_sub(most);
    (left_out, text.lines().skip(left_out).map(|text| line(text, VALUE)).collect())
}

fn escaped(char: char) -> impl Iterator<Item = char> {
    // `escape_debug` knows which of them have a short name; what it takes for printable is written by its number.
    let mut debug = char.escape_debug();
    let is_short = debug.len() == 2;
    let number = char.escape_unicode();
    let short = is_short.then(|| debug.by_ref().collect::<Vec<_>>());
    short.unwrap_or_else(|| number.collect()).into_iter()
}

/// Whether a character is not seen but does something: commands of terminals, line ends, changes of direction,
/// joiners, tags, and those that XML has no place for.
fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}' | '\u{fdd0}'..='\u{fdef}' | '\u{e0000}'..='\u{e0fff}'
        )
        || u32::from(char) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_seen_is_written_out() {
        assert_eq!(line("a\u{1b}[31mb", 99), "a\\u{1b}[31mb");
        assert_eq!(line("a\nb\tc\r", 99), "a\\nb\\tc\\r");
        assert_eq!(line("\u{202e}evil\u{2066}", 99), "\\u{202e}evil\\u{2066}");
        assert_eq!(line("\u{feff}\u{ffff}\u{e0041}\0", 99), "\\u{feff}\\u{ffff}\\u{e0041}\\0");
        assert_eq!(line("Grüße, 世界 🦀", 99), "Grüße, 世界 🦀");
    }

    #[test]
    fn what_is_long_says_how_long() {
        assert_eq!(line("abcdef", 6), "abcdef");
        assert_eq!(line("abcdef", 4), "abcd… (2 more characters)");
        assert_eq!(line("ab\u{1b}f", 4), "ab… (2 more characters)");
        assert_eq!(value(&json!({"a": "x".repeat(1 << 20)}), 9), "{\"a\":\"xxx… (1048575 more characters)");
    }

    #[test]
    fn of_a_log_the_end_is_kept() {
        assert_eq!(last_lines("a\nb\nc\n", 2), (1, vec![String::from("b"), String::from("c")]));
        assert_eq!(last_lines("", 2), (0, vec![]));
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_left_and_nothing_grows(text in any::<String>(), most in 0_usize..200) {
            let plain = line(&text, most);
            prop_assert!(!plain.chars().any(is_hidden), "{plain:?}");
            prop_assert!(plain.chars().count() <= most + 40, "{plain:?}");
        }
    }
}
