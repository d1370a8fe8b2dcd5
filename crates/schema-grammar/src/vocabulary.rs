//! The tokens of one model, arranged so that a grammar can be asked about all of them at once.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use llguidance::ParserFactory;
use toktrie::{TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv};

use crate::{Constraint, Grammar, GrammarError, VocabularyError, trial};

/// Tokens in a vocabulary.
pub(crate) const MAX_TOKENS: usize = 1 << 21;
/// Bytes of one token.
pub(crate) const MAX_TOKEN_BYTES: usize = 1000;
/// Bytes of all tokens.
pub(crate) const MAX_BYTES: usize = 4_000_000;

/// How text becomes tokens: the model's own tokenizer, with control tokens never recognised in it.
///
/// It is given whole UTF-8 only, and an answer that does not spell what was given is not used.
pub type Encode = Arc<dyn Fn(&[u8]) -> Vec<u32> + Send + Sync>;

/// One token of a model; its id is its place.
#[expect(clippy::exhaustive_enums, reason = "a token is text or it is not")]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Token {
    /// What it adds to the text.
    Bytes(Vec<u8>),
    /// Adds no text and so is in no reply, unless it ends it.
    Control(String),
}

/// The tokens of one model. Built once; a clone is cheap and shares everything.
#[derive(Clone)]
pub struct Vocabulary {
    factory: Arc<ParserFactory>,
    env: Arc<Env>,
}

impl Vocabulary {
    /// Arranges `tokens`, of which those in `end` end a text. `encode` is asked how text that nothing else could be
    /// is written, so that forced text is tokenised as the model has seen it.
    ///
    /// # Errors
    ///
    /// [`VocabularyError`] if no JSON could be written with it, or if it is beyond every size.
    pub fn new(tokens: Vec<Token>, end: &[u32], encode: Encode) -> Result<Self, VocabularyError> {
        if tokens.is_empty() || tokens.len() > MAX_TOKENS {
            return Err(VocabularyError::Count(tokens.len()));
        }
        if end.is_empty() {
            return Err(VocabularyError::NoEnd);
        }
        if let Some(&unknown) = end.iter().find(|&&id| id as usize >= tokens.len()) {
            return Err(VocabularyError::UnknownEnd(unknown));
        }
        let words: Vec<Vec<u8>> = tokens.into_iter().map(word).collect();
        if let Some((token, word)) = words.iter().enumerate().find(|(_, word)| word.len() > MAX_TOKEN_BYTES) {
            return Err(VocabularyError::TokenTooLong { token, bytes: word.len() });
        }
        let bytes = words.iter().map(Vec::len).sum();
        if bytes > MAX_BYTES {
            return Err(VocabularyError::TooLarge(bytes));
        }
        let spelling = Spelling::of(&words);
        if let Some(missing) = (0x20..0x7f).find(|byte| !spelling.alone.contains(byte)) {
            return Err(VocabularyError::MissingByte(missing));
        }
        let end = end.to_vec();
        trial::on_a_stack_of_its_own(move || {
            let size = u32::try_from(words.len()).unwrap_or(u32::MAX);
            let first = end.first().copied().unwrap_or_default();
            let trie = TokTrie::from(&TokRxInfo::new(size, first), &words).with_eos_tokens(&end);
            let env = Arc::new(Env { trie, encode, end, spelling });
            let shared: TokEnv = Arc::clone(&env) as TokEnv;
            let mut factory = ParserFactory::new_simple(&shared).map_err(|error| error.to_string())?;
            factory.quiet();
            *factory.limits_mut() = trial::limits();
            Ok(Self { factory: Arc::new(factory), env })
        })
        .and_then(|built| built)
        .map_err(VocabularyError::Engine)
    }

    /// Starts a generation held to `grammar`.
    ///
    /// # Errors
    ///
    /// [`GrammarError::TooComplex`] if the grammar and this vocabulary together are beyond every bound.
    pub fn constrain(&self, grammar: &Grammar) -> Result<Constraint, GrammarError> {
        let matcher = trial::start(&self.factory, grammar.built())?;
        Constraint::new(matcher, self.clone())
    }

    /// How many tokens there are; each id is below it.
    pub fn size(&self) -> usize {
        self.env.trie.vocab_size()
    }

    /// Whether there are bytes that no token has.
    pub(crate) fn lacks_any(&self) -> bool {
        !self.env.spelling.lacking.is_empty()
    }

    /// Whether one of `bytes` is in no token: what must be written like that cannot be.
    pub(crate) fn lacks(&self, bytes: &[u8]) -> bool {
        bytes.iter().any(|byte| self.env.spelling.lacking.contains(byte))
    }

