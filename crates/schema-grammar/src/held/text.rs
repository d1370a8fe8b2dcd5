//! Strings: patterns as the gate reads them, formats that are known, lengths that can be counted.

use regex_syntax::hir::{Hir, HirKind, Look};
use serde_json::{Map, Value, json};

use super::{Effort, Widening};
use crate::GrammarError;

/// Characters that decoding counts; beyond, only the token cap does.
pub(crate) const MAX_LENGTH: u64 = 20_000;
/// Bytes of a pattern, written out.
const MAX_PATTERN_BYTES: usize = 64 << 10;

/// Formats that decoding is held to, and whether each has a longest text.
pub(crate) const FORMATS: [(&str, bool); 10] = [
    ("date-time", false),
    ("time", false),
    ("date", true),
    ("duration", false),
    ("email", false),
    ("hostname", false),
    ("ipv4", true),
    ("ipv6", true),
    ("uuid", true),
    ("uri", false),
];

impl Widening<'_> {
    pub(super) fn text(&mut self, from: &Map<String, Value>, pointer: &str, to: &mut Map<String, Value>) {
        let mut text = Map::new();
        for keyword in ["minLength", "maxLength"] {
            match from.get(keyword).and_then(whole) {
                Some(0) if keyword == "minLength" => {}
                Some(length) if length <= MAX_LENGTH => {
                    text.insert(keyword.to_owned(), json!(length));
                }
                Some(_) => self.not_held(pointer, keyword, "keep lengths within 20000"),
                None => {}
            }
        }
        if let Some(Value::String(pattern)) = from.get("pattern") {
            match held_pattern(pattern) {
                Some(pattern) => {
                    text.insert(String::from("pattern"), json!(pattern));
                }
                None => self.not_held(
                    pointer,
                    "pattern",
                    "write it without word boundaries, and with `^` and `$` at its ends only",
                ),
            }
        }
        if let Some(Value::String(format)) = from.get("format") {
            if self.effort == Effort::Whole && FORMATS.iter().any(|(name, _)| name == format) {
                text.insert(String::from("format"), json!(format));
            } else {
                self.not_held(pointer, "format", "use `pattern`: this format is not known");
            }
        }
        if text.contains_key("pattern") || text.contains_key("format") {
            self.drop_what_does_not_go_together(&mut text, pointer);
        }
        to.append(&mut text);
    }

    /// Conditions on one string may each be fine and be too much together.
    fn drop_what_does_not_go_together(&mut self, text: &mut Map<String, Value>, pointer: &str) {
        // The gate asks for no format, so a format goes first.
        for keyword in ["format", "minLength", "maxLength", "pattern"] {
            let mut alone = text.clone();
            alone.insert(String::from("type"), json!("string"));
            match self.refused_alone(&Value::Object(alone)) {
                None => return,
                // The gate lets no string through either.
                Some(GrammarError::Unsatisfiable(_)) if !text.contains_key("format") => return,
                Some(_) => {}
            }
            if text.shift_remove(keyword).is_some() {
                let help = match keyword {
                    "pattern" => "write a simpler pattern",
                    _ => "say it in `pattern`: the two are too much together",
                };
                self.not_held(pointer, keyword, help);
            }
        }
    }
}

/// The pattern as the gate reads it, in words that need no interpretation; `None` if decoding cannot be held to it.
pub(crate) fn held_pattern(pattern: &str) -> Option<String> {
    let hir = parsed(pattern)?;
    // Only the ends of a text can be looked at, from its ends.
    let written = hir.to_string();
    (ends_only(&hir, true, true) && written.len() <= MAX_PATTERN_BYTES).then_some(written)
}

/// Whether text that the pattern matches has a greatest length.
pub(crate) fn pattern_bounds(pattern: &str) -> bool {
    held_pattern(pattern).is_some() && parsed(pattern).is_some_and(|hir| bounded(&hir))
}

fn parsed(pattern: &str) -> Option<Hir> {
    let translated = jsonschema_regex::to_rust_regex(pattern).ok()?;
    regex_syntax::parse(&translated).ok()
}

/// Whether every match takes the whole of a text whose length has a maximum.
fn bounded(hir: &Hir) -> bool {
    let facts = hir.properties();
    let whole = facts.look_set_prefix().contains(Look::Start) && facts.look_set_suffix().contains(Look::End);
    whole && facts.maximum_len().is_some()
}

