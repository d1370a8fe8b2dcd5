//! The tokens of one model, arranged so that a grammar can be asked about all of them at once.

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
        let single: Vec<u8> =
            words.iter().filter(|word| word.len() == 1).filter_map(|word| word.first().copied()).collect();
        if let Some(missing) = (0x20..0x7f).find(|byte| !single.contains(byte)) {
            return Err(VocabularyError::MissingByte(missing));
        }
        let spells_everything =
            (0x80..=0xf4).all(|byte| matches!(byte, 0xc0 | 0xc1) || single.contains(&byte));
        let end = end.to_vec();
        trial::on_a_stack_of_its_own(move || {
            let size = u32::try_from(words.len()).unwrap_or(u32::MAX);
            let first = end.first().copied().unwrap_or_default();
            let trie = TokTrie::from(&TokRxInfo::new(size, first), &words).with_eos_tokens(&end);
            let env = Arc::new(Env { trie, encode, end, spells_everything });
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

struct Env {
    trie: TokTrie,
    encode: Encode,
    end: Vec<u32>,
    spells_everything: bool,
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

    /// Nothing is forced with a vocabulary that cannot write every text.
    fn tokenize_is_canonical(&self) -> bool {
        self.spells_everything
    }
}