    /// What the token adds to a text; nothing if it is a control token or does not exist.
    pub fn bytes(&self, token: u32) -> &[u8] {
        if (token as usize) < self.size() && !self.env.trie.is_special_token(token) {
            self.env.trie.token(token)
        } else {
            &[]
        }
    }

    /// Whether the token ends a text.
    pub fn is_end(&self, token: u32) -> bool {
        self.env.end.contains(&token)
    }

    /// The tokens that end a text, as they were given.
    pub fn end(&self) -> &[u32] {
        &self.env.end
    }
}

impl fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vocabulary").field("size", &self.size()).field("end", &self.env.end).finish()
    }
}

/// A token as the trie wants it. A byte that no UTF-8 has makes a token unreachable, and it also marks the special ones.
fn word(token: Token) -> Vec<u8> {
    match token {
        Token::Bytes(bytes) if bytes.contains(&TokTrie::SPECIAL_TOKEN_MARKER) => Vec::new(),
        Token::Bytes(bytes) => bytes,
        Token::Control(name) => {
            let mut marked = vec![TokTrie::SPECIAL_TOKEN_MARKER];
            marked.extend(name.into_bytes());
            marked
        }
    }
}

/// Which bytes of JSON can be written.
struct Spelling {
    /// Those that are a token of their own. Text of these can always be written, wherever it is cut.
    alone: BTreeSet<u8>,
    /// Those that are in no token. A model that never learned a character of a rare block lacks its first byte.
    lacking: BTreeSet<u8>,
}

impl Spelling {
    fn of(words: &[Vec<u8>]) -> Self {
        let texts = || words.iter().filter(|word| word.first() != Some(&TokTrie::SPECIAL_TOKEN_MARKER));
        let alone = texts().filter_map(|word| <[u8; 1]>::try_from(word.as_slice()).ok()).flatten().collect();
        let held: BTreeSet<u8> = texts().flatten().copied().collect();
        let lacking = of_json().filter(|byte| !held.contains(byte)).collect();
        Self { alone, lacking }
    }

    /// Whether every byte is a token of its own or in none: then text without the lacking ones can be written, and a
    /// text that must have a lacking one is a dead end.
    fn is_clear(&self) -> bool {
        of_json().all(|byte| self.alone.contains(&byte) || self.lacking.contains(&byte))
    }
}

/// The bytes that JSON without white space can hold, in UTF-8.
fn of_json() -> impl Iterator<Item = u8> {
    (0x20..=0xf4).filter(|byte| !matches!(byte, 0xc0 | 0xc1))
}

struct Env {
    trie: TokTrie,
    encode: Encode,
    end: Vec<u32>,
    spelling: Spelling,
}

impl Env {
    /// The model's own way to write `text`, if it is one.
    fn canonical(&self, text: &str) -> Vec<TokenId> {
        let tokens = (self.encode)(text.as_bytes());
        let size = self.trie.vocab_size();
        let mut rest = text.as_bytes();
        for &token in &tokens {
            if token as usize >= size || self.trie.is_special_token(token) {
                return self.trie.greedy_tokenize(text.as_bytes());
            }
            match rest.strip_prefix(self.trie.token(token)) {
                Some(after) => rest = after,
                None => return self.trie.greedy_tokenize(text.as_bytes()),
            }
        }
        if rest.is_empty() { tokens } else { self.trie.greedy_tokenize(text.as_bytes()) }
    }
}