// Recursion: as deep as the parser lets groups nest, 250 levels.
fn ends_only(hir: &Hir, at_start: bool, at_end: bool) -> bool {
    match hir.kind() {
        HirKind::Look(Look::Start) => at_start,
        HirKind::Look(Look::End) => at_end,
        HirKind::Look(_) => false,
        HirKind::Alternation(branches) => branches.iter().all(|branch| ends_only(branch, at_start, at_end)),
        HirKind::Capture(capture) => ends_only(&capture.sub, at_start, at_end),
        HirKind::Concat(parts) => parts
            .iter()
            .enumerate()
            .all(|(nth, part)| ends_only(part, at_start && nth == 0, at_end && nth + 1 == parts.len())),
        HirKind::Repetition(repetition) => ends_only(&repetition.sub, false, false),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) => true,
    }
}

/// A count, which may be written `3.0`.
pub(crate) fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let number = value.as_f64().filter(|number| number.fract() == 0.0 && *number >= 0.0)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked; it saturates")]
        let whole = number as u64;
        Some(whole)
    })
}

#[cfg(test)]
mod tests {
    use kora_ir::{Limits, OutputSchema};

    use super::*;
    use crate::{NoteKind, sample};

    #[test]
    fn a_pattern_bounds_if_it_holds_both_ends() {
        for bounding in ["^[a-z]{1,3}$", "^(?:a|bc)$", "^a$|^b$", "^$"] {
            assert!(pattern_bounds(bounding), "{bounding}");
        }
        for endless in ["[a-z]{1,3}", "^a+$", "^a", "a$", "", "^a$|b", r"^\w+$"] {
            assert!(!pattern_bounds(endless), "{endless}");
        }
    }

    #[test]
    fn only_the_ends_of_a_text_are_looked_at() {
        for held in ["^a$", "a|^b", "(^a|b$)", "^(a|b)*$", r"^\d{4}-\d{2}$", "^.*$", "[^a]"] {
            assert!(held_pattern(held).is_some(), "{held}");
        }
        for not_held in [r"\bword\b", "a^b", "(^a)*", "(?m)^a$"] {
            assert_eq!(held_pattern(not_held), None, "{not_held}");
        }
    }
    #[test]
    fn every_known_format_is_held_to_and_says_whether_it_ends() {
        for (format, ends) in FORMATS {
            let grammar = sample::grammar(&json!({"type": "string", "format": format}));
            assert_eq!(grammar.notes().is_empty(), ends, "{format}: {:?}", grammar.notes());
            assert!(!sample::accepts(&grammar, "\"no format has this !\""), "{format}");
        }
        let date = sample::grammar(&json!({"type": "string", "format": "date"}));
        assert!(sample::accepts(&date, "\"2024-02-29\"") && !sample::accepts(&date, "\"2024-02-30\""));
    }

    // The gate and the engine must read one pattern alike, or a finished text would be refused.
    #[test]
    fn a_pattern_is_read_as_the_gate_reads_it() {
        let texts = [
            "", "a", "b", "ab", "ba", "é", "1", "٣", "_", " ", "\u{a0}", "\u{feff}", "\u{85}", "\n", "a\n",
            "\u{2028}", "\"", "\\", "/", "A", "K",
        ];
        let patterns = [
            r"^\d$",
            r"^\w$",
            r"^\s$",
            r"^\S$",
            r"^\W$",
            "^.$",
            "^a?$",
            "a$",
            "^a|b$",
            "^[^a]$",
            r"^[\s\d]$",
            "^(?i)k$",
            r"^\/$",
            "^/$",
            r"^\u00e9$",
            r"^\x61$",
            r"^\\$",
            "\"",
            r"^\p{L}$",
            "^(a|ab)(b|)$",
            "",
            "^$",
            r"^[\w-]+$",
            r"^\cJ$",
        ];
        for pattern in patterns {
            let schema = json!({"type": "string", "pattern": pattern});
            let Ok(gate) = OutputSchema::compile(schema.clone(), &Limits::default()) else { continue };
            let grammar = sample::grammar(&schema);
            if grammar.notes().iter().any(|note| note.kind == NoteKind::NotHeld) {
                continue;
            }
            for text in texts {
                let admitted = gate.admit(json!(text)).is_ok();
                assert_eq!(
                    sample::accepts(&grammar, &json!(text).to_string()),
                    admitted,
                    "{pattern:?} {text:?}"
                );
            }
        }
    }
}
