//! Vocabularies and generations for tests.

use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::{Constraint, Grammar, GrammarError, Token, Vocabulary};

/// Ends a text in both vocabularies.
pub(crate) const END: u32 = 256;

/// The 256 bytes, an end and another control token.
pub(crate) fn bytes() -> &'static Vocabulary {
    static VOCABULARY: OnceLock<Vocabulary> = OnceLock::new();
    VOCABULARY.get_or_init(|| {
        let encode = |text: &[u8]| text.iter().copied().map(u32::from).collect();
        Vocabulary::new(single(), &[END], Arc::new(encode)).unwrap()
    })
}

/// The bytes and some longer pieces that are merged greedily, as JSON has them and as text has them.
pub(crate) fn pieces() -> &'static Vocabulary {
    static VOCABULARY: OnceLock<Vocabulary> = OnceLock::new();
    VOCABULARY.get_or_init(|| {
        let longer = [
            "{\"", "\":", "\":\"", "\",\"", "\"}", "},{", "[{", "[", "true", "false", "null", "10", "00",
            "the", " the", "na", "me", "name", "ab", "abc", "€", "é", "\\n", "\\u", "00", "ame\":",
        ];
        let mut tokens = single();
        tokens.extend(longer.iter().map(|text| Token::Bytes(text.as_bytes().to_vec())));
        let encode = move |text: &[u8]| {
            let mut ids = Vec::new();
            let mut rest = text;
            while let Some(&first) = rest.first() {
                let best =
                    longer.iter().zip(258_u32..).filter(|(piece, _)| rest.starts_with(piece.as_bytes()));
                let (id, length) = best
                    .map(|(piece, id)| (id, piece.len()))
                    .max_by_key(|&(id, length)| (length, u32::MAX - id))
                    .unwrap_or((u32::from(first), 1));
                ids.push(id);
                rest = &rest[length..];
            }
            ids
        };
        Vocabulary::new(tokens, &[END], Arc::new(encode)).unwrap()
    })
}

fn single() -> Vec<Token> {
    let mut tokens: Vec<Token> = (0..=255_u8).map(|byte| Token::Bytes(vec![byte])).collect();
    tokens.push(Token::Control(String::from("<end>")));
    tokens.push(Token::Control(String::from("<start>")));
    tokens
}

/// Whether the grammar admits exactly this text, byte by byte.
pub(crate) fn accepts(grammar: &Grammar, text: &str) -> bool {
    let mut constraint = bytes().constrain(grammar).unwrap();
    for byte in text.bytes() {
        match constraint.accept(u32::from(byte)) {
            Ok(()) => {}
            Err(GrammarError::NotAllowed(_)) => return false,
            Err(error) => panic!("{error}"),
        }
    }
    constraint.is_complete()
}

/// A generation that chooses at random, as far as `cap` tokens go. Whether it ended, and its text.
pub(crate) fn walk(vocabulary: &Vocabulary, grammar: &Grammar, seed: u64, cap: usize) -> (bool, String) {
    let mut constraint = vocabulary.constrain(grammar).unwrap();
    let mut random = Random(seed);
    let mut text = Vec::new();
    let mut spent = 0;
    while spent < cap {
        let mut chosen = constraint.forced();
        if chosen.is_empty() || random.below(4) == 0 {
            chosen = vec![choose(&mut constraint, &mut random)];
        }
        chosen.truncate(cap - spent);
        for token in chosen {
            assert!(
                constraint.allowed().unwrap().contains(token),
                "{token} after {}",
                String::from_utf8_lossy(&text)
            );
            constraint.accept(token).unwrap();
            spent += 1;
            text.extend_from_slice(vocabulary.bytes(token));
            if constraint.has_ended() {
                return (true, String::from_utf8(text).unwrap());
            }
        }
    }
    (false, String::from_utf8_lossy(&text).into_owned())
}

/// Prefers what ends something, so that walks end.
fn choose(constraint: &mut Constraint, random: &mut Random) -> u32 {
    let allowed: Vec<u32> = constraint.allowed().unwrap().iter().collect();
    let ending: Vec<u32> = allowed
        .iter()
        .copied()
        .filter(|&id| id == END || b"\"}]".iter().any(|&byte| u32::from(byte) == id))
        .collect();
    let from = if ending.is_empty() || random.below(3) > 0 { &allowed } else { &ending };
    from[usize::try_from(random.below(from.len() as u64)).unwrap()]
}

/// A small generator of numbers that is the same everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

pub(crate) fn grammar(schema: &Value) -> Grammar {
    Grammar::compile(schema).unwrap_or_else(|error| panic!("{schema}: {error:?}"))
}
