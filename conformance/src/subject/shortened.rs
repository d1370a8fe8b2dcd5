//! The beginning of what a backend said, fit to be shown.

/// How much of it is shown.
const SHOWN: usize = 200;

/// The beginning of `text`, without control characters.
pub(super) fn shortened(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