impl TokenizerEnv for Env {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        self.trie.tokenize_with_greedy_fallback(bytes, |text| self.canonical(text))
    }

    /// Nothing is forced with a vocabulary that has a byte only within longer tokens.
    fn tokenize_is_canonical(&self) -> bool {
        self.spelling.is_clear()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sample;

    fn bytes() -> Vec<Token> {
        (0..=255_u8)
            .map(|byte| Token::Bytes(vec![byte]))
            .chain([Token::Control(String::from("<end>"))])
            .collect()
    }

    fn built(tokens: Vec<Token>, end: &[u32]) -> Result<Vocabulary, VocabularyError> {
        Vocabulary::new(tokens, end, Arc::new(|text| text.iter().copied().map(u32::from).collect()))
    }

    #[test]
    fn tokens_that_are_no_vocabulary_are_refused() {
        let refused = |tokens, end: &[u32]| built(tokens, end).map(|_| ()).unwrap_err();
        assert_eq!(refused(Vec::new(), &[0]), VocabularyError::Count(0));
        assert_eq!(refused(bytes(), &[]), VocabularyError::NoEnd);
        assert_eq!(refused(bytes(), &[257]), VocabularyError::UnknownEnd(257));
        let mut lacking = bytes();
        lacking[usize::from(b'{')] = Token::Bytes(b"{{".to_vec());
        assert_eq!(refused(lacking, &[256]), VocabularyError::MissingByte(b'{'));
        let mut long = bytes();
        long.push(Token::Bytes(vec![b' '; MAX_TOKEN_BYTES + 1]));
        assert_eq!(
            refused(long, &[256]),
            VocabularyError::TokenTooLong { token: 257, bytes: MAX_TOKEN_BYTES + 1 }
        );
        let many =
            bytes().into_iter().chain((0..=MAX_BYTES / 900).map(|_| Token::Bytes(vec![b'a'; 900]))).collect();
        assert!(matches!(refused(many, &[256]), VocabularyError::TooLarge(_)));
    }

    #[test]
    fn a_token_may_be_empty_double_or_no_text_and_is_then_never_forced() {
        let mut tokens = bytes();
        tokens.extend([
            Token::Bytes(Vec::new()),
            Token::Bytes(b"a".to_vec()),
            Token::Bytes(vec![0xff, b'a']),
        ]);
        tokens.push(Token::Control(String::from("a")));
        let vocabulary = built(tokens, &[256, 257]).unwrap();
        let mut constraint = vocabulary.constrain(&sample::grammar(&json!({"enum": ["a", "b"]}))).unwrap();
        constraint.accept(u32::from(b'"')).unwrap();
        let allowed: Vec<u32> = constraint.allowed().unwrap().iter().collect();
        assert_eq!(allowed, [u32::from(b'a'), u32::from(b'b'), 258]);
        for refused in [257, 259, 260] {
            assert_eq!(constraint.accept(refused), Err(GrammarError::NotAllowed(refused)));
        }
        constraint.accept(258).unwrap();
        constraint.accept(u32::from(b'"')).unwrap();
        assert_eq!(constraint.allowed().unwrap().iter().collect::<Vec<_>>(), [256, 257]);
        constraint.accept(257).unwrap();
        assert!(constraint.has_ended());
    }

    /// The bytes, of which one is no token.
    fn lacking(byte: u8) -> Vec<Token> {
        let mut tokens = bytes();
        tokens[usize::from(byte)] = Token::Control(String::from("missing"));
        tokens
    }

    #[test]
    fn what_cannot_be_written_is_a_dead_end_and_not_something_else() {
        let vocabulary = built(lacking(0xc3), &[256]).unwrap();
        let mut constraint = vocabulary.constrain(&sample::grammar(&json!({"const": "é"}))).unwrap();
        assert!(constraint.forced().is_empty());
        assert_eq!(constraint.allowed().unwrap_err(), GrammarError::DeadEnd);
        constraint.accept(u32::from(b'"')).unwrap();
        assert!(constraint.forced().is_empty());
        assert_eq!(constraint.allowed().unwrap_err(), GrammarError::DeadEnd);
    }

    #[test]
    fn a_byte_that_no_token_has_forbids_nothing_else_to_be_forced() {
        let vocabulary = built(lacking(0xc3), &[256]).unwrap();
        let grammar = sample::grammar(&json!({"enum": [{"n": "ü"}, {"n": "€"}, {"n": "x"}]}));
        let mut constraint = vocabulary.constrain(&grammar).unwrap();
        let forced = constraint.forced();
        assert_eq!(forced, br#"{"n":""#.iter().copied().map(u32::from).collect::<Vec<_>>());
        for token in forced {
            constraint.accept(token).unwrap();
        }
        let allowed: Vec<u32> = constraint.allowed().unwrap().iter().collect();
        assert_eq!(allowed, [u32::from(b'x'), 0xe2]);
        for seed in 0..20 {
            let (ended, text) = sample::walk(&vocabulary, &grammar, seed, 100);
            assert!(ended && [r#"{"n":"€"}"#, r#"{"n":"x"}"#].contains(&text.as_str()), "{text}");
        }
    }

    #[test]
    fn a_byte_that_only_longer_tokens_have_is_never_forced_and_still_written() {
        let mut tokens = lacking(0xc3);
        tokens.push(Token::Bytes("é".as_bytes().to_vec()));
        let vocabulary = built(tokens, &[256]).unwrap();
        let grammar = sample::grammar(&json!({"const": "éa"}));
        assert!(vocabulary.constrain(&grammar).unwrap().forced().is_empty());
        assert_eq!(sample::walk(&vocabulary, &grammar, 1, 100), (true, String::from("\"éa\"")));
    }

    #[test]
    fn a_tokenizer_that_says_something_else_is_not_believed() {
        for lie in [vec![], vec![7], vec![256], vec![9999]] {
            let vocabulary = Vocabulary::new(bytes(), &[256], Arc::new(move |_| lie.clone())).unwrap();
            let grammar = sample::grammar(&json!({"const": {"name": "x"}}));
            assert_eq!(sample::walk(&vocabulary, &grammar, 1, 100), (true, String::from(r#"{"name":"x"}"#)));
        }
    }
}
